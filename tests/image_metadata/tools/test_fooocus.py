"""Fooocus and RuinedFooocus."""

import json

from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image
from tests.image_metadata.tools.reading import holds, read_texts

FOOOCUS = {
    "prompt": "a goldfish",
    "negative_prompt": "",
    "base_model": "jugger",
    "base_model_hash": "aeb7",
    "clip_skip": 2,
    "guidance_scale": 4.0,
    "steps": 30,
    "seed": "6952411511246973023",
    "resolution": "(64, 48)",
    "performance": "Speed",
    "sampler": "dpmpp_2m",
    "scheduler": "karras",
    "loras": [["ink.safetensors", 0.5, "ab"]],
    "version": "Fooocus v2.4.3",
}


def test_fooocus_in_its_own_scheme():
    found = read_texts({"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"})
    assert (found.tool, found.tool_version, found.prompt, found.negative_prompt) == (
        "Fooocus",
        "Fooocus v2.4.3",
        "a goldfish",
        "",
    )
    assert holds(found, seed=6952411511246973023, width=64, height=48, model="jugger", cfg_scale=4.0, clip_skip=2)
    assert found.loras == (Lora("ink.safetensors", 0.5, "ab"),)


def test_fooocus_in_a_jpeg_without_the_code_of_a_comment():
    exif = make_exif({0x0131: b"Fooocus v2.4.3"}, inner={0x9286: json.dumps(FOOOCUS).encode(), 0x927C: b"fooocus"})
    assert read_image_metadata(make_image("JPEG", exif=exif)).generation.settings["model"] == "jugger"


def test_ruined_fooocus():
    data = {
        "Prompt": "a harbour",
        "Negative": "fog",
        "steps": 30,
        "cfg": 8,
        "width": 64,
        "height": 48,
        "seed": 20,
        "sampler_name": "dpmpp_2m",
        "scheduler": "karras",
        "base_model_name": "tiny",
        "base_model_hash": "BE",
        "loras": [["ab", "0.7 - style/ink.safetensors"]],
        "denoise": None,
        "software": "RuinedFooocus",
    }
    found = read_texts({"parameters": json.dumps(data)})
    assert (found.tool, found.prompt, found.negative_prompt) == ("RuinedFooocus", "a harbour", "fog")
    assert holds(found, cfg_scale=8.0, sampler="DPM++ 2M", scheduler="Karras", model="tiny", model_hash="BE")
    assert found.loras == (Lora("style/ink.safetensors", 0.7, "ab"),)
