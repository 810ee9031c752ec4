"""What a WebUI answers, in the words of AUTOMATIC1111 1.10.1 and SD.Next as they were heard."""

import base64
import json

import pytest

from stablenew.engines.webui.replies import decode_image, read_reply
from stablenew.errors import EngineError
from tests.samples import png

PNGS = [png(f"image {number}".encode()) for number in range(4)]
HEAD = "a quiet harbour at dawn\nNegative prompt: fog, people\n"


def a1111_text(seed):
    return (
        f"{HEAD}Steps: 2, Sampler: Euler a, Schedule type: Normal, CFG scale: 7.0, Seed: {seed}, Size: 64x64, "
        "Model hash: 8d4434caee, Model: tiny_one, Clip skip: 2, Version: 1.10.1"
    )


def sdnext_text(seed):
    return (
        f"{HEAD}Template: a quiet harbour at dawn\nNegative template: fog, people\n"
        f"Steps: 2, Size: 64x64, Sampler: Euler a, Scheduler: EulerDiscreteScheduler, Seed: {seed}, CFG scale: 7.0, "
        "CFG rescale: 0.0, Batch: 2x2, App: SD.Next, Version: unknown, Pipeline: StableDiffusionPipeline, "
        "Operations: txt2img, Model: tiny_a, Index: 1x1"
    )


COMMON = {
    "prompt": "a quiet harbour at dawn", "negative_prompt": "fog, people", "seed": 42, "all_seeds": [42, 43],
    "subseed": 773776618, "subseed_strength": 0.0, "width": 64, "height": 64, "sampler_name": "Euler a",
    "cfg_scale": 7.0, "steps": 2, "batch_size": 2, "sd_model_hash": None, "index_of_first_image": 0, "styles": [],
}  # fmt: skip
A1111 = COMMON | {
    "sd_model_name": "tiny_one", "sd_model_hash": "8d4434caee", "sd_vae_name": None, "denoising_strength": None,
    "extra_generation_params": {"Schedule type": "Normal"}, "infotexts": [a1111_text(42), a1111_text(43)],
    "clip_skip": 2, "version": "1.10.1",
}  # fmt: skip
SD_NEXT = COMMON | {
    "denoising_strength": 0.3, "extra_generation_params": {}, "infotexts": [sdnext_text(42), sdnext_text(43)],
    "clip_skip": 1,
}  # fmt: skip


def reply(info, count=2):
    images = [base64.b64encode(data).decode() for data in PNGS[:count]]
    return {"images": images, "parameters": {}, "info": json.dumps(info)}


def test_a_batch_has_the_bytes_as_they_were_sent_each_with_its_seed():
    found = read_reply(reply(A1111), parent=3)
    assert [image.data for image in found.images] == PNGS[:2]
    assert [(image.seed, image.parent, image.media_type) for image in found.images] == [
        (42, 3, "image/png"), (43, 3, "image/png"),
    ]  # fmt: skip
    assert (found.left_out, found.missing, found.info["version"]) == (0, 0, "1.10.1")


def test_automatic1111_says_what_ran_in_its_info():
    actual = read_reply(reply(A1111)).actual
    expected = {
        "model": "tiny_one", "model_hash": "8d4434caee", "vae": "None", "sampler": "Euler a", "scheduler": "Normal",
        "steps": 2, "cfg_scale": 7.0, "seed": 42, "width": 64, "height": 64, "clip_skip": 2, "subseed_strength": 0.0,
    }  # fmt: skip
    assert {name: actual[name] for name in expected} == expected
    assert actual["generation_params"] == {"Schedule type": "Normal"}
    assert "denoising_strength" not in actual


def test_sd_next_says_the_model_in_the_infotext_only_and_a_denoising_strength_that_was_not_used():
    actual = read_reply(reply(SD_NEXT)).actual
    assert (actual["model"], actual["clip_skip"], actual["seed"]) == ("tiny_a", 1, 42)
    assert "denoising_strength" not in actual
    assert "generation_params" not in actual


