"""FeedbackInput and ComparisonInput: what somebody says about images, as the page posts it and commands build it."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from stablenew.errors import InvalidDocument
from stablenew.formats.described_model import DescribedModel
from stablenew.formats.model_base import Array, Count, Name, Rating, Slug, explain
from stablenew.formats.strict_json import JsonValue

MAIN_NOTE: Final = "main"
"""The note that `notes` sets; programs may keep others beside it."""
_LONGEST_NOTE: Final = 20_000


class _Input(DescribedModel):
    """Something that somebody says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """The input with these fields.

        Raises:
            InvalidDocument: one is out of range, or of another type.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InvalidDocument(f"not valid feedback: {explain(error)}") from None


class FeedbackInput(_Input):
    """Feedback on one image or run. A field that is not given leaves what it is about as it is."""

    run_id: str
    image_id: Annotated[str, Field(max_length=256)] | None = None
    """A digest, a unique prefix of 8 or more hex digits, a path, or `<variant>/<n>`; null is the whole run."""
    rating: Rating | None = None
    """0 to 5; null, when it is given, takes the rating away."""
    flag: Slug | None = None
    """`pick` or `reject`; null, when it is given, takes the flag away."""
    tags: Array[Name] = ()
    remove_tags: Array[Name] = ()
    notes: Annotated[str, Field(max_length=_LONGEST_NOTE)] | None = None
    """An empty text removes the note."""
    trashed: bool | None = None
    """Whether it goes into the trash, or out of it; null leaves it where it is. Only images go there."""
    aspects: dict[Slug, Rating | None] = Field(default_factory=dict)
    """Ratings of `composition`, `anatomy` and the like; null takes one away."""
    act: Name | None = None
    """An idempotency key: input that arrives again under the same key counts once. Without one it is a new act."""

    @model_validator(mode="after")
    def _trashes_images_only(self) -> Self:
        if self.trashed is not None and self.image_id is None:
            raise ValueError("only images go into the trash, not a whole run")
        return self

    def to_events(self, digest: str | None) -> list[dict[str, JsonValue]]:
        """The events it makes, without clock and rater; `digest` is the image's, None for the whole run."""
        bodies: list[dict[str, JsonValue]] = []
        if "rating" in self.model_fields_set:
            bodies.append({"op": "rate", "rating": self.rating})
        for aspect, rating in self.aspects.items():
            bodies.append({"op": "rate", "rating": rating, "aspect": aspect})
        bodies += [{"op": "tag", "tag": tag, "present": True} for tag in self.tags]
        bodies += [{"op": "tag", "tag": tag, "present": False} for tag in self.remove_tags]
        if self.notes is not None:
            bodies.append({"op": "note", "note_id": MAIN_NOTE, "text": self.notes or None})
        if "flag" in self.model_fields_set:
            bodies.append({"op": "flag", "flag": self.flag})
        if self.trashed is not None:
            bodies.append({"op": "trash", "present": self.trashed})
        common: dict[str, JsonValue] = {"image_id": digest} | ({"act": self.act} if self.act else {})
        return [{**body, **common} for body in bodies]


class ComparisonInput(_Input):
    """Which of two images is better. They may be outputs of two runs."""

    winner_run_id: str
    winner: Annotated[str, Field(max_length=256)]
    """The better image, named as in `FeedbackInput`; for any other outcome than `win`, either of the two."""
    loser_run_id: str
    loser: Annotated[str, Field(max_length=256)]
    outcome: Literal["win", "tie", "both_bad"] = "win"
    shown: Literal["left", "right"] | None = None
    """The side on which the winner was shown."""
    asked: Annotated[str, Field(max_length=256)] | None = None
    """The question, where it was not simply which image is better."""
    repeat: Count | None = None
    """How often the rater had compared these two images before."""
    act: Name | None = None
    """An idempotency key, as in `FeedbackInput`."""

    def to_event(self, winner: str, loser: str) -> tuple[str, dict[str, JsonValue]]:
        """The run whose log it belongs to, and the event it makes, without clock and rater.

        `winner` and `loser` are the digests of the images. The lower one's run is the home, so that both orders of a
        tie have the same one.
        """
        runs = {winner: self.winner_run_id, loser: self.loser_run_id}
        home, other = runs[min(winner, loser)], runs[max(winner, loser)]
        body: dict[str, JsonValue] = {"op": "prefer", "winner": winner, "loser": loser, "outcome": self.outcome}
        optional: dict[str, JsonValue] = {
            "shown": self.shown,
            "other_run_id": other if other != home else None,
            "asked": self.asked,
            "repeat": self.repeat,
            "act": self.act,
        }
        return home, body | {name: value for name, value in optional.items() if value is not None}
