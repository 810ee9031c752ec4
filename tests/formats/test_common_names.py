"""The same thing under the names of several programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.common_names import (
    SAMPLERS,
    comfyui_sampler,
    comfyui_scheduler,
    common_file_name,
    common_file_pattern,
    common_sampler,
    common_scheduler,
    common_value,
    find_sampler,
    same_checkpoint,
)


@pytest.mark.parametrize(
    ("asked", "ran", "same"),
    [
        ("dreamshaper_8", "dreamshaper_8", True),
        ("dreamshaper_8.safetensors [879db523c3]", "dreamshaper_8", True),
        ("SD15\\DreamShaper_8.safetensors", "dreamshaper_8", True),
        ("dreamshaper_8", "dreamshaper_7", False),
    ],
)
def test_checkpoints_have_several_names(asked, ran, same):
    assert same_checkpoint(asked, ran) == same


WAI = "waiIllustriousSDXL_v160"


@pytest.mark.parametrize(
    "spelling",
    [
        WAI,
        f"{WAI}.safetensors",
        f"{WAI}.CKPT",
        f"SDXL/{WAI}.safetensors",
        f"SDXL\\{WAI}.safetensors",
        f"SDXL\\anime\\{WAI}.safetensors [45a21ea00a]",
        f"{WAI} [45a21ea0]",
        f"SDXL\\{WAI}",
        f"/srv/models/{WAI}/",
        f"C:/models/{WAI}.gguf",
        f"  {WAI}.sft ",
    ],
)
def test_a_model_file_has_one_name_under_every_spelling(spelling):
    assert common_file_name(spelling) == WAI


@pytest.mark.parametrize(
    "name",
    [
        "v1.5",
        "sd_xl_base_1.0",
        "model.v2",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "OfficialStableDiffusion/sd_xl_base_1.0",
        "urn:air:sdxl:checkpoint:civitai:827184@2514310",
        "WAI NSFW illustrious SDXL v16",
        "My merge [v2]",
        ".safetensors",
        "/",
        " ",
        "",
        "x" * 5_000 + ".ckpt",
    ],
)
def test_a_name_that_is_no_file_stays_as_it_is(name):
    assert common_file_name(name) == name


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("sd_xl_base_1.0_0.9vae.safetensors", "sd_xl_base_1.0_0.9vae"),
        ("animevae.vae.pt", "animevae.vae"),
        ("flux1-dev.fp16.safetensors", "flux1-dev.fp16"),
        ("Diffusers\\stabilityai/sdxl-turbo [462165984030d82259a11f4367a4eed129e94a7b]", "sdxl-turbo"),
    ],
)
def test_only_the_last_ending_belongs_to_the_file(name, common):
    assert common_file_name(name) == common


@given(
    st.text(st.sampled_from("a.[]/\\ ~:*0"))
    | st.lists(st.sampled_from(["a", "/", "\\", " ", ".pt", ".bin", " [0a1b2c]", "~"])).map("".join)
)
def test_the_common_name_of_a_common_name_is_itself(name):
    common = common_file_name(name)
    assert common_file_name(common) == common
    assert bool(common) == bool(name)


def test_a_pattern_finds_a_file_under_its_common_name():
    assert common_file_pattern("SDXL/wai*.safetensors") == common_file_pattern("wai*") == "wai*"
    assert common_file_pattern("*.safetensors") is None


def test_the_table_of_settings_says_which_values_are_files():
    assert common_value("model", "wai.ckpt") == common_value("txt2img.refiner_checkpoint", "wai.ckpt") == "wai"
    assert common_value("sampler", "wai.ckpt") == common_value("settings.model", "wai.ckpt") == "wai.ckpt"
    assert common_value("adetailer.model", "face_yolov8n.pt") == "face_yolov8n.pt"
    assert common_value("img2img.vae", None) is None


def test_every_sampler_is_found_by_each_of_its_names():
    names = [name for one in SAMPLERS for name in (one.name, one.comfyui) if name]
    assert len(names) == len(set(names))
    for one in SAMPLERS:
        assert find_sampler(one.name) is find_sampler(one.name.upper()) is one
        if one.comfyui:
            assert comfyui_sampler(one.name) == comfyui_sampler(one.comfyui) == one.comfyui
            assert common_sampler(one.comfyui) == one.name


def test_a_name_that_nobody_knows_goes_as_it_is():
    assert comfyui_sampler("res_multistep") == common_sampler("res_multistep") == "res_multistep"
    assert comfyui_scheduler("AYS SDXL") == common_scheduler("AYS SDXL") == "AYS SDXL"


def test_schedules_are_translated_both_ways():
    assert comfyui_scheduler("Karras") == comfyui_scheduler("karras") == "karras"
    assert common_scheduler("karras") == "Karras"
    assert comfyui_scheduler("Automatic") == "normal"
    assert common_scheduler("normal") == "Normal"
