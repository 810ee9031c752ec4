"""What the index keeps of a run: the facts that history shows and searches, taken from the documents of its folder."""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from stablenew.formats.run_id import stamp_of
from stablenew.formats.settings import FILES, INDEXED
from stablenew.index.reading.fast_document_reader import FastMetadata
from stablenew.store.feedback.fast_feedback_reader import NeedsStrictReader
from stablenew.store.metric_files import Score

NO_RECORD: Final = -1
"""The variant number in the row of a run without readable records: every run has at least one row in `variant`."""
NO_SPELLINGS: Final = (None,) * len(FILES)
_SEED: Final = tuple(setting.name for setting in INDEXED).index("seed")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")


class OutputEntry(NamedTuple):
    """A final output of a variant."""

    path: str | None
    digest: str
    width: int | None
    height: int | None
    media_type: str
    stage: str
    sha256: str | None = None


class ScoreEntry(NamedTuple):
    """A number that a program or a rater gave an image."""

    image: str
    name: str
    """`metric.NAME` or `aspect.NAME`."""
    source: str
    """The scorer or rater."""
    value: float | None
    """None where a rater took it back."""
    scored_at: str
    """Of an aspect clock and event."""


class VariantEntry(NamedTuple):
    """One executed variant."""

    number: int
    """The variant's index in its plan."""
    status: str
    prompt: str | None
    negative: str | None
    settings: tuple[Any, ...]
    """The settings as they ran, in the order of `INDEXED`; the seed as an integer, None where it is not known.

    Model files have their common names.
    """
    other_settings: tuple[tuple[str, int | float | str], ...]
    """Name and value of the settings that have no column, sorted by name."""
    duration_seconds: float | None
    loras: tuple[str, ...]
    embeddings: tuple[str, ...]
    pack: str | None
    outputs: tuple[OutputEntry, ...]
    """The final outputs."""
    output_sizes: tuple[tuple[str, int], ...]
    """Path and size of all outputs that the run holds."""
    scores: tuple[ScoreEntry, ...] = ()
    made_ms: int | None = None
    """When the images were made, where the run does not say so: those of an imported run are older than it."""
    spellings: tuple[str | None, ...] = NO_SPELLINGS
    """In the order of `FILES` the names of model files as they were recorded, where these are not the common ones."""

    @property
    def seed(self) -> int | None:
        """The seed that it ran with."""
        return cast("int | None", self.settings[_SEED])


class MetadataEntry(NamedTuple):
    """The facts of `run_metadata.json`."""

    created_ms: int
    status: str
    engine: str | None
    source: str
    action: str | None
    packs: tuple[str, ...]
    tags: tuple[str, ...]
    plan_size: int | None
    record_count: int | None
    duration_seconds: float | None


class ImageOpinion(NamedTuple):
    """What a rater thinks of an image; the image of the whole run is empty."""

    image: str
    rater: str
    rating: int | None
    rated_at: str | None
    """When the rating was given, or taken back."""
    flag: str | None
    flagged_at: str | None
    """The same of the flag."""
    is_empty: bool
    """Whether all that was said was taken back."""


class ComparisonEntry(NamedTuple):
    """Which of two images somebody preferred."""

    event: str
    winner: str
    loser: str
    rater: str
    outcome: str
    shown: str | None
    asked: str | None
    repeat: int
    """How often the rater had compared them before."""
    clock: str


class OpinionEntry(NamedTuple):
    """The opinions about a run and its images."""

    rating: int | None = None
    image_ratings: tuple[tuple[str, int], ...] = ()
    """Image id and the highest rating that anybody gave it."""
    tags: tuple[str, ...] = ()
    pick_count: int = 0
    reject_count: int = 0
    note_count: int = 0
    opinions: tuple[ImageOpinion, ...] = ()
    image_tags: tuple[tuple[str, str, str, str, bool], ...] = ()
    """Image, rater, tag, clock and event of the rater's last word about it, and whether the image has it.

    The image of the whole run is empty.
    """
    notes: tuple[tuple[str, str, str, str, str | None], ...] = ()
    """Image, rater, note id, clock and event of the last word about a note, and its text; None where it was removed."""
    scores: tuple[ScoreEntry, ...] = ()
    comparisons: tuple[ComparisonEntry, ...] = ()
    trash: tuple[tuple[str, str, bool], ...] = ()
    """Image, the clock of the latest word about it and the trash, and whether it is in."""


class RunEntry(NamedTuple):
    """One run."""

    run_id: str
    state: str
    status: str
    created_ms: int
    metadata: MetadataEntry | None
    variants: tuple[VariantEntry, ...]
    opinions: OpinionEntry
    scores: tuple[ScoreEntry, ...]
    """The scores that were added after the recording."""
    problem: str | None


class RunReading(NamedTuple):
    """A run as it was found, with its signatures; `entry` is None when there is no such run, or no longer."""

    run_id: str
    folder_signature: int
    file_signature: int
    is_hot: bool
    """Whether the folder must be inspected every time: it is not sealed and complete, or was written a moment ago."""
    entry: RunEntry | None


NO_VARIANT: Final = VariantEntry(NO_RECORD, "", None, None, (None,) * len(INDEXED), (), None, (), (), None, (), ())
"""Stands for the variants of a run without readable records."""


def milliseconds_of(timestamp: str) -> int:
    """A written timestamp in milliseconds since 1970."""
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NeedsStrictReader(f"expected a timestamp, found {timestamp!r}")
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError as error:
        raise NeedsStrictReader(str(error)) from None
    delta = moment - _EPOCH
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def milliseconds_of_id(run_id: str) -> int:
    """The creation time in a generated run id; 0 for other run ids."""
    try:
        return milliseconds_of(stamp_of(run_id) or "")
    except NeedsStrictReader:
        return 0


def pack_label(pack_id: str | None, name: str | None) -> str | None:
    """A pack as one text, which is both shown and searched: `<name> NUL <id>`."""
    return f"{name or pack_id}\0{pack_id or name}" if pack_id or name else None


def build_metadata_entry(document: FastMetadata) -> MetadataEntry:
    """What the index keeps of a `run_metadata.json`."""
    plan = document.get("variant_plan")
    return MetadataEntry(
        created_ms=milliseconds_of(document["created_at"]),
        status=document["status"],
        engine=document["source"].get("engine"),
        source=document["source"]["name"],
        action=document.get("one_click_action"),
        packs=tuple([pack_label(pack["id"], pack.get("name")) or "" for pack in document["packs"]]),
        tags=tuple(document.get("learning_tags") or ()),
        plan_size=None if plan is None else plan["size"],
        record_count=document.get("record_count"),
        duration_seconds=document.get("duration_seconds"),
    )


def build_scores(scores: Iterable[Score], all_images: Collection[str]) -> Iterator[ScoreEntry]:
    """Scores as the index keeps them; one without an image is that of each of `all_images`."""
    for score in scores:
        for image in all_images if score.image_id is None else [score.image_id]:
            yield ScoreEntry(image, f"metric.{score.metric}", score.scorer, score.value, score.scored_at)
