"""What the index keeps of a run: the facts that history shows and searches, taken from the documents of its folder."""

import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from stablenew.formats.run_id import stamp_of
from stablenew.formats.settings import INDEXED
from stablenew.index.reading.fast_document_reader import FastMetadata, FastRecord
from stablenew.store.feedback.fast_feedback_reader import NeedsStrictReader

NO_RECORD: Final = -1
"""The variant number in the row of a run without readable records: every run has at least one row in `variant`."""

_NAMES: Final = tuple(setting.name for setting in INDEXED)
_SEED: Final = _NAMES.index("seed")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")


class VariantEntry(NamedTuple):
    """One executed variant."""

    number: int
    """The variant's index in its plan."""
    status: str
    prompt: str | None
    negative: str | None
    settings: tuple[Any, ...]
    """The settings as they ran, in the order of `INDEXED`; the seed as an integer, None where it is not known."""
    duration_seconds: float | None
    loras: tuple[str, ...]
    embeddings: tuple[str, ...]
    pack: str | None
    outputs: tuple[tuple[str, str], ...]
    """Path and digest of the final outputs."""
    output_sizes: tuple[tuple[str, int], ...]
    """Path and size of all outputs."""
    rating: int | None = None
    """The highest rating that anybody gave one of its outputs."""

    @property
    def seed(self) -> int | None:
        """The seed that it ran with."""
        return cast("int | None", self.settings[_SEED])


class MetadataEntry(NamedTuple):
    """The facts of `run_metadata.json`."""

    created_ms: int
    status: str
    engine: str | None
    action: str | None
    packs: tuple[str, ...]
    tags: tuple[str, ...]
    plan_size: int | None
    record_count: int | None
    duration_seconds: float | None


class OpinionEntry(NamedTuple):
    """The opinions about a run and its images."""

    rating: int | None = None
    image_ratings: tuple[tuple[str, int], ...] = ()
    """Image id and the highest rating that anybody gave it."""
    tags: tuple[str, ...] = ()
    pick_count: int = 0
    reject_count: int = 0
    note_count: int = 0


class RunEntry(NamedTuple):
    """One run."""

    run_id: str
    state: str
    status: str
    created_ms: int
    metadata: MetadataEntry | None
    variants: tuple[VariantEntry, ...]
    opinions: OpinionEntry
    problem: str | None


class RunReading(NamedTuple):
    """A run as it was found, with its signatures; `entry` is None when there is no such run, or no longer."""

    run_id: str
    folder_signature: int
    file_signature: int
    is_hot: bool
    """Whether the folder must be inspected every time: it is not sealed and complete, or was written a moment ago."""
    entry: RunEntry | None


NO_VARIANT: Final = VariantEntry(NO_RECORD, "", None, None, (None,) * len(INDEXED), None, (), (), None, (), ())
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
        action=document.get("one_click_action"),
        packs=tuple([pack_label(pack["id"], pack.get("name")) or "" for pack in document["packs"]]),
        tags=tuple(document.get("learning_tags") or ()),
        plan_size=None if plan is None else plan["size"],
        record_count=document.get("record_count"),
        duration_seconds=document.get("duration_seconds"),
    )


def build_variant_entry(document: FastRecord) -> VariantEntry:
    """What the index keeps of a line of `records.jsonl`: settings as they really ran, where that is known."""
    prompt, outputs = document["prompt"], document["outputs"]
    finals = [output for output in outputs if output.get("role") == "final"] or outputs
    return VariantEntry(
        number=document["variant"]["index"],
        status=document["status"],
        prompt=prompt["positive"],
        negative=prompt.get("negative"),
        settings=_settings_as_run(document),
        duration_seconds=document.get("duration_seconds"),
        loras=tuple([lora["name"] for lora in prompt.get("loras") or ()]),
        embeddings=tuple(prompt.get("embeddings") or ()),
        pack=pack_label(prompt.get("pack_id"), prompt.get("pack_name")),
        outputs=tuple([(output.get("path") or "", output["digest"]) for output in finals]),
        output_sizes=tuple([(output.get("path") or "", output["size_bytes"]) for output in outputs]),
    )


def _settings_as_run(document: FastRecord) -> tuple[Any, ...]:
    settings, actual = document["requested"], document.get("actual")
    if actual:
        settings = settings | {name: value for name, value in actual.items() if value is not None}
    values = list(map(settings.get, _NAMES))
    values[_SEED] = _known_seed(values[_SEED])
    return tuple(values)


def _known_seed(seed: int | str | None) -> int | None:
    """The seed as an integer; -1 means that the engine chose one and did not report it."""
    return None if seed is None or seed == -1 else int(seed)


def build_opinion_entry(opinions: dict[tuple[str, str], dict[str, Any]]) -> OpinionEntry:
    """What the index keeps of folded opinions, by (image id, rater); the image id of the whole run is empty."""
    own: list[tuple[str, int]] = []
    images: dict[str, int] = {}
    tags: set[str] = set()
    flags = {"pick": 0, "reject": 0}
    notes = 0
    for (image, _), opinion in opinions.items():
        rating = opinion.get("rating")
        if rating is not None and image:
            images[image] = max(rating, images.get(image, 0))
        elif rating is not None:
            own.append((opinion["rated_at"], rating))
        tags.update(opinion.get("tags", ()))
        notes += len(opinion.get("notes", ()))
        if opinion.get("flag") in flags:
            flags[opinion["flag"]] += 1
    return OpinionEntry(
        rating=max(own)[1] if own else None,
        image_ratings=tuple(sorted(images.items())),
        tags=tuple(sorted(tags)),
        pick_count=flags["pick"],
        reject_count=flags["reject"],
        note_count=notes,
    )
