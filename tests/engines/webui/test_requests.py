"""What a WebUI is asked: settings in the fields of its API."""

import base64

import pytest

from stablenew.engines.engine import EngineImage, StageRequest
from stablenew.engines.webui.requests import (
    build_adetailer,
    build_detail,
    build_img2img,
    build_txt2img,
    build_upscale,
    build_upscale_by_img2img,
)
from stablenew.errors import EngineError

IMAGE = EngineImage(b"the bytes", "image/png", 320, 200, seed=77)
SEEDLESS = EngineImage(b"the bytes", "image/png", 320, 200)
ALWAYS = {
    "prompt": "a pier", "negative_prompt": "fog", "send_images": True, "save_images": False, "do_not_save_grid": True,
    "force_task_id": "task-1",
}  # fmt: skip
IN_PLACE = {"init_images": ["dGhlIGJ5dGVz"], "batch_size": 1, "n_iter": 1}
DETECTORS = ["yolo11m", "face-yolo8n", "hand_yolov8n"]
"""As SD.Next lists them."""


def request(stage="txt2img", **settings):
    return StageRequest(stage, settings, "a pier", "fog", (IMAGE,))


def test_nothing_is_sent_that_was_not_asked_for():
    assert build_txt2img(request(), "task-1") == ALWAYS
    assert build_txt2img(request(steps=None, model=None), "task-1") == ALWAYS


def test_settings_go_to_their_fields_and_those_without_one_to_the_options():
    body = build_txt2img(
        request(
            sampler="DPM++ 2M", scheduler="Karras", steps=0, cfg_scale=7.5, seed=-1, width=512, height=768,
            batch_size=2, n_iter=3, subseed=5, subseed_strength=0.25, model="dreamshaper_8", vae="Automatic",
            clip_skip=2, eta=0.0,
        ),
        "task-1",
    )  # fmt: skip
    assert body == ALWAYS | {
        "sampler_name": "DPM++ 2M", "scheduler": "Karras", "steps": 0, "cfg_scale": 7.5, "seed": -1, "width": 512,
        "height": 768, "batch_size": 2, "n_iter": 3, "subseed": 5, "subseed_strength": 0.25, "eta": 0.0,
        "override_settings": {
            "sd_model_checkpoint": "dreamshaper_8", "sd_vae": "Automatic", "CLIP_stop_at_last_layers": 2,
        },
    }  # fmt: skip


HIRES = {"hr_scale": 2.0, "hr_upscaler": "Latent", "hr_steps": 5, "hr_denoising_strength": 0.6}
REFINER = {"refiner_checkpoint": "sd_xl_refiner_1.0", "refiner_switch_at": 0.8}


def test_a_second_pass_is_asked_for_where_it_is_switched_on():
    assert build_txt2img(request(enable_hr=False, **HIRES), "task-1") == ALWAYS
    assert build_txt2img(request(enable_hr=True, **HIRES), "task-1") == ALWAYS | {
        "enable_hr": True, "hr_scale": 2.0, "hr_upscaler": "Latent", "hr_second_pass_steps": 5,
        "denoising_strength": 0.6,
    }  # fmt: skip


def test_a_refiner_is_asked_for_where_it_is_named():
    assert build_txt2img(request(refiner_switch_at=0.8), "task-1") == ALWAYS
    assert build_txt2img(request(**REFINER), "task-1") == ALWAYS | REFINER


def test_what_stands_in_extra_wins_and_joins_options_and_scripts_one_by_one():
    extra = {"steps": 9, "tiling": True, "override_settings": {"sd_vae": "None", "eta_noise_seed_delta": 31337}}
    body = build_txt2img(request(steps=4, model="m", vae="v", extra=extra), "task-1")
    assert (body["steps"], body["tiling"]) == (9, True)
    assert body["override_settings"] == {"sd_model_checkpoint": "m", "sd_vae": "None", "eta_noise_seed_delta": 31337}
    scripts = {"ControlNet": {"args": [1]}}
    detail = build_adetailer(request("adetailer", extra={"alwayson_scripts": scripts}), IMAGE, "task-1")
    assert detail["alwayson_scripts"].keys() == {"ADetailer", "ControlNet"}
    alone = build_txt2img(request(extra={"alwayson_scripts": scripts}), "task-1")
    assert alone == ALWAYS | {"alwayson_scripts": scripts}


