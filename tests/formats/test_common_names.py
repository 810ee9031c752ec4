"""The same thing under the names of several programs."""

import pytest

from stablenew.formats.common_names import (
    SAMPLERS,
    comfyui_sampler,
    comfyui_scheduler,
    common_sampler,
    common_scheduler,
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
