"""Settings and the arguments of diffusers' pipelines."""

import pytest

from stablenew.diffusers_facts import from_arguments, to_arguments


@pytest.mark.parametrize("settings", [{"steps": 20, "cfg_scale": 7.5, "clip_skip": 2, "eta": 0.5}, {"clip_skip": 1}])
def test_settings_come_back_from_the_arguments_they_became(settings):
    assert from_arguments(to_arguments(settings)) == settings


def test_diffusers_counts_the_layers_that_are_left_out():
    assert [to_arguments({"clip_skip": count})["clip_skip"] for count in (None, 1, 2, 3)] == [None, None, 1, 2]


def test_a_pipeline_without_an_argument_has_no_such_setting():
    assert from_arguments({"num_inference_steps": 5, "prompt": "x"}) == {"steps": 5}
