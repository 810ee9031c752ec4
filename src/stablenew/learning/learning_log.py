"""LearningLog: every record of every run, oldest first, and an account of what could not be read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stablenew.errors import FormatError, RunNotFound
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.strict_json import JsonValue
from stablenew.store.read_problem import ReadProblem
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


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One executed variant, with the config and plan of its run."""

    record: LearningRecord
    run: RunMetadata | None
    """None where the run's metadata cannot be read."""

    @property
    def job_id(self) -> str:
        """The run id: a job is a run."""
        return self.record.run_id

    @property
    def packs(self) -> list[str]:
        """Names of the prompt packs."""
        return [pack.name or pack.id for pack in self.run.packs] if self.run else []

    @property
    def run_config(self) -> dict[str, JsonValue]:
        """The full config as it was before the run."""
        return dict(self.run.config) if self.run else {}

    @property
    def randomization_plan(self) -> dict[str, JsonValue]:
        """Mode, size and axes of the plan; empty where the run had none."""
        plan = self.run.variant_plan if self.run else None
        return plan.to_dict() if plan else {}

    @property
    def outputs(self) -> list[str]:
        """Paths of the outputs in the run."""
        return self.record.output_paths

    def to_dict(self) -> dict[str, JsonValue]:
        """The entry as JSON."""
        record = self.record
        return {
            "job_id": self.job_id,
            "variant_index": record.variant.index,
            "variant_total": record.variant.total,
            "packs": self.packs,
            "run_config": self.run_config,
            "randomization_plan": self.randomization_plan,
            "outputs": self.outputs,
            "num_outputs": len(record.outputs),
            "started_at": record.started_at,
            "completed_at": record.finished_at,
            "duration_seconds": record.duration_seconds,
            "record": record.to_dict(),
        }


def _read_metadata(store: RunStore, run_id: str) -> RunMetadata | None:
    try:
        return store.open(run_id).metadata
    except (OSError, FormatError, RunNotFound):
        return None


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

    def iter_entries(self, ledger: LogLedger | None = None) -> Iterator[LogEntry]:
        """Every record with what its run says of it, in the order of `iter_records`: nothing is left to be joined."""
        metadata: dict[str, RunMetadata | None] = {}
        for record in self.iter_records(ledger):
            if record.run_id not in metadata:
                metadata = {record.run_id: _read_metadata(self._store, record.run_id)}
            yield LogEntry(record, metadata[record.run_id])

    def __iter__(self) -> Iterator[LearningRecord]:
        return self.iter_records()
