"""Do the records of a run name its outputs, and are the outputs what the records say?"""

from collections.abc import Iterable

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.store.feedback.removals import Removals
from stablenew.store.read_problem import NEWER
from stablenew.store.run import Run
from stablenew.store.run_folder import RECORDS
from stablenew.store.upkeep.verifying.finding_list import FindingList
from stablenew.store.upkeep.verifying.run_files import IN_OUTPUTS, RunFiles


class RecordChecks:
    """One pass through the records of a run."""

    def __init__(self, run: Run, files: RunFiles, found: FindingList, removals: Removals) -> None:
        self.records: list[LearningRecord] = []
        self.has_newer_lines = self.has_bad_lines = False
        self.recorded: dict[str, OutputReference] = {}
        """The outputs that should be in the run, by path."""
        self.in_place: list[OutputReference] = []
        """The outputs that lie in a source."""
        self.sha256s: dict[str, str] = {}
        """SHA-256 of the first output with each digest."""
        self._raw_paths: set[str] = set()
        self._run, self._files, self._found, self._removals = run, files, found, removals

    def check(self) -> None:
        """Note what is wrong with the lines of `records.jsonl` and with the outputs that they name."""
        for line in self._run.iter_record_lines():
            if line.problem is not None:
                self._found.add(line.problem.code, RECORDS, line.problem.reason, line.number)
                self.has_newer_lines |= line.problem.code == NEWER
                self.has_bad_lines = True
            elif line.record is not None:
                self.records.append(line.record)
                self._check_record(line.record, line.number)

    def check_unrecorded(self, names: Iterable[str]) -> None:
        """Note outputs among `names` that no record names."""
        for path in sorted(name for name in names if name.startswith(IN_OUTPUTS)):
            if path not in self.recorded and path not in self._raw_paths:
                self._found.add("output-unrecorded", path)

    def _check_record(self, record: LearningRecord, number: int) -> None:
        if record.run_id != self._run.run_id:
            self._found.add("record-mismatch", RECORDS, f"belongs to run {record.run_id}", number)
        if record.reconstructed is not None and record.reconstructed.raw_path is not None:
            self._raw_paths.add(record.reconstructed.raw_path)
        for output in record.outputs:
            self._check_collision(output, number)
            if output.path is None:
                self.in_place.append(output)
            else:
                self.recorded[output.path] = output
                self._check_output(output, output.path, number)

    def _check_collision(self, output: OutputReference, number: int) -> None:
        sha256 = output.sha256
        if sha256 is not None and self.sha256s.setdefault(output.digest, sha256) != sha256:
            place = output.path or (output.origin.path if output.origin else "")
            self._found.add("digest-collision", place, f"{output.digest} is the digest of other bytes too", number)

    def _check_output(self, output: OutputReference, path: str, number: int) -> None:
        hashes = self._files.hash(path)
        if hashes is None:
            message = f"named by line {number} of {RECORDS}, but not there"
            self._found.add_absent("output-missing", path, message, self._removals.find(output))
        elif (hashes.digest, hashes.size_bytes) != (output.digest, output.size_bytes):
            is_now = f"{hashes.digest[:19]}…, {hashes.size_bytes:,} bytes"
            self._found.add("output-changed", path, f"is {is_now}; its record says {output.digest[:19]}…", number)
        elif output.sha256 not in (None, hashes.sha256):
            said = f"SHA-256 is {hashes.sha256[:12]}…, its record says {output.sha256[:12]}…"
            self._found.add("output-changed", path, said, number)
