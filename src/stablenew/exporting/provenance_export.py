"""Writing sealed runs as crates and as PROV: copies in folders of the user, never into runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import write_once
from stablenew.disk.regular_file import is_regular, read_regular
from stablenew.errors import ConfigError, StableNewError
from stablenew.exporting.prov_document import build_prov
from stablenew.exporting.ro_crate import METADATA_NAME, UNKNOWN_RIGHTS, CratedFile, build_crate
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.formats.media_type import extension_for
from stablenew.formats.strict_json import encode_pretty_json
from stablenew.store.output_access import open_output
from stablenew.store.output_store import hash_file
from stablenew.store.run import Run
from stablenew.store.run_folder import FEEDBACK, MAX_FEEDBACK_BYTES, SEAL, SEALED
from stablenew.store.seal import read_seal
from stablenew.store.upkeep.sealed_copy import copy_run

_IN_PLACE: Final = "in-place"
"""The folder of a crate for images that its run does not hold."""


@dataclass(slots=True)
class ProvenanceReport:
    """What was written, and what was not."""

    written: list[str] = field(default_factory=list)
    """Run ids."""
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"written": self.written, "problems": self.problems}


def export_crates(runs: Sequence[Run], folder: Path, license_url: str = UNKNOWN_RIGHTS) -> ProvenanceReport:
    """A crate for each run in `folder`, named after the run: its sealed files as they are, and what describes them.

    Raises:
        ConfigError: something is in the folder already.
    """

    def write(run: Run, report: ProvenanceReport) -> None:
        _write_crate(run, folder / run.run_id, license_url, report)

    return _export(runs, folder, write)


def export_prov(runs: Sequence[Run], folder: Path) -> ProvenanceReport:
    """A PROV-JSON document for each run in `folder`, named after the run.

    Raises:
        ConfigError: something is in the folder already.
    """

    def write(run: Run, _: ProvenanceReport) -> None:
        document = build_prov(run.metadata, list(run.iter_records()))
        write_once(folder / f"{run.run_id}.prov.json", encode_pretty_json(document))

    return _export(runs, folder, write)


def _export(runs: Sequence[Run], folder: Path, write: Callable[[Run, ProvenanceReport], None]) -> ProvenanceReport:
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; export into a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    report = ProvenanceReport()
    for run in runs:
        if (state := run.state) != SEALED:
            report.problems.append(f"{run.run_id}: it is {state}; only sealed runs are exported")
            continue
        try:
            write(run, report)
            report.written.append(run.run_id)
        except (StableNewError, OSError) as error:
            report.problems.append(f"{run.run_id}: {error}")
    return report


def _write_crate(run: Run, target: Path, license_url: str, report: ProvenanceReport) -> None:
    sums = {name: sha256 for name, sha256 in read_seal(run.path).items() if is_regular(run.path / name)}
    copy_run(run.path, target, sums)
    if is_regular(run.path / FEEDBACK):
        write_once(target / FEEDBACK, read_regular(run.path / FEEDBACK, MAX_FEEDBACK_BYTES))
    records = list(run.iter_records())
    places = _copy_in_place(run, records, target, report)
    places |= {output.digest: output.path for _, output in run.iter_outputs() if output.path in sums}
    names = [*sums, SEAL, *([FEEDBACK] if (target / FEEDBACK).exists() else []), *places.values()]
    crate = build_crate(
        run.metadata, records, [_file(target, name) for name in dict.fromkeys(names)], places, license_url
    )
    write_once(target / METADATA_NAME, encode_pretty_json(crate))


def _file(target: Path, name: str) -> CratedFile:
    hashes = hash_file(target / name)
    return CratedFile(name, hashes.size_bytes, hashes.sha256 if name != FEEDBACK else None)


def _copy_in_place(
    run: Run, records: Sequence[LearningRecord], target: Path, report: ProvenanceReport
) -> dict[str, str]:
    """Copies of the images that the run describes in their place, each with the recorded bytes; path by digest."""
    places: dict[str, str] = {}
    outputs = {output.digest: output for record in records for output in record.outputs if not output.is_held}
    for digest, output in outputs.items():
        try:
            with open_output(run, output) as file:
                data = file.read(MAX_IMAGE_BYTES)
        except (StableNewError, OSError) as error:
            report.problems.append(f"{run.run_id}: {output.origin.name if output.origin else digest}: {error}")
            continue
        place = f"{_IN_PLACE}/{digest[7:19]}.{extension_for(output.media_type)}"
        (target / _IN_PLACE).mkdir(exist_ok=True)
        write_once(target / place, data)
        places[digest] = place
    return places
