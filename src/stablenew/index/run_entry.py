"""What the index keeps of a run: the facts that history shows and searches, taken from the folder's documents.

Documents come here as plain JSON values. Whatever the index uses of them is checked; a value that is not of the type
the format gives it raises `NotPlain`, and then the strict reader decides.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast

from stablenew.formats.digest import is_digest
from stablenew.formats.output_path import is_output_path
from stablenew.formats.run_id import stamp_of
from stablenew.store.plain_feedback import NotPlain

NO_RECORD: Final = -1
"""The variant index of a run that has no record that can be read: so that every run has a variant."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TEXT_OR_NONE: Final = {str, type(None)}
_SETTINGS: Final = (
    "model", "sampler", "scheduler", "vae", "steps", "clip_skip", "width", "height", "cfg_scale", "denoising_strength"
)  # fmt: skip
_REALS: Final = {8, 9}
_SETTING_TYPES: Final = (*[_TEXT_OR_NONE] * 4, *[{int, type(None)}] * 4, *[{float, type(None)}] * 2)


class VariantEntry(NamedTuple):
    """One executed variant."""

    number: int
    """The variant's index in its plan."""
    status: str
    prompt: str | None
    negative: str | None
    model: str | None
    sampler: str | None
    scheduler: str | None
    vae: str | None
    steps: int | None
    clip_skip: int | None
    width: int | None
    height: int | None
    cfg_scale: float | None
    denoising_strength: float | None
    seed: int | None
    duration_seconds: float | None
    loras: tuple[str, ...]
    embeddings: tuple[str, ...]
    pack: str | None
    outputs: tuple[tuple[str, str], ...]
    """Path and digest of the final outputs."""
    output_sizes: tuple[tuple[str, int], ...]
    """Path and size of all outputs."""
    rating: int | None = None
    """The best that anybody gave one of its outputs."""


class MetadataEntry(NamedTuple):
    """What `run_metadata.json` says."""

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
    """What people think of a run and its images."""

    rating: int | None = None
    image_ratings: tuple[tuple[str, int], ...] = ()
    """Image id and the best rating anybody gave it."""
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
    """A run as it was found, with its signatures; `entry` is None when there is no such run (any more)."""

    run_id: str
    folder_signature: int
    file_signature: int
    is_hot: bool
    """Whether the next look must go into the folder: it is not sealed and whole, or was only just written."""
    entry: RunEntry | None


NO_VARIANT: Final = VariantEntry(NO_RECORD, "", *(None,) * 14, (), (), None, (), ())


def milliseconds_of(timestamp: str) -> int:
    """A written timestamp in milliseconds since 1970."""
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotPlain(f"expected a timestamp, found {timestamp!r}")
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError as error:
        raise NotPlain(str(error)) from None
    delta = moment - _EPOCH
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def milliseconds_of_id(run_id: str) -> int:
    """When a run was made by its generated id; 0 when the id does not say."""
    try:
        return milliseconds_of(stamp_of(run_id) or "")
    except NotPlain:
        return 0


def pack_label(pack_id: str | None, name: str | None) -> str | None:
    """A pack as one text, by which it is shown and found: `<name> NUL <id>`."""
    return f"{name or pack_id}\0{pack_id or name}" if pack_id or name else None


def build_metadata_entry(document: Any) -> MetadataEntry:
    """What the index keeps of a parsed `run_metadata.json`."""
    fields = _document(document, "stablenew.run_metadata")
    packs = _objects(fields, "packs")
    plan = fields.get("variant_plan")
    return MetadataEntry(
        created_ms=milliseconds_of(_text(fields, "created_at")),
        status=_slug(fields, "status"),
        engine=_optional_text(_object(fields, "source"), "engine"),
        action=_optional_text(fields, "one_click_action"),
        packs=tuple([pack_label(_text(pack, "id"), _optional_text(pack, "name")) or "" for pack in packs]),
        tags=_texts(fields, "learning_tags"),
        plan_size=None if plan is None else _count(_checked(plan, dict), "size"),
        record_count=_optional_count(fields, "record_count"),
        duration_seconds=_number(fields, "duration_seconds"),
    )


