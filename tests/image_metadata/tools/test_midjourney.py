"""Midjourney."""

import pytest

from tests.image_metadata.tools.reading import holds, read_texts

JOB = "0b0f1d2c-1234-4a65-8b03-a65cdfdbf22f"


def read(text, **more):
    return read_texts({"Description": f"{text} Job ID: {JOB}", "Author": "someone"} | more)


def test_midjourney():
    found = read("a flying boat, dusk --no fog, rain --ar 16:9 --v 6.1 --seed 7", **{
        "Creation Time": "Thu, 06 Mar 2025 08:49:39 GMT"
    })  # fmt: skip
    assert (found.tool, found.tool_version, found.prompt) == ("Midjourney", "6.1", "a flying boat, dusk")
    assert found.negative_prompt == "fog, rain"
    assert holds(found, seed=7, model="Midjourney 6.1", aspect="16:9", **{"Job ID": JOB})
    assert found.made_at == "2025-03-06T08:49:39+00:00"


@pytest.mark.parametrize(
    ("text", "version"), [("a boat", None), ("a boat --niji 6", "niji 6"), ("a boat \u2014v 5", "5")]
)
def test_options_may_be_few_or_written_otherwise(text, version):
    found = read(text)
    assert (found.prompt, found.tool_version, found.negative_prompt) == ("a boat", version, None)


def test_a_description_without_a_job_is_none_of_its_images():
    assert read_texts({"Description": "a boat --v 6"}).tool is None
    assert read_texts({"Description": "Job ID: 12"}).tool is None
