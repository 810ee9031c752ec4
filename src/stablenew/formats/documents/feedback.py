"""Feedback: immutable events, their merge, and the fold to what they mean now.

Merge law: the events of two copies of one run's feedback are united by id and sorted by (clock, id). It is commutative,
associative and idempotent, and drops nothing. `state` is never merged; it is folded from the events every time:
what the same rater retracted is left out; per rater, image and aspect | tag | note_id | flag the event with the
greatest (clock, id) wins; every `prefer` counts; an op this program does not know is kept and ignored.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from stablenew.errors import InvalidDocument
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.feedback_fold import fold_opinions, fold_preferences, fold_removals
from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Count,
    Digest,
    Document,
    Extensions,
    HybridClock,
    Name,
    Rating,
    RunId,
    SchemaVersion,
    Sha256,
    Slug,
    WireModel,
)
from stablenew.formats.strict_json import JsonValue, canonical_bytes

SCHEMA_HINT = "../.stablenew/schemas/v1/feedback.schema.json"

REQUIRED_BY_OP: dict[str, tuple[str, ...]] = {
    "rate": ("image_id", "rating"),
    "tag": ("image_id", "tag", "present"),
    "note": ("image_id", "note_id", "text"),
    "flag": ("image_id", "flag"),
    "prefer": ("winner", "loser", "outcome"),
    "trash": ("image_id", "present"),
    "remove": ("digest", "sha256", "size_bytes", "reason"),
    "retract": ("event_ids",),
}
"""The fields each known op needs. `image_id` null is about the whole run; `rating`, `text` or `flag` null clears."""

_LATER_OPS = frozenset({"trash", "remove"})
_NO_ID = "xxh128:" + "0" * 32
_NO_CLOCK = "1970-01-01T00:00:00.000Z-0000"
_NEVER_NULL = frozenset(
    {"tag", "present", "note_id", "winner", "loser", "outcome", "event_ids", "digest", "sha256", "size_bytes", "reason"}
)


def _op_rules(schema: dict[str, Any]) -> None:
    schema["allOf"] = [
        {
            "if": {"properties": {"op": {"const": op}}, "required": ["op"]},
            "then": {
                "required": list(fields),
                "properties": {name: {"not": {"type": "null"}} if name in _NEVER_NULL else {} for name in fields},
            },
        }
        for op, fields in REQUIRED_BY_OP.items()
    ]


class FeedbackEvent(WireModel):
    """One thing one person said at one moment. `id` is the digest of the rest, so an event cannot change unseen."""

    model_config = ConfigDict(json_schema_extra=_op_rules)

    id: Digest
    clock: HybridClock
    replica: Name
    """The machine's log it was first written to."""
    rater: Name
    op: Slug
    image_id: Digest | None = None
    aspect: Slug | None = None
    """What a rating is about, `composition` say; without one, the whole image."""
    rating: Rating | None = None
    tag: Name | None = None
    present: bool | None = None
    note_id: Name | None = None
    text: str | None = None
    flag: Slug | None = None
    winner: Digest | None = None
    loser: Digest | None = None
    outcome: Slug | None = None
    """`win`, `tie` or `both_bad`."""
    shown: Slug | None = None
    """The side on which the winner was shown."""
    other_run_id: RunId | None = None
    """The run of the compared image that is not an output of this run. A comparison across runs stands in the run of
    the image with the lower digest, so that a tie has one home."""
    asked: str | None = None
    """The question of a comparison, where it was not simply which image is better."""
    repeat: Count | None = None
    """How often the rater had compared these two images before."""
    digest: Digest | None = None
    """The output whose bytes were removed on purpose, on the machine that the event comes from."""
    sha256: Sha256 | None = None
    size_bytes: Count | None = None
    reason: str | None = None
    """Why the output was removed."""
    via: Name | None = None
    """The program that the event was taken over from, such as `lightroom`. Its clock is then that program's, and its
    replica is `via-` and that name, so that it is the same event on every machine that takes it over."""
    event_ids: Array[Digest] | None = None
    act: Name | None = None
    """Events of one act, a rating with its tags say, share it and are undone together."""
    redo_of: Digest | None = None
    """The retraction that this event takes back."""

    @model_validator(mode="after")
    def _has_what_its_op_needs(self) -> Self:
        needed = self.model_fields_set.intersection(REQUIRED_BY_OP.get(self.op, ()))
        if reason := explain_incomplete(self.op, {name: getattr(self, name) for name in needed}):
            raise ValueError(reason)
        return self

    @property
    def order(self) -> tuple[str, str]:
        """Where the event stands in history."""
        return (self.clock, self.id)

    @property
    def is_genuine(self) -> bool:
        """Whether `id` is the digest of the rest."""
        return self.id == event_id(self.to_dict())


