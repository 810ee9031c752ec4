"""Settings under the standard names."""

from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.settings import build_settings, read_size
from tests.strategies import json_values


def test_known_names_are_converted_and_the_rest_keeps_its_own():
    found = build_settings(
        {"S": "20", "C": "7.5", "N": "k", "O": 1.5, "L": [1], "X": None}, {"S": "steps", "C": "cfg_scale", "N": "model"}
    )
    assert found == {"model": "k", "steps": 20, "cfg_scale": 7.5, "O": 1.5}


def test_what_most_tools_call_a_setting_need_not_be_named_again():
    spelled = {"clipSkip": 2, "CFG scale": 7, "Sampler sigma": "Karras", "resolution": "512x768", "Eta": "0.5"}
    assert build_settings(spelled) == {
        "clip_skip": 2, "cfg_scale": 7.0, "scheduler": "Karras", "width": 512, "height": 768, "eta": 0.5,
    }  # fmt: skip


def test_what_a_tool_means_otherwise_goes_before():
    assert build_settings({"scheduler": "euler", "steps": 5}, {"scheduler": "sampler", "steps": ""}) == {
        "sampler": "Euler"
    }


def test_a_second_value_for_a_setting_is_kept_under_its_own_name():
    assert build_settings({"steps": 20, "Steps": 30}) == {"steps": 20, "Steps": 30}


def test_a_value_that_does_not_fit_stays_under_its_own_name():
    assert build_settings({"Steps": "many"}, {"Steps": "steps"}) == {"Steps": "many"}


def test_seeds_keep_all_their_digits_and_minus_one_is_none():
    assert build_settings({"s": 2**64 - 1}, {"s": "seed"})["seed"] == 2**64 - 1
    assert build_settings({"s": "18446744073709551615"}, {"s": "seed"})["seed"] == 2**64 - 1
    assert "seed" not in build_settings({"s": -1}, {"s": "seed"})


def test_a_schedule_in_the_name_of_a_sampler_gets_its_own_name():
    names = {"s": "sampler", "c": "scheduler"}
    assert build_settings({"s": "DPM++ 2M Karras"}, names) == {"sampler": "DPM++ 2M", "scheduler": "Karras"}
    assert build_settings({"s": "euler_ancestral_karras"}, names) == {"sampler": "Euler a", "scheduler": "Karras"}
    assert build_settings({"s": "dpmpp_2m", "c": "karras"}, names) == {"sampler": "DPM++ 2M", "scheduler": "Karras"}
    assert build_settings({"s": "euler_simple"}, names) == {"sampler": "Euler", "scheduler": "Simple"}


def test_sizes_are_read_however_they_are_written():
    for text in ("512x768", "512 x 768", "(512, 768)", [512, 768], "512\u00d7768 (2:3)"):
        assert read_size(text) == {"width": 512, "height": 768}
    assert read_size("large") == {}


@given(
    st.dictionaries(st.text(max_size=5), json_values, max_size=6), st.sampled_from(["seed", "steps", "size", "model"])
)
def test_any_values_give_scalars(pairs, ours):
    found = build_settings(pairs, dict.fromkeys(pairs, ours))
    assert all(isinstance(value, (str, int, float, bool)) for value in found.values())
