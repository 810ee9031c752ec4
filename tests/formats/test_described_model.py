"""What stands below a field is its description in the JSON Schema."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
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


BUILT_AT_ONCE = """
import sys, threading
from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata

sys.setswitchinterval(1e-6)
start = threading.Barrier(8)
found = []

def use():
    start.wait()
    for model in (LearningRecord, RunMetadata, FeedbackEvent):
        try:
            model.model_validate({"kind": "no such kind"})
        except ValueError as error:
            found.append((model.__name__, error.title, error.error_count()))

threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 24, found
assert len(set(found)) == 3 and all(name == title for name, title, _ in found), set(found)
"""


@pytest.mark.heavy
def test_threads_that_use_a_model_first_at_once_find_the_whole_model():
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", BUILT_AT_ONCE], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.heavy
def test_a_part_that_was_made_within_a_whole_can_be_written_alone():
    code = (
        "from tests.formats.test_described_model import Part, Whole\n"
        "part = Whole.model_validate({'class': 'a', 'parts': [{'size': 3}]}).parts[0]\n"
        "assert part.model_dump(exclude_unset=True) == {'size': 3}\n"
        "assert Whole(parts=[part]).model_dump(exclude_unset=True) == {'parts': [{'size': 3}]}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
