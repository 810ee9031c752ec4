"""What is compared of a run: from its folder, or from a result in memory that was not recorded."""

from collections.abc import Callable

from stablenew.disk.regular_file import is_plain_folder, read_regular
from stablenew.errors import FormatError, RunNotFound
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.pipeline_result import PipelineRunResult
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.pipeline.reproduction.comparison import Reproduction, RunFacts, compare_runs, count_choices
from stablenew.pipeline.run_closure import await_hashes, read_closure
from stablenew.store.run import Run
from stablenew.store.run_folder import OUTPUTS
from stablenew.store.run_store import RunStore


def reproduction_of(store: RunStore, run: Run) -> Reproduction | None:
    """What a recorded run proved about the run that it repeats; None where it repeats none, or that is not here.

    Raises:
        FormatError, OSError: its own metadata cannot be read.
    """
    correlation = run.metadata.correlation
    parent = correlation.parent_run_id if correlation is not None else None
    if parent is None:
        return None
    try:
        before = read_facts(store.open(parent))
    except (RunNotFound, FormatError, OSError):
        return None
    return compare_runs(before, read_facts(run), count_choices(run.metadata.variant_plan))


def compare_result(earlier: Run, result: PipelineRunResult, choices: int) -> Reproduction:
    """The same for a result whose images are still in memory; `choices` variants repeat each of the earlier ones."""
    images = {image.reference.digest: image.data for variant in result.variants for image in variant.images}
    closure = await_hashes(result.closure, result.run_id)
    facts = RunFacts(result.run_id, closure, result.records, lambda output: images.get(output.digest))
    return compare_runs(read_facts(earlier), facts, choices)


def read_facts(run: Run) -> RunFacts:
    """The facts of a recorded run. Outputs are read when they are compared, and only plain files of the run.

    Raises:
        FormatError, OSError: its metadata cannot be read.
    """
    return RunFacts(run.run_id, read_closure(run.metadata), tuple(run.iter_records()), _reader_of(run))


def _reader_of(run: Run) -> Callable[[OutputReference], bytes | None]:
    def read(output: OutputReference) -> bytes | None:
        if output.path is None:
            return None
        try:
            if not is_plain_folder(run.path / OUTPUTS):
                return None
            return read_regular(run.path / output.path, MAX_IMAGE_BYTES)
        except (OSError, FormatError):
            return None

    return read
