"""What changed between a run and its repetition.

What a record says a second time does not count again: the number type beside that of the closure, the configuration of
a sampler beside the file that it was read from, the file of another model beside its name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stablenew.diffusers_facts import SAMPLER_CONFIG
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import Closure
from stablenew.formats.settings import BY_NAME, SAMPLER, SCHEDULE
from stablenew.pipeline.reproduction.change import DEVICE, DTYPE, FILE, Change
from stablenew.pipeline.reproduction.closure_changes import compare_closures
from stablenew.pipeline.reproduction.setting_changes import compare_records

_SAMPLING: Final = {BY_NAME[name].title for name in (SAMPLER, SCHEDULE)}
_SAMPLER_FILE: Final = f"{BY_NAME[SAMPLER].diffusers_part} "
"""How the name of a change begins that is in a file which configures a sampler."""
_SAMPLER_CONFIG: Final = SAMPLER_CONFIG.replace("_", " ")
_IN_CLOSURE: Final = {"dtype": DTYPE, "device": DEVICE}


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, and what cannot be compared because one of the two runs does not say it."""

    found: tuple[Change, ...]
    unknown: tuple[str, ...] = ()


def find_changes(
    closures: tuple[Closure | None, Closure | None], records: Iterable[tuple[LearningRecord, LearningRecord]]
) -> Changes:
    """The changes from the first of each pair to the second."""
    settings = compare_records(records)
    before, after = closures
    if before is None or after is None:
        which = "of both runs" if before is after else "of the first run" if before is None else "of the second run"
        return Changes(tuple(settings), (f"what the images {which} depended on was not recorded",))
    found, unknown = compare_closures(before, after)
    found = _without_explained(found, settings)
    return Changes((*found, *_without_repeated(settings, found)), tuple(unknown))


def _without_explained(found: Iterable[Change], settings: Iterable[Change]) -> list[Change]:
    """Where another model or VAE ran by name, other files are the same change."""
    names = {change.name for change in settings}
    titles = tuple(title for name, title in (("Model", "checkpoint "), ("VAE", "VAE ")) if name in names)
    return [change for change in found if not (_is_other_file(change) and change.name.startswith(titles))]


def _is_other_file(change: Change) -> bool:
    return change.kind == FILE and None in (change.before, change.after)


def _without_repeated(settings: Iterable[Change], found: Sequence[Change]) -> list[Change]:
    """The changes of settings that no change of the closure says already."""
    settings = tuple(settings)
    kinds = {change.kind for change in found}
    has_sampler = any(change.kind == FILE and change.name.startswith(_SAMPLER_FILE) for change in found)
    has_sampler = has_sampler or not _SAMPLING.isdisjoint(change.name for change in settings)
    return [
        change
        for change in settings
        if _IN_CLOSURE.get(change.name.removeprefix("extra.")) not in kinds
        if not (has_sampler and change.name == _SAMPLER_CONFIG)
    ]
