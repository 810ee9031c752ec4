"""Reproduction: for each image of a run that ran again whether it is the same, and what changed where it is not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import Closure, PlanSummary
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.recorded_plan import MODE
from stablenew.pipeline.reproduction.change import Change
from stablenew.pipeline.reproduction.changes import find_changes
from stablenew.pipeline.reproduction.pixels import PixelDifference, compare_pixels

IDENTICAL: Final = "identical"
SAME_PIXELS: Final = "same pixels"
ALIKE: Final = "looks alike"
DIFFERS: Final = "differs"
MISSING: Final = "missing"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What of a run is compared. `read` gives the bytes of an output, None where they are gone."""

    run_id: str
    closure: Closure | None
    records: Sequence[LearningRecord]
    read: Callable[[OutputReference], bytes | None]


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """One image, then and now."""

    variant: int
    stage: str
    number: int
    verdict: str
    """`identical`, `same pixels` (another file), `looks alike`, `differs`, or `missing` now."""
    difference: PixelDifference | None = None
    before: str | None = None
    """Its digest then."""
    after: str | None = None

    def describe(self) -> str:
        """The verdict with its figures."""
        if self.difference is None or self.verdict == SAME_PIXELS:
            return self.verdict
        apart = self.difference
        return (
            f"{self.verdict}: {apart.mean:.2f} of 255 apart in the mean, {apart.largest} at most, "
            f"in {apart.changed_share:.0%} of the pixels"
        )

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON form."""
        return {
            "variant": self.variant, "stage": self.stage, "number": self.number, "verdict": self.verdict,
            "difference": dict(self.difference.to_dict()) if self.difference else None,
            "before": self.before, "after": self.after,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a rerun proved."""

    run_id: str
    parent_run_id: str
    images: tuple[ImageComparison, ...]
    changes: tuple[Change, ...]
    unknown: tuple[str, ...]
    """What could not be compared."""

    @property
    def is_exact(self) -> bool:
        """Whether every image is there with the same pixels."""
        return all(image.verdict in (IDENTICAL, SAME_PIXELS) for image in self.images)

    @property
    def cause(self) -> Change | None:
        """The only thing that changed, where images differ; of several changes nobody can tell which it was."""
        return self.changes[0] if len(self.changes) == 1 and not self.is_exact and not self.unknown else None

    def conclude(self) -> str:
        """What follows from images and changes, in one sentence."""
        if self.is_exact:
            return "what changed had no effect on these images" if self.changes else "nothing known changed"
        if self.cause is not None:
            return "that is the only known change: it is the cause"
        if len(self.changes) > 1:
            return f"{len(self.changes)} things changed; which of them is the cause cannot be told from one rerun"
        if self.changes:
            return "the only known change; not everything is known, so it need not be the cause"
        return "nothing known changed" + ("; not everything is known" if self.unknown else "")

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON form."""
        return {
            "run_id": self.run_id,
            "parent_run_id": self.parent_run_id,
            "is_exact": self.is_exact,
            "counts": dict(self.count_verdicts()),
            "images": [image.to_dict() for image in self.images],
            "changes": [change.to_dict() for change in self.changes],
            "unknown": list(self.unknown),
            "cause": self.cause.to_dict() if self.cause else None,
            "conclusion": self.conclude(),
        }

    def count_verdicts(self) -> dict[str, int]:
        """How many images have each verdict, in the order from the same to the missing."""
        verdicts = [image.verdict for image in self.images]
        known = (IDENTICAL, SAME_PIXELS, ALIKE, DIFFERS, MISSING)
        return {verdict: verdicts.count(verdict) for verdict in known if verdict in verdicts}


def compare_runs(before: RunFacts, after: RunFacts, choices: int = 1) -> Reproduction:
    """What came of running `before` again as `after`, which has `choices` variants for each of `before`."""
    pairs = list(_pair_records(before.records, after.records, choices))
    changes = find_changes((before.closure, after.closure), pairs)
    images = [image for old, new in pairs for image in _compare_outputs(before, after, old, new)]
    unknown = (*changes.unknown, *_kept_images(after.records))
    return Reproduction(after.run_id, before.run_id, tuple(images), changes.found, unknown)


def _kept_images(records: Sequence[LearningRecord]) -> Iterator[str]:
    """What was not computed again: a server may return images that it cached for the same workflow."""
    kept = [record for record in records if record.actual is not None and record.actual.to_dict().get("cached")]
    if kept:
        yield f"whether the server draws the same again: it gave what it had kept (variants: {len(kept)})"


def count_choices(plan: PlanSummary | None) -> int:
    """How many variants of a rerun repeat each one of the earlier run: a sweep makes several of one."""
    return max(1, prod(len(axis.values) for axis in plan.axes)) if plan is not None and plan.mode == MODE else 1


def _pair_records(
    before: Sequence[LearningRecord], after: Sequence[LearningRecord], choices: int
) -> Iterator[tuple[LearningRecord, LearningRecord]]:
    """Each new record with the one whose variant it repeats."""
    for record in after:
        position = record.variant.index // choices
        if position < len(before):
            yield before[position], record


def _compare_outputs(
    before: RunFacts, after: RunFacts, old: LearningRecord, new: LearningRecord
) -> Iterator[ImageComparison]:
    """The outputs of a variant by stage and place in it. Those of stages that only one of the two had are left out."""
    stages = dict.fromkeys(output.stage for output in old.outputs)
    for stage in stages:
        first, second = ([output for output in record.outputs if output.stage == stage] for record in (old, new))
        if not second and not any(event.name == stage for event in new.stages) and new.status == "completed":
            continue
        for number, output in enumerate(first):
            there = second[number] if number < len(second) else None
            verdict, difference = _judge(before, after, output, there)
            digest = there.digest if there else None
            yield ImageComparison(new.variant.index, stage, number, verdict, difference, output.digest, digest)


def _judge(
    before: RunFacts, after: RunFacts, old: OutputReference, new: OutputReference | None
) -> tuple[str, PixelDifference | None]:
    if new is None:
        return MISSING, None
    if old.digest == new.digest:
        return IDENTICAL, None
    first, second = before.read(old), after.read(new)
    difference = compare_pixels(first, second) if first is not None and second is not None else None
    if difference is None:
        return DIFFERS, None
    if difference.is_none:
        return SAME_PIXELS, difference
    return (ALIKE if difference.looks_alike else DIFFERS), difference
