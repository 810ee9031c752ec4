"""Programs that nobody knows: a prompt under a plain name with settings beside it, and nothing that only looks so."""

import json

import pytest

from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image, make_png
from tests.image_metadata.tools.reading import read_texts, with_version

SAID = {"prompt": "a quay <lora:ink:0.7>", "negative_prompt": "fog", "steps": 20, "seed": 42}


def read_json(value, key="Comment", **more):
    return read_texts({key: json.dumps(value), **more})


def test_json_with_a_prompt_and_settings_is_a_generation():
    found = read_json(SAID | {"guidance": 3.5, "my_own": "x", "list": [1]})
    assert (found.prompt, found.negative_prompt) == (SAID["prompt"], "fog")
    assert found.settings == {"steps": 20, "cfg_scale": 3.5, "seed": 42, "my_own": "x"}
    assert found.loras == (Lora("ink", 0.7),)


@pytest.mark.parametrize("name", ["prompt", "Prompt", "positive_prompt", "positivePrompt", "Positive Prompt"])
def test_a_prompt_goes_by_several_names(name):
    assert read_json({name: "a quay", "steps": 20, "seed": 1}).prompt == "a quay"


@pytest.mark.parametrize("name", ["negative_prompt", "negativePrompt", "Negative Prompt", "negative", "uc"])
def test_so_does_a_negative_one(name):
    assert read_json({"prompt": "a", name: "fog", "steps": 20, "seed": 1}).negative_prompt == "fog"


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "a quay"},
        {"prompt": "a quay", "steps": 20},
        {"prompt": "a quay", "width": 64, "height": 48},
        {"prompt": 5, "steps": 20, "seed": 1},
        {"steps": 20, "seed": 1},
        ["prompt"],
    ],
)
def test_a_prompt_alone_or_settings_alone_are_none(value):
    assert read_image_metadata(make_png({"Comment": json.dumps(value)})).reader is None


def test_each_value_may_stand_in_a_text_of_its_own():
    found = read_texts({"prompt": "a quay", "Steps": "20", "Seed": "42", "Software": "my program"})
    assert (found.tool, found.prompt, found.settings["steps"], found.settings["seed"]) == (
        "my program",
        "a quay",
        20,
        42,
    )


def test_a_prompt_that_is_a_graph_is_for_others_to_read():
    texts = {"prompt": json.dumps({"1": {"odd": "graph"}}), "Steps": "20", "Seed": "42"}
    assert read_image_metadata(make_png(texts)).reader != "plain_values"


def test_what_the_api_of_a_webui_answered_is_read_as_its_text():
    found = read_json({"infotexts": [with_version("")], "seed": 1})
    assert (found.prompt, found.settings["sampler"]) == ("a quiet harbour", "Euler a")
    for infotexts in ([], [5], "text", ["no generation"]):
        assert read_image_metadata(make_png({"Comment": json.dumps({"infotexts": infotexts})})).reader is None


def test_what_is_published_with_flux_writes_its_maker_and_model():
    tags = {0x010E: b"a quay at dawn\0", 0x010F: b"Black Forest Labs\0", 0x0110: b"flux-dev-model\0"}
    found = read_image_metadata(make_image("JPEG", exif=make_exif(tags))).generation
    assert (found.tool, found.prompt, found.settings) == (
        "Black Forest Labs",
        "a quay at dawn",
        {"model": "flux-dev-model"},
    )