def explain_incomplete(op: str, fields: Mapping[str, Any]) -> str | None:
    """Which field an event with this op lacks; None when it is complete, or the op is not known here."""
    for name in REQUIRED_BY_OP.get(op, ()):
        if name not in fields:
            return f"an event with op {op!r} needs {name!r}"
        if fields[name] is None and name in _NEVER_NULL:
            return f"an event with op {op!r} needs a value for {name!r}"
    return None


def event_id(fields: Mapping[str, JsonValue]) -> str:
    """The id an event with these fields has: the digest of its canonical bytes without `id`."""
    return digest_json({key: value for key, value in fields.items() if key != "id"})


def build_event(*, clock: str, replica: str, rater: str, op: str, **fields: JsonValue) -> FeedbackEvent:
    """A new event with its id.

    Raises:
        InvalidDocument: a field is missing or out of range, such as rating 6.
    """
    body: dict[str, JsonValue] = {"clock": clock, "replica": replica, "rater": rater, "op": op, **fields}
    return _validate_event({"id": event_id(body), **body})


def draft_event(**fields: JsonValue) -> FeedbackEvent:
    """An event that is checked but not recorded yet: its clock and id are those that `at_clock` will give it.

    Raises: see `build_event`.
    """
    return _validate_event({"id": _NO_ID, "clock": _NO_CLOCK, **fields})


def _validate_event(fields: Mapping[str, JsonValue]) -> FeedbackEvent:
    from pydantic import ValidationError  # noqa: PLC0415

    from stablenew.formats.model_base import explain  # noqa: PLC0415

    try:
        return FeedbackEvent.model_validate(fields)
    except ValidationError as error:
        raise InvalidDocument(f"not a valid feedback event: {explain(error)}") from None


def at_clock(event: FeedbackEvent, clock: str) -> FeedbackEvent:
    """The same event at another clock, with the id it then has."""
    identifier = event_id(event.to_dict() | {"clock": clock})
    return event.model_copy(update={"clock": clock, "id": identifier})


class Note(WireModel):
    """A note as it stands now."""

    note_id: Name
    text: str


class Opinion(WireModel):
    """What one rater now thinks of one image or of the run; only what was said is there."""

    rating: Rating | None = None
    rated_at: HybridClock | None = None
    aspects: dict[str, Rating] | None = None
    tags: Array[Name] | None = None
    notes: Array[Note] | None = None
    flag: Slug | None = None
    trashed: bool | None = None
    """Whether the rater put the image into the trash."""


class Preference(WireModel):
    """One comparison that stands."""

    event_id: Digest
    rater: Name
    winner: Digest
    loser: Digest
    outcome: Slug
    shown: Slug | None = None
    other_run_id: RunId | None = None
    """The run of the image that is not an output of this one."""


class Removal(WireModel):
    """A tombstone: the bytes of an output were removed on purpose on one machine."""

    event_id: Digest
    replica: Name
    digest: Digest
    sha256: Sha256
    size_bytes: Count
    reason: str


class FeedbackState(WireModel):
    """What all events together mean now."""

    run: dict[str, Opinion]
    images: dict[str, dict[str, Opinion]]
    preferences: Array[Preference]
    removals: Array[Removal] | None = None
    """Outputs that were removed. A removal on one machine never removes anything on another."""


