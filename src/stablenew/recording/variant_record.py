"""From what a program says about a variant to its record: whatever it says, prompt and images are in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from stablenew.formats.clock import Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.image_content import build_image
from stablenew.recording.images.image_input import ImageInput, read_images
from stablenew.recording.odd_values import (
    OddValues,
    as_text,
    nearest_slug,
    read_digest,
    read_number,
    read_seconds,
    read_seed,
    read_slug,
    read_text,
    read_timestamp,
    to_json,
)
from stablenew.recording.side_channel import attempt, describe

DEFAULT_STAGE: Final = "txt2img"
_MAIN_FIELDS: Final = ("prompt", "requested", "actual", "stages", "metrics")
"""Fields that hold what was given."""


@dataclass(frozen=True, slots=True)
class VariantInput:
    """What a program says about one executed variant; nothing of it is checked yet."""

    prompt: Any = ""
    images: Any = ()
    negative_prompt: Any = ""
    settings: Any = None
    actual: Any = None
    seeds: Any = None
    parents: Any = None
    stage: Any = DEFAULT_STAGE
    label: Any = None
    overrides: Any = None
    started_at: Any = None
    finished_at: Any = None
    duration_seconds: Any = None
    status: Any = None
    error: Any = None
    metrics: Any = None
    others: Mapping[str, Any] | None = None
    """Arguments that are not known."""


@dataclass(frozen=True, slots=True)
class BuiltVariant:
    """A variant ready to be recorded."""

    record: LearningRecord
    images: tuple[GeneratedImage, ...]
    unreadable: dict[int, str]
    """Why an image could not be read, by its place among those that were given."""

    @property
    def problems(self) -> list[str]:
        """Everything that did not fit, by the argument that it was given as."""
        images = [f"images[{number}]: {reason}" for number, reason in self.unreadable.items()]
        odd = [f"{name}: {value[:80]}" for name, value in (self.record.odd or {}).items()]
        return [*images, *odd]


def build_variant(
    given: VariantInput, run: Mapping[str, JsonValue], *, index: int, total: int, clock: Clock
) -> BuiltVariant:
    """The record of a variant, and its images. What does not fit a field is kept in the record as text.

    `run` holds the fields that all records of the run share, its id among them.
    """
    built, error = attempt(_build, given, run, index, total, clock)
    if built is not None:
        return built
    names = [name for name in VariantInput.__slots__ if name not in {"prompt", "images", "others"}]
    others = {name: as_text(getattr(given, name)) for name in names if getattr(given, name) is not None}
    others = {**(given.others or {}), **others, "why": describe(error) if error else ""}
    bare = VariantInput(prompt=as_text(given.prompt), images=given.images, others=others)
    return _build(bare, run, index, total, clock)


def _build(given: VariantInput, run: Mapping[str, JsonValue], index: int, total: int, clock: Clock) -> BuiltVariant:
    odd = OddValues()
    started_at = odd.fit("started_at", given.started_at, read_timestamp) or clock.timestamp()
    stage = _stage_of(odd, given.stage)
    read = _read_images(given)
    images, unreadable = _build_images(odd, given, read, stage, index)
    finished_at = odd.fit("finished_at", given.finished_at, read_timestamp) or clock.timestamp()
    times = {"started_at": started_at, "finished_at": finished_at}
    digests = _digests_by_place(images, unreadable)
    record_fields = _record_fields(odd, given, stage, times, digests)
    head: dict[str, JsonValue] = {
        "kind": LearningRecord.KIND,
        "schema_version": SCHEMA_VERSION,
        **run,
        "variant": {"index": index, "total": total, **_variant_fields(odd, given)},
        **record_fields,
        "outputs": [image.reference.to_dict() for image in images],
    }
    record, error = attempt(LearningRecord.from_dict, _without_none(head | _notes(odd)))
    if record is None:  # a value that nobody thought of: keep it as text, and the images in any case
        odd.note("record", {"why": str(error), **{name: head.get(name) for name in _MAIN_FIELDS}})
        bare = {"prompt": {"positive": as_text(given.prompt)}, "requested": {}, "stages": []}
        record = LearningRecord.from_dict(_without_none({**_without(head, _MAIN_FIELDS), **bare, **_notes(odd)}))
    return BuiltVariant(record, tuple(images), unreadable)


def _without(document: dict[str, JsonValue], names: Iterable[str]) -> dict[str, JsonValue]:
    return {name: value for name, value in document.items() if name not in names}


def _without_none(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in document.items() if value is not None}


def _notes(odd: OddValues) -> dict[str, JsonValue]:
    return {"odd": odd.odd or None, "given_names": odd.given_names or None}


def _stage_of(odd: OddValues, given: Any) -> str:
    stage: str | None = odd.fit("stage", given, read_slug)
    return stage or nearest_slug(given, DEFAULT_STAGE)


def _read_images(given: VariantInput) -> list[ImageInput]:
    if given.images is None:
        return [] if given.error is not None else [ImageInput(None, problem="expected images, found None")]
    return read_images(given.images)


def _build_images(
    odd: OddValues, given: VariantInput, read: list[ImageInput], stage: str, index: int
) -> tuple[list[GeneratedImage], dict[int, str]]:
    seeds = _for_each_image(odd, "seeds", given.seeds, read_seed, len(read))
    parents = _for_each_image(odd, "parents", given.parents, read_digest, len(read))
    images, unreadable = [], {}
    for number, image in enumerate(read):
        if image.data is None:
            unreadable[number] = image.problem or "cannot be read"
            continue
        if image.note is not None:
            odd.note(f"images[{number}]", image.note)
        made = build_image(
            image.data,
            variant=index,
            stage=stage,
            number=number,
            seed=seeds[number],
            role="final",
            pixel_digest=image.pixel_digest,
            parents=[parents[number]] if parents[number] else (),
        )
        images.append(made)
    return images, unreadable


def _digests_by_place(images: Sequence[GeneratedImage], unreadable: Mapping[int, str]) -> list[str | None]:
    """The digest of each image that was given; None for those that could not be read."""
    read = iter(images)
    count = len(images) + len(unreadable)
    return [None if number in unreadable else next(read).reference.digest for number in range(count)]


def _for_each_image(odd: OddValues, name: str, given: Any, read: Any, count: int) -> list[Any]:
    """A value for each image; none where there is not one for each."""
    if given is None:
        return [None] * count
    values, error = ([given], None) if isinstance(given, (str, bytes)) else attempt(_take, given, count + 1)
    if values is None:
        values = [given]
    if (error is not None and count != 1) or len(values) != count:
        odd.note(name, given)
        return [None] * count
    return [odd.fit(f"{name}[{number}]", value, read) for number, value in enumerate(values)]


def _take(values: Iterable[Any], most: int) -> list[Any]:
    """The first `most` of some values, of which there may be no end (`itertools.count`)."""
    return list(islice(values, most))


def _record_fields(
    odd: OddValues, given: VariantInput, stage: str, times: dict[str, JsonValue], digests: Sequence[str | None]
) -> dict[str, JsonValue]:
    seconds = odd.fit("duration_seconds", given.duration_seconds, read_seconds)
    requested = odd.settings("requested", given.settings)
    error = None if given.error is None or given.error is False else as_text(given.error) or None
    status = odd.fit("status", given.status, read_slug) or ("failed" if error is not None else "completed")
    for name, value in (given.others or {}).items():
        odd.note(name, value)
    event = {
        "name": stage,
        "status": status,
        **times,
        "duration_seconds": seconds or 0.0,
        "output_count": len(digests) - digests.count(None),
        "requested": requested,
    }
    return {
        **times,
        "duration_seconds": seconds,
        "status": status,
        "error": {"message": error, "stage": stage} if error is not None else None,
        "prompt": {
            "positive": _prompt_text(odd, "prompt", given.prompt),
            "negative": _prompt_text(odd, "negative_prompt", given.negative_prompt),
        },
        "requested": requested,
        "actual": odd.settings("actual", given.actual) or None,
        "stages": [event],
        "metrics": _metrics(odd, given.metrics, digests) or None,
    }


def _prompt_text(odd: OddValues, name: str, given: Any) -> str:
    """A prompt as text, whatever it is: it is what the record is about."""
    if not isinstance(given, str):
        odd.note(name, given)
    return "" if given is None else as_text(given)


def _variant_fields(odd: OddValues, given: VariantInput) -> dict[str, JsonValue]:
    overrides = to_json(given.overrides)
    if overrides is not None and not isinstance(overrides, dict):
        odd.note("overrides", given.overrides)
        overrides = None
    return _without_none({"label": odd.fit("label", given.label, read_text), "overrides": overrides or None})


def _metrics(odd: OddValues, given: Any, digests: Sequence[str | None]) -> list[JsonValue]:
    """Scores of the variant, or of its images. `digests` are those of the images as given, None for unreadable ones."""
    if given is None:
        return []
    if isinstance(given, (list, tuple)):
        return _scores_of_images(odd, given, digests)
    pairs, _ = attempt(lambda: list(given.items()))
    if pairs is None:
        odd.note("metrics", given)
        return []
    found: list[JsonValue] = []
    for name, value in pairs:
        if isinstance(value, (list, tuple)) and len(value) == len(digests):
            rows = [{name: of_image} for of_image in value]
            found += _scores_of_images(odd, rows, digests)
        else:
            found += _scores(odd, {name: value}, "metrics", None)
    return found


def _scores_of_images(odd: OddValues, given: Sequence[Any], digests: Sequence[str | None]) -> list[JsonValue]:
    if len(given) != len(digests) or not all(isinstance(scores, Mapping) for scores in given):
        odd.note("metrics", given)
        return []
    found: list[JsonValue] = []
    for number, (scores, digest) in enumerate(zip(given, digests, strict=True)):
        if digest is not None:
            found += _scores(odd, scores, f"metrics[{number}]", digest)
    return found


def _scores(odd: OddValues, given: Mapping[Any, Any], group: str, digest: str | None) -> list[JsonValue]:
    names = [(as_text(name), value) for name, value in given.items()]
    values = [(name, odd.fit(f"{group}.{name}", value, read_number)) for name, value in names]
    of_image: dict[str, JsonValue] = {} if digest is None else {"image_id": digest}
    return [
        {**of_image, "metric": nearest_slug(name, "score"), "value": value}
        for name, value in values
        if value is not None
    ]
