"""Reading a run folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from stablenew.disk.line_log import iter_lines
from stablenew.disk.regular_file import is_regular, read_regular
from stablenew.errors import FormatError, NewerFormat, OutputNotFound, Unreadable
from stablenew.formats.digest import PREFIX, is_digest
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.output_path import is_output_path
from stablenew.formats.strict_json import is_too_deep, parse_json
from stablenew.store.feedback.removals import are_removed
from stablenew.store.local_state import has_lasting_fingerprint, is_this_machine
from stablenew.store.read_problem import NEWER, ReadProblem
from stablenew.store.run_folder import (
    INCOMPLETE,
    INTERRUPTED,
    MAX_METADATA_BYTES,
    MAX_RECORD_BYTES,
    METADATA,
    OUTPUTS,
    RECORDS,
    RUNNING,
    SEAL,
    SEALED,
)
from stablenew.store.run_lock import RunLock
from stablenew.store.seal import read_seal, run_digest

MIN_DIGEST_PREFIX: Final = 8

UNREADABLE: Final = "record-unreadable"
TORN: Final = "record-torn"


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One line of `records.jsonl`: a record, or the reason why it cannot be read as one."""

    number: int
    record: LearningRecord | None
    problem: ReadProblem | None


class Run:
    """One run folder. Reading it changes nothing; what cannot be read is reported and hides nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name

    def __repr__(self) -> str:
        return f"Run({self.run_id!r})"

    @cached_property
    def metadata(self) -> RunMetadata:
        """What was requested, and what the run resulted in.

        Raises:
            FileNotFoundError: it is missing, or has not arrived yet.
            FormatError: it cannot be read; NewerFormat when a later program wrote it.
        """
        try:
            return RunMetadata.from_json(read_regular(self.path / METADATA, MAX_METADATA_BYTES))
        except FormatError as error:
            raise type(error)(f"{self.path / METADATA}: {error}") from None

    @property
    def is_sealed(self) -> bool:
        """Whether the seal is there. `state` also checks the files that it lists."""
        return is_regular(self.path / SEAL)

    @property
    def state(self) -> str:
        """`sealed`, `running`, `interrupted`, or `incomplete` when files are missing: a sync may still bring them.

        Derived from what is there, never from a flag that a crash would leave wrong.
        """
        if self.is_sealed:
            return SEALED if self._is_complete() else INCOMPLETE
        if RunLock(self.path.parent, self.run_id).is_held():
            return RUNNING
        return INTERRUPTED if self._is_from_this_machine() else INCOMPLETE

    @property
    def status(self) -> str:
        """How the run ended: the metadata's status once sealed, its `state` before."""
        state = self.state
        return self.metadata.status if state == SEALED else state

    def _is_complete(self) -> bool:
        """Whether every sealed file is there with its size: some tools write one piece by piece in place.

        Outputs that were removed on purpose need not be there.
        """
        try:
            sums = read_seal(self.path)
            if (self.path / OUTPUTS).is_symlink():  # what lies behind a link is not in the run
                return False
            missing = {name for name in sums if not is_regular(self.path / name)}
            if missing and not are_removed(self.path, missing, sums):
                return False
            records, problems = self.read_records()
            said = self.metadata.record_count
            held = (output for record in records for output in record.outputs if output.is_held)
            return (
                not any(problem.is_torn or problem.is_unreadable for problem in problems)
                and (said is None or said <= len(records) + len(problems))
                and all(
                    os.lstat(self.path / output.path_in_run).st_size == output.size_bytes
                    for output in held
                    if output.path not in missing
                )
            )
        except (OSError, FormatError):
            return False

    def _is_from_this_machine(self) -> bool:
        try:
            host = self.metadata.source.host_id
        except (OSError, FormatError):
            return False
        if host is None:
            return False
        # A container with another name since looks like another machine, but the lock of its writer is still here.
        is_renamed = not has_lasting_fingerprint() and RunLock(self.path.parent, self.run_id).was_acquired_here()
        return is_this_machine(host) or is_renamed

    @property
    def digest(self) -> str:
        """`sha256:` of the seal: one digest for everything the run is.

        Raises:
            FileNotFoundError: the run is not sealed.
        """
        return run_digest(self.path)

    def iter_record_lines(self) -> Iterator[RecordLine]:
        """Every line of `records.jsonl`, in order. A missing file has no lines."""
        try:
            for number, line, is_whole in iter_lines(self.path / RECORDS):
                yield self.read_line(number, line, is_whole=is_whole)
        except FileNotFoundError:
            return
        except OSError as error:
            problem = ReadProblem(RECORDS, str(error.strerror or error), is_unreadable=True, code=UNREADABLE)
            yield RecordLine(0, None, problem)

    def read_line(self, number: int, line: bytes, *, is_whole: bool) -> RecordLine:
        """What one line of `records.jsonl` holds."""
        if not is_whole:
            reason = f"the line is cut off after {len(line)} bytes; it was never acknowledged"
            return RecordLine(number, None, ReadProblem(RECORDS, reason, number, is_torn=True, code=TORN))
        try:
            record = LearningRecord.from_dict(parse_json(line, max_bytes=MAX_RECORD_BYTES))
        except FormatError as error:
            code = NEWER if isinstance(error, NewerFormat) else UNREADABLE
            return RecordLine(number, None, ReadProblem(RECORDS, str(error), number, code=code))
        return RecordLine(number, record, None)

    def iter_records(self) -> Iterator[LearningRecord]:
        """The records that can be read, in order. `read_records` also says what cannot."""
        return (line.record for line in self.iter_record_lines() if line.record is not None)

    def read_records(self) -> tuple[list[LearningRecord], list[ReadProblem]]:
        """All records, and why other lines are not valid records."""
        lines = list(self.iter_record_lines())
        return [line.record for line in lines if line.record], [line.problem for line in lines if line.problem]

    def iter_outputs(self) -> Iterator[tuple[LearningRecord, OutputReference]]:
        """Every output with the record of its variant."""
        return ((record, output) for record in self.iter_records() for output in record.outputs)

    def find_output(self, image: str) -> OutputReference:
        """The output that `image` means; see `OutputFinder.find`."""
        found = OutputFinder(self).find(image)
        return next(
            output
            for _, output in self.iter_outputs()
            if output.digest == found.digest and (output.path or "") == found.path
        )


