"""Texts in the lowest bits of pixels."""

import json

import pytest

from stablenew.image_metadata.containers.sniffing import read_container
from stablenew.image_metadata.reading import read_image_metadata
from stablenew.image_metadata.stealth import may_hide_text
from tests.image_metadata.files import INFOTEXT, hide_text, make_image, make_png


@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_a_text_in_alpha_or_in_colours_is_found(mode, is_packed):
    said = read_image_metadata(make_png(pixels=hide_text(INFOTEXT, mode=mode, is_packed=is_packed)))
    assert [(text.place, text.text) for text in said.raw] == [("pixels", INFOTEXT)]
    assert (said.generation.tool, said.generation.settings["seed"]) == ("A1111", 42)


def test_the_json_of_novelai_is_found_there():
    comment = json.dumps({"prompt": "a harbour", "uc": "fog", "scale": 5, "sampler": "k_euler", "seed": 3, "steps": 28})
    text = json.dumps({"Software": "NovelAI", "Source": "NovelAI Diffusion V3 ABCD", "Comment": comment})
    found = read_image_metadata(make_png(pixels=hide_text(text))).generation
    assert (found.tool, found.prompt, found.settings["model_hash"]) == ("NovelAI", "a harbour", "ABCD")


def test_pixels_are_not_looked_at_when_the_texts_speak_or_when_that_is_not_wanted():
    pixels = hide_text(INFOTEXT)
    said = read_image_metadata(make_png({"parameters": INFOTEXT.replace("Seed: 42", "Seed: 1")}, pixels=pixels))
    assert said.generation.settings["seed"] == 1
    assert not read_image_metadata(make_png(pixels=pixels), may_decode=False).has_generation_data


def test_a_length_that_claims_too_much_takes_what_there_is():
    pixels = hide_text("x" * 100, is_packed=False)
    columns = pixels.transpose(1, 0, 2)
    flat = columns[:, :, 3].reshape(-1)
    flat[120:152] |= 1
    columns[:, :, 3] = flat.reshape(columns.shape[:2])
    (text,) = read_image_metadata(make_png(pixels=pixels)).raw
    assert text.text.startswith("x" * 100)


def test_images_that_cannot_hold_it_are_not_decoded():
    assert not may_hide_text(read_container(make_image("JPEG")))
    assert not may_hide_text(read_container(make_png(size=(5_000, 5_000))))
    assert not may_hide_text(read_container(make_png(size=(8, 8))))
    assert may_hide_text(read_container(make_png(mode="RGBA")))


def test_a_damaged_image_says_nothing():
    data = make_png(pixels=hide_text(INFOTEXT))
    assert not read_image_metadata(data[: len(data) // 2]).has_generation_data
