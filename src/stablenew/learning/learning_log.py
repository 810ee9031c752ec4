"""LearningLog: every record of every run, oldest first, and an account of what could not be read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.store.run import ReadProblem
from stablenew.store.run_store import RunStore


@dataclass(slots=True)
class LogLedger:
    """What a reading of the log has seen so far. Nothing is left out without a line here."""

    run_count: int = 0
    record_count: int = 0
    empty_run_ids: list[str] = field(default_factory=list)
    """Runs without any record that could be read."""
    problems: list[tuple[str, ReadProblem]] = field(default_factory=list)
    """Run id and what of that run could not be read."""


class LearningLog:
    """The records of a store. Reading streams: one run is in memory at a time."""

    def __init__(self, runs: RunStore | Path | str = "runs") -> None:
        self._store = runs if isinstance(runs, RunStore) else RunStore(runs)

    def iter_records(self, ledger: LogLedger | None = None) -> Iterator[LearningRecord]:
        """Every record that can be read, the runs by the time they started, their records in order.

        `ledger` is filled while you iterate.
        """
        account = LogLedger() if ledger is None else ledger
        for run in self._store.iter_runs_by_time():
            account.run_count += 1
            before = account.record_count
            for line in run.iter_record_lines():
                if line.record is not None:
                    account.record_count += 1
                    yield line.record
                if line.problem is not None:
                    account.problems.append((run.run_id, line.problem))
            if account.record_count == before:
                account.empty_run_ids.append(run.run_id)

    def __iter__(self) -> Iterator[LearningRecord]:
        return self.iter_records()