def build_variant_entry(document: Any) -> VariantEntry:
    """What the index keeps of a parsed line of `records.jsonl`: settings as they really ran, where that is known."""
    fields = _document(document, "stablenew.learning_record")
    prompt, outputs = _object(fields, "prompt"), _objects(fields, "outputs")
    settings, seed = _settings(fields)
    if not _TIMESTAMP.fullmatch(_text(fields, "started_at")):
        raise NotPlain("expected a timestamp in started_at")
    for output in outputs:
        if not is_output_path(_text(output, "path")) or not is_digest(_text(output, "digest")):
            raise NotPlain("expected the path and the digest of an output")
    finals = [one for one in outputs if one.get("role") == "final"] or outputs
    pack_id, pack_name, negative = prompt.get("pack_id"), prompt.get("pack_name"), prompt.get("negative")
    if not _TEXT_OR_NONE.issuperset((type(pack_id), type(pack_name), type(negative))):
        raise NotPlain("expected texts in prompt")
    return VariantEntry(
        _count(_object(fields, "variant"), "index"),
        _slug(fields, "status"),
        _text(prompt, "positive"),
        negative,
        *settings,
        seed=seed,
        duration_seconds=_number(fields, "duration_seconds"),
        loras=tuple(_text(lora, "name") for lora in _objects(prompt, "loras")) if "loras" in prompt else (),
        embeddings=_texts(prompt, "embeddings"),
        pack=pack_label(pack_id, pack_name),
        outputs=tuple([(one["path"], one["digest"]) for one in finals]),
        output_sizes=tuple([(one["path"], _count(one, "size_bytes")) for one in outputs]),
    )


_T: TypeAlias = str | None
_I: TypeAlias = int | None
_F: TypeAlias = float | None


def _settings(fields: dict[str, Any]) -> tuple[tuple[_T, _T, _T, _T, _I, _I, _I, _I, _F, _F], int | None]:
    """The settings in the order of `VariantEntry`, and the seed."""
    asked, ran = _object(fields, "requested"), fields.get("actual")
    if ran is None:
        settings = asked
    elif type(ran) is not dict:
        raise NotPlain("expected an object in actual")
    elif None in ran.values():
        settings = asked | {key: value for key, value in ran.items() if value is not None}
    else:
        settings = asked | ran
    values = [settings.get(name) for name in _SETTINGS]
    for position, value in enumerate(values):
        if type(value) is int and position in _REALS:
            values[position] = float(value)
        elif type(value) not in _SETTING_TYPES[position]:
            raise NotPlain(f"expected another type in {_SETTINGS[position]}, found {type(value).__name__}")
    return cast("tuple[_T, _T, _T, _T, _I, _I, _I, _I, _F, _F]", tuple(values)), _seed(settings)


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


def _document(value: Any, kind: str) -> dict[str, Any]:
    fields = _checked(value, dict)
    version = fields.get("schema_version")
    if fields.get("kind") != kind or type(version) is not str or not version.startswith("1."):
        raise NotPlain(f"expected a {kind} document of version 1.x")
    return fields


_Kind = TypeVar("_Kind")


def _checked(value: Any, kind: type[_Kind]) -> _Kind:
    if type(value) is not kind:
        raise NotPlain(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if type(value) is not str:
        raise NotPlain(f"expected text in {name}, found {type(value).__name__}")
    return value


def _optional_text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and type(value) is not str:
        raise NotPlain(f"expected text in {name}, found {type(value).__name__}")
    return value


def _slug(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if not _SLUG.fullmatch(value):
        raise NotPlain(f"expected a word in {name}, found {value!r}")
    return value


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or value < 0:
        raise NotPlain(f"expected a count in {name}, found {value!r}")
    return value


def _optional_count(fields: dict[str, Any], name: str) -> int | None:
    return None if fields.get(name) is None else _count(fields, name)


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None or type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise NotPlain(f"expected a number in {name}, found {type(value).__name__}")


def _seed(settings: dict[str, Any]) -> int | None:
    """The seed as it ran; -1 means that an engine chose one, and nobody knows which."""
    seed = settings.get("seed")
    if type(seed) is str:
        try:
            seed = int(seed)
        except ValueError:
            raise NotPlain(f"expected a seed, found {seed!r}") from None
    if seed is not None and type(seed) is not int:
        raise NotPlain(f"expected a seed, found {type(seed).__name__}")
    return None if seed == -1 else seed


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return _checked(fields.get(name), dict)


def _objects(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = fields.get(name)
    if value is None:
        return []
    return [_checked(item, dict) for item in _checked(value, list)]


def _texts(fields: dict[str, Any], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    if value is None:
        return ()
    return tuple(_checked(item, str) for item in _checked(value, list))
