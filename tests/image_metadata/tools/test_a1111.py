"""AUTOMATIC1111, its forks, and services that write its text."""

import json

import pytest

from stablenew.image_metadata.infotext import parse_infotext
from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.tools.a1111 import read_standard_settings
from tests.image_metadata.files import INFOTEXT
from tests.image_metadata.tools.reading import holds, read_comment, read_texts, with_version


@pytest.mark.parametrize("place", ["png", "JPEG", "WEBP", "AVIF"])
def test_the_text_of_a_webui_gives_everything_in_every_format(place):
    found = read_texts({"parameters": INFOTEXT}) if place == "png" else read_comment(INFOTEXT, place)
    assert (found.tool, found.tool_version) == ("A1111", "v1.10.1")
    assert (found.prompt, found.negative_prompt) == ("a quiet harbour, <lora:ink:0.7>", "blurry")
    assert holds(found, sampler="DPM++ 2M", scheduler="Karras", steps=20, cfg_scale=7.5, seed=42, width=64, height=48)
    assert holds(found, model="tiny", model_hash="45a21ea00a")
    assert found.loras == (Lora("ink", 0.7, "0123456789ab"),)
    assert found.kind == "image"


@pytest.mark.parametrize(
    ("line", "tool"),
    [
        (", Version: v1.10.1", "A1111"),
        (", Version: f2.0.1v1.10.1-previous-669-gdfdcbab6", "Forge"),
        (", Version: f0.0.17v1.8.0rc-latest-276-g29be1da7", "Forge"),
        (", Version: classic", "Forge Classic"),
        (", Version: neo-2.28", "Forge Neo"),
        (", Version: f1.0.0v2-v1.10.1RC-latest-2498-g5120e679", "reForge"),
        (", Version: f1.3.0-v1.10.1RC-latest-1038-g19395bf9", "EasyReforge"),
        (", App: SD.Next, Version: 56a8aea", "SD.Next"),
        (", Latent sampler: Default, Version: 0a083c2, Parser: Full parser", "SD.Next"),
        (", Version: 0a083c2", "SD.Next"),
        (", Version: v1.3.0-72-g20ae71fa", "A1111"),
        (", Version: ComfyUI", "ComfyUI"),
        (', Civitai resources: [{"type":"checkpoint","modelVersionId":1}]', "Civitai"),
        ("", "A1111"),
    ],
)
def test_the_tool_is_told_by_what_only_it_writes(line, tool):
    assert read_texts({"parameters": with_version(line)}).tool == tool


def test_savers_of_comfyui_are_told_by_their_seeds_and_samplers():
    text = with_version("").replace("Euler a", "euler_ancestral_karras").replace("Seed: 1", f"Seed: {2**40}")
    found = read_comment(text)
    assert found.tool == "ComfyUI"
    assert holds(found, sampler="Euler a", scheduler="Karras", seed=2**40)


def test_resources_of_civitai_are_the_model_and_the_loras():
    resources = json.dumps(
        [
            {"type": "checkpoint", "modelVersionId": 128713},
            {"type": "lora", "weight": 0.8, "modelVersionId": 210873, "modelName": "Ink"},
        ]
    )
    found = read_comment(with_version(f", Civitai resources: {resources}, Created Date: 2026-07-01T19:12:31Z"))
    assert found.settings["model"] == "urn:air:civitai:128713"
    assert found.loras == (Lora("Ink", 0.8),)
    assert found.made_at == "2026-07-01T19:12:31Z"


def test_sdnext_names_its_sampler_as_others_do():
    line = ", Scheduler: EulerAncestralDiscreteScheduler, App: SD.Next, Sampler sigma: karras"
    found = read_texts({"parameters": with_version(line).replace("Sampler: Euler a, ", "")})
    assert holds(found, sampler="Euler a", scheduler="Karras")


@pytest.mark.parametrize("line", [", Script: X/Y/Z plot, X Type: Seed", ", Grid: 2x2, App: SD.Next"])
def test_grids_say_that_they_are(line):
    assert read_texts({"parameters": with_version(line)}).kind == "grid"


def test_an_image_several_times_as_large_as_it_says_is_a_grid_unless_it_was_enlarged():
    assert read_texts({"parameters": with_version("")}, size=(128, 48)).kind == "grid"
    assert read_texts({"parameters": with_version("")}, size=(128, 96)).kind == "image"
    assert read_texts({"parameters": with_version(", Batch size: 4")}, size=(128, 96)).kind == "grid"
    assert read_texts({"parameters": with_version(", Hires resize: 128x48")}, size=(128, 48)).kind == "image"


def test_what_the_tab_extras_writes_is_read():
    found = read_texts({"postprocessing": "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+"})
    assert holds(found, **{"Postprocess upscale by": 4})


def test_a_prompt_alone_is_a_prompt_of_an_unknown_tool():
    found = read_texts({"parameters": "only words"})
    assert (found.tool, found.prompt) == (None, "only words")


def test_fooocus_in_the_scheme_of_the_webuis():
    text = with_version(", Version: Fooocus v2.4.3")
    assert read_texts({"parameters": text, "fooocus_scheme": "a1111"}).tool == "Fooocus"


def test_a_record_has_the_standard_names_and_all_parameters_beside_them():
    found = parse_infotext(
        "x\nSteps: many, Sampler: DPM++ 2M Karras, Seed: 5, Size: wide, Batch size: 4, Hires steps: 3"
    )
    assert read_standard_settings(found) == {
        "sampler": "DPM++ 2M", "scheduler": "Karras", "seed": 5, "generation_params": found.parameters,
    }  # fmt: skip
    assert read_standard_settings(parse_infotext("a prompt and nothing else")) == {}
