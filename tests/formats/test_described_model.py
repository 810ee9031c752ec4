"""What stands below a field is its description in the JSON Schema."""

from typing import Annotated

from pydantic import Field

from stablenew.formats.described_model import DescribedModel, read_field_docs


class Part(DescribedModel):
    """A part of something."""

    size: int = 0
    """In bytes,
    of the whole."""
    plain: str = ""
    own: Annotated[str, Field(description="said otherwise")] = ""
    """Not looked at."""


class Whole(Part):
    """Something."""

    plain: str = ""
    """Said only here."""
    class_: str = Field("", alias="class")
    """A word that Python keeps to itself."""
    parts: list[Part] = Field(default_factory=list)
    """What it is made of."""


def test_fields_are_described_by_what_stands_below_them():
    schema = Whole.model_json_schema()
    told = {name: field.get("description") for name, field in schema["properties"].items()}
    assert told == {
        "size": "In bytes,\nof the whole.",
        "plain": "Said only here.",
        "own": "said otherwise",
        "class": "A word that Python keeps to itself.",
        "parts": "What it is made of.",
    }
    part = schema["$defs"]["Part"]
    assert part["description"] == "A part of something."
    assert "description" not in part["properties"]["plain"]


def test_nothing_is_read_before_somebody_asks():
    assert Part.model_fields["size"].description is None
    assert read_field_docs(Part)["size"] == "In bytes,\nof the whole."
