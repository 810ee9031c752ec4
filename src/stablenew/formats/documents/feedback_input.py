"""FeedbackInput: one thing that somebody says about an image or a run, as the page posts it and commands build it."""

from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, ValidationError

from stablenew.errors import InvalidDocument
from stablenew.formats.described_model import DescribedModel
from stablenew.formats.model_base import Array, Name, Rating, Slug, explain
from stablenew.formats.strict_json import JsonValue

MAIN_NOTE: Final = "main"
"""The note that `notes` sets; programs may keep others beside it."""
_LONGEST_NOTE: Final = 20_000


class FeedbackInput(DescribedModel):
    """Feedback on one image or run. A field that is not given leaves what it is about as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

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
    aspects: dict[Slug, Rating | None] = Field(default_factory=dict)
    """Ratings of `composition`, `anatomy` and the like; null takes one away."""
    act: Name | None = None
    """An idempotency key: input that arrives again under the same key counts once. Without one it is a new act."""

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
        common: dict[str, JsonValue] = {"image_id": digest} | ({"act": self.act} if self.act else {})
        return [{**body, **common} for body in bodies]