def test_an_image_goes_on_in_its_own_size_with_its_own_seed():
    body = build_img2img(request("img2img", denoising_strength=0.3, seed=5, batch_size=4), IMAGE, "task-1")
    assert body == ALWAYS | IN_PLACE | {"width": 320, "height": 200, "seed": 77, "denoising_strength": 0.3}
    assert base64.b64decode(body["init_images"][0]) == IMAGE.data


@pytest.mark.parametrize(("settings", "seed"), [({"seed": 5}, 5), ({}, -1)])
def test_an_image_without_a_seed_gets_the_one_asked_for(settings, seed):
    assert build_img2img(request("img2img", **settings), SEEDLESS, "task-1")["seed"] == seed
    assert build_adetailer(request("adetailer", **settings), SEEDLESS, "task-1")["seed"] == seed


def test_a_size_that_is_asked_for_is_that_of_the_new_image():
    body = build_img2img(request("img2img", width=640), IMAGE, "task-1")
    assert (body["width"], body["height"]) == (640, 200)


def test_adetailer_paints_what_it_finds_and_leaves_the_image():
    settings = {"model": "face_yolov8n.pt", "confidence": 0.35, "denoise": 0.4, "mask_feather": 4}
    body = build_adetailer(request("adetailer", steps=8, sampler="DDIM", **settings), IMAGE, "task-1")
    unit = {
        "ad_model": "face_yolov8n.pt", "ad_confidence": 0.35, "ad_denoising_strength": 0.4, "ad_mask_blur": 4,
        "ad_steps": 8, "ad_use_steps": True, "ad_sampler": "DDIM", "ad_use_sampler": True, "ad_prompt": "",
        "ad_negative_prompt": "",
    }  # fmt: skip
    assert body == ALWAYS | IN_PLACE | {
        "width": 320, "height": 200, "denoising_strength": 0.0, "seed": 77,
        "alwayson_scripts": {"ADetailer": {"args": [True, True, unit]}},
    }  # fmt: skip


def test_adetailer_has_a_prompt_of_its_own():
    body = build_adetailer(request("adetailer", prompt="a face", negative_prompt="blur", cfg_scale=5), IMAGE, "t")
    unit = body["alwayson_scripts"]["ADetailer"]["args"][2]
    assert (unit["ad_prompt"], unit["ad_negative_prompt"]) == ("a face", "blur")
    assert (unit["ad_cfg_scale"], unit["ad_use_cfg_scale"]) == (5, True)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("face_yolov8n.pt", "face-yolo8n"), ("hand_yolov8n", "hand_yolov8n"), ("YOLO11M", "yolo11m"),
        ("face-yolo8n", "face-yolo8n"),
    ],
)  # fmt: skip
def test_a_detector_is_the_same_under_the_names_of_both_programs(asked, found):
    body = build_detail(request("adetailer", model=asked, confidence=0.5, steps=7), IMAGE, DETECTORS)
    assert body == {
        "image": "dGhlIGJ5dGVz", "seed": 77, "detailer_prompt": "a pier", "detailer_negative": "fog",
        "detailer_conf": 0.5, "detailer_steps": 7, "detailer_models": [found],
    }  # fmt: skip


@pytest.mark.parametrize(("detectors", "said"), [(DETECTORS, "it has yolo11m, face-yolo8n"), ([], "it has none")])
def test_a_detector_that_is_not_there_names_those_that_are(detectors, said):
    with pytest.raises(EngineError, match=f"the server knows no detailer 'cat.pt'; {said}"):
        build_detail(request("adetailer", model="cat.pt"), IMAGE, detectors)
    assert "detailer_models" not in build_detail(request("adetailer"), IMAGE, detectors)


def test_an_upscaler_enlarges_by_its_factor():
    default = {"image": "dGhlIGJ5dGVz", "resize_mode": 0, "upscaling_resize": 2.0, "upscaler_1": "None"}
    assert build_upscale(request("upscale"), IMAGE) == default
    own = request("upscale", factor=4, upscaler="R-ESRGAN 4x+", extra={"upscaler_2": "Lanczos"})
    assert build_upscale(own, IMAGE) == default | {
        "upscaling_resize": 4, "upscaler_1": "R-ESRGAN 4x+", "upscaler_2": "Lanczos",
    }  # fmt: skip


def test_enlarging_by_img2img_is_img2img_in_the_larger_size():
    body = build_upscale_by_img2img(request("upscale", factor=1.333, denoising_strength=0.2), IMAGE, "task-1")
    assert (body["width"], body["height"], body["denoising_strength"]) == (427, 267, 0.2)
    assert build_upscale_by_img2img(request("upscale"), IMAGE, "t")["width"] == 640