class OutputFinder:
    """The outputs of one run by all their names. Reads the records once, and of them only what names the outputs."""

    def __init__(self, run: Run) -> None:
        """Raises Unreadable: the records are there and cannot be read now."""
        self._run_id = run.run_id
        self._by_name: dict[str, OutputName] = {}
        self._by_digest: dict[str, OutputName] = {}
        for variant, outputs in _iter_named_outputs(run):
            for output in outputs:
                self._by_digest[output.digest] = output
                if output.path:
                    self._by_name[output.path] = self._by_name[output.path.partition("/")[2]] = output
            finals = [output for output in outputs if output.role == "final"] or outputs
            for number, output in enumerate(finals):
                self._by_name[f"{variant}/{number}"] = output

    def find(self, image: str) -> "OutputName":
        """The output that `image` means.

        `image` is a digest or a unique prefix of 8 or more hex digits, a path, or `<variant>/<n>`, which counts the
        final outputs of a variant from 0.

        Raises:
            OutputNotFound: nothing fits, or several different images do.
        """
        exact = self._by_digest.get(image) or self._by_name.get(image)
        if exact is not None:
            return exact
        prefix = image.removeprefix(PREFIX).lower()
        is_prefix = len(prefix) >= MIN_DIGEST_PREFIX
        matches = [digest for digest in self._by_digest if is_prefix and digest[7:].startswith(prefix)]
        if len(matches) == 1:
            return self._by_digest[matches[0]]
        if matches:
            raise OutputNotFound(f"{image!r} fits {len(matches)} outputs of run {self._run_id}; give more digits")
        raise OutputNotFound(
            f"run {self._run_id} has no output {image!r}; give a digest (8 or more hex digits), a path such as "
            f"{next((name for name in self._by_name if '.' in name), 'outputs/…')}, or <variant>/<n> such as 0/0"
        )


class OutputName(NamedTuple):
    """The names of an output."""

    path: str
    """In the run; empty where the output lies elsewhere."""
    digest: str
    role: str | None


def _iter_named_outputs(run: Run) -> Iterator[tuple[int, list[OutputName]]]:
    """The index of each variant, and its outputs. What is not plainly a record is left to the strict reader."""
    try:
        lines = [line for _, line, is_whole in iter_lines(run.path / RECORDS) if is_whole]
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unreadable(error.errno, f"could not be read: {error.strerror}", str(run.path / RECORDS)) from error
    for number, line in enumerate(lines, 1):
        named = _names_in(line)
        if named is None:
            record = run.read_line(number, line, is_whole=True).record
            if record is None:
                continue
            outputs = [OutputName(output.path or "", output.digest, output.role) for output in record.outputs]
            named = record.variant.index, outputs
        yield named


def _names_in(line: bytes) -> tuple[int, list[OutputName]] | None:
    from pydantic_core import from_json  # noqa: PLC0415

    if is_too_deep(line):
        return None
    try:
        record = from_json(line, allow_inf_nan=False)
        if record["kind"] != LearningRecord.KIND or not record["schema_version"].startswith("1."):
            return None
        outputs = [OutputName(output["path"], output["digest"], output.get("role")) for output in record["outputs"]]
        variant = record["variant"]["index"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    is_plain = all(is_output_path(output.path) and is_digest(output.digest) for output in outputs)
    return (variant, outputs) if is_plain and type(variant) is int else None


def final_outputs(record: LearningRecord) -> list[OutputReference]:
    """The final outputs of a variant: those with the role `final`, or all when none has it."""
    return [output for output in record.outputs if output.role == "final"] or list(record.outputs)