def test_a_denoising_strength_that_was_used_stands_in_the_infotext_too():
    text = a1111_text(42).replace("Clip skip", "Denoising strength: 0.7, Clip skip")
    info = A1111 | {"denoising_strength": 0.7, "infotexts": [text, text]}
    assert read_reply(reply(info)).actual["denoising_strength"] == 0.7


def test_a_vae_that_was_chosen_is_named_and_parameters_that_are_null_are_not():
    info = A1111 | {
        "sd_vae_name": "other_vae.safetensors",
        "extra_generation_params": {"Hires upscale": 2.0, "Hires prompt": None, "Schedule type": "Karras"},
    }
    actual = read_reply(reply(info)).actual
    assert (actual["vae"], actual["scheduler"]) == ("other_vae.safetensors", "Karras")
    assert actual["generation_params"] == {"Hires upscale": "2.0", "Schedule type": "Karras"}


def test_a_grid_first_and_maps_last_are_no_images():
    texts = ["the grid", a1111_text(42), a1111_text(43)]
    found = read_reply(reply(A1111 | {"index_of_first_image": 1, "infotexts": texts}, count=4))
    assert [image.data for image in found.images] == PNGS[1:3]
    assert [image.seed for image in found.images] == [42, 43]
    assert (found.left_out, found.actual["seed"]) == (2, 42)


def test_a_server_that_was_stopped_sends_fewer_images_than_it_has_seeds():
    found = read_reply(reply(SD_NEXT | {"all_seeds": [8, 9, 10]}, count=1))
    assert ([image.seed for image in found.images], found.missing, found.left_out) == ([8], 2, 0)


def test_images_beyond_the_seeds_have_the_seed_of_their_infotext():
    info = A1111 | {"all_seeds": [42], "infotexts": [a1111_text(42), a1111_text(99), HEAD]}
    assert [image.seed for image in read_reply(reply(info, count=3)).images] == [42, 99, None]


@pytest.mark.parametrize(
    "info",
    [
        None, "", "no JSON", "[]", 7, {}, {"all_seeds": []}, {"all_seeds": None, "infotexts": None},
        {"all_seeds": {"0": 42}, "infotexts": 7},
        {"index_of_first_image": True}, {"index_of_first_image": None, "all_seeds": ["x"]},
        {"extra_generation_params": ["x"]},
    ],
)  # fmt: skip
def test_images_come_also_without_a_word_about_them(info):
    answer = reply(A1111) | {"info": info}
    found = read_reply(answer)
    assert [image.data for image in found.images] == PNGS[:2]
    assert [image.seed for image in found.images] == [None, None]
    assert "seed" not in found.actual


def test_info_may_also_come_as_an_object():
    assert read_reply(reply({}) | {"info": A1111}).actual == read_reply(reply(A1111)).actual


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"images": None}, {"detail": "Not Found"}])
def test_an_answer_without_images_is_of_another_program(answer):
    with pytest.raises(EngineError, match="the server answered without images; is this the address of a WebUI?"):
        read_reply(answer)


@pytest.mark.parametrize("count", [0, 1])
def test_a_reply_with_no_more_than_a_grid_says_to_look_at_the_server(count):
    with pytest.raises(EngineError, match="the server made no image; its window says why"):
        read_reply(reply(A1111 | {"index_of_first_image": count}, count=count))


def test_an_image_may_be_a_data_uri():
    text = base64.b64encode(PNGS[0]).decode()
    assert decode_image(f"data:image/png;base64,{text}", seed=4) == decode_image(text, seed=4)


@pytest.mark.parametrize("text", ["ä", "a b", "abc", None, 7])
def test_what_is_not_base64_is_refused_in_words(text):
    with pytest.raises(EngineError, match="the server sent an image that"):
        decode_image(text)