class Feedback(Document):
    """`feedback.json`: every event known here, and the state they fold to."""

    KIND: ClassVar[str] = "stablenew.feedback"

    schema_hint: str | None = Field(default=None, alias="$schema", description="A hint for editors; never needed.")
    kind: Literal["stablenew.feedback"] = "stablenew.feedback"
    schema_version: SchemaVersion = SCHEMA_VERSION
    run_id: RunId
    events: Array[FeedbackEvent]
    state: FeedbackState
    ext: Extensions | None = None


def build_feedback(
    run_id: str, events: Iterable[FeedbackEvent], *, unknown: Mapping[str, JsonValue] | None = None
) -> Feedback:
    """The document that holds `events`, in order, each once, with the state they fold to.

    `unknown` holds top-level fields of other programs to be kept.
    """
    ordered = merge_events(events)
    state = _fold(ordered)
    fields: dict[str, Any] = {"$schema": SCHEMA_HINT, "run_id": run_id, "events": ordered, "state": state}
    return Feedback.model_validate(dict(unknown or {}) | fields)


def merge_events(*sources: Iterable[FeedbackEvent]) -> tuple[FeedbackEvent, ...]:
    """The union of all events by id, sorted by (clock, id).

    Two different events with one id can only be forged or damaged; then the greater canonical bytes win, so that the
    result does not depend on the order of `sources`.
    """
    by_id: dict[str, FeedbackEvent] = {}
    for events in sources:
        for event in events:
            known = by_id.setdefault(event.id, event)
            if known is not event and known != event:
                by_id[event.id] = max(known, event, key=lambda event: canonical_bytes(event.to_dict()))
    return tuple(sorted(by_id.values(), key=lambda event: event.order))


def merge_feedback(first: Feedback, second: Feedback) -> Feedback:
    """Both documents merged.

    Raises:
        InvalidDocument: they belong to different runs.
    """
    if first.run_id != second.run_id:
        raise InvalidDocument(f"feedback of run {first.run_id} and of run {second.run_id} cannot be merged")
    unknown = merge_unknown_fields(first, second)
    return build_feedback(first.run_id, merge_events(first.events, second.events), unknown=unknown)


def merge_unknown_fields(*documents: Feedback) -> dict[str, JsonValue]:
    """The top-level fields that are not ours; of two values of one field the greater canonical bytes win."""
    merged: dict[str, JsonValue] = {}
    for document in documents:
        extra = dict(document.model_extra or {})
        if document.ext is not None:
            extra["ext"] = document.ext
        for key, value in extra.items():
            merged[key] = max(merged.get(key, value), value, key=canonical_bytes)
    return merged


def fold_events(events: Iterable[FeedbackEvent]) -> FeedbackState:
    """What `events`, in any order, mean now."""
    return _fold(merge_events(events))


def _fold(ordered: tuple[FeedbackEvent, ...]) -> FeedbackState:
    opinions = fold_opinions(ordered)
    return FeedbackState.model_validate(
        {
            "run": {rater: opinion for (image, rater), opinion in opinions.items() if not image and opinion},
            "images": _by_image(opinions),
            "preferences": fold_preferences(ordered),
        }
        | ({"removals": removals} if (removals := fold_removals(ordered)) else {})
    )


def is_state_of(state: FeedbackState, events: Iterable[FeedbackEvent]) -> bool:
    """Whether `state` says what `events` mean, as far as whoever wrote it knew their ops.

    The first programs knew neither trash nor removals, nor comparisons across runs; what they folded is not wrong.
    """
    if state == fold_events(ordered := merge_events(events)):
        return True
    known = fold_events(event for event in ordered if event.op not in _LATER_OPS)
    preferences = tuple(preference.model_copy(update={"other_run_id": None}) for preference in known.preferences)
    return state == known.model_copy(update={"preferences": preferences})


def _by_image(opinions: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    images: dict[str, dict[str, Any]] = {}
    for (image, rater), opinion in opinions.items():
        if image and opinion:
            images.setdefault(image, {})[rater] = opinion
    return images
