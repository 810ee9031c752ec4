"""Settings under the standard names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.settings import (
    as_number,
    as_scalar,
    build_settings,
    convert,
    first_text,
    read_size,
    split_schedule,
)
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


@pytest.mark.parametrize(
    ("name", "value", "converted"),
    [
        ("steps", "20", 20),
        ("steps", " 20.0 ", 20),
        ("steps", 20.0, 20),
        ("steps", "20.5", None),
        ("steps", True, None),
        ("steps", "nan", None),
        ("steps", "inf", None),
        ("steps", "", None),
        ("steps", "1" * 60, None),
        ("seed", "18446744073709551615", 2**64 - 1),
        ("seed", -1, None),
        ("seed", "-1", None),
        ("seed", 0, 0),
        ("cfg_scale", "7", 7.0),
        ("cfg_scale", "Infinity", None),
        ("cfg_scale", 10**400, None),
        ("cfg_scale", "high", None),
        ("model", " tiny ", "tiny"),
        ("model", "", None),
        ("model", 15, "15"),
        ("model", None, None),
        ("model", ["a"], None),
        ("vae", "Baked VAE", None),
        ("vae", "clear.vae.pt", "clear.vae.pt"),
        ("sampler", "sample_euler", "Euler"),
        ("sampler", "a\nb", None),
        ("sampler", "x" * 101, None),
        ("scheduler", "karras", "Karras"),
        ("scheduler", "My Own", "My Own"),
        ("clip_skip", "-2", -2),
    ],
)
def test_a_value_has_the_type_of_its_setting_or_is_none(name, value, converted):
    assert convert(name, value) == converted
    assert type(convert(name, value)) is type(converted)


@pytest.mark.parametrize(
    ("text", "number"),
    [("20", 20), ("-3", -3), ("7.5", 7.5), ("7.50", "7.50"), ("007", "007"), ("1e3", "1e3"), ("+5", "+5"), ("", ""),
     ("1" * 21, "1" * 21), ("٣", "٣"), (" 5", " 5"), ("-0", "-0")],
)  # fmt: skip
def test_a_text_is_a_number_only_where_it_is_written_just_so(text, number):
    assert as_number(text) == number


@pytest.mark.parametrize(
    ("value", "scalar"),
    [("a", "a"), (5, 5), (True, True), (0.5, 0.5), (float("nan"), None), (float("-inf"), None), (None, None),
     ([], None), ({}, None), (b"a", None)],
)  # fmt: skip
def test_a_scalar_is_a_text_a_finite_number_or_a_truth_value(value, scalar):
    assert as_scalar(value) == scalar


@pytest.mark.parametrize(
    ("sampler", "bare", "schedule"),
    [
        ("Euler a", "Euler a", None),
        ("DPM++ 2M SDE Karras", "DPM++ 2M SDE", "Karras"),
        ("DPM++ 2M SGM Uniform", "DPM++ 2M", "SGM Uniform"),
        ("euler_sgm_uniform", "Euler", "SGM Uniform"),
        ("My Own Karras", "My Own", "Karras"),
        ("my_own_karras", "my_own_karras", None),
        ("Karras", "Karras", None),
        (" Karras", " Karras", None),
    ],
)
def test_a_schedule_is_split_off_where_the_rest_is_a_sampler(sampler, bare, schedule):
    expected = {"sampler": bare} | ({"scheduler": schedule} if schedule else {})
    assert split_schedule({"sampler": sampler}) == expected
    known = {"sampler": sampler, "scheduler": "Normal"}
    assert split_schedule(known) == known


def test_settings_stand_in_the_order_in_which_people_read_them_and_own_ones_behind():
    found = build_settings({"zoom": 1, "seed": 5, "Model": "tiny", "steps": 9, "angle": 2})
    assert list(found) == ["model", "steps", "seed", "zoom", "angle"]


def test_a_tool_with_endless_settings_or_names_is_bounded():
    assert len(build_settings({f"own{number}": number for number in range(2_000)})) == 1_000
    assert list(build_settings({"n" * 500: 1})) == ["n" * 200]


@pytest.mark.parametrize(
    ("value", "size"),
    [("512 , 768", (512, 768)), ((512, 768), (512, 768)), ("1x1", (1, 1)), ("512x", None), ("x768", None),
     ([512], None), ([1, 2, 3], None), ("1234567x5", None), (None, None), ({}, None), (512, None)],
)  # fmt: skip
def test_a_size_is_two_numbers(value, size):
    assert read_size(value) == ({"width": size[0], "height": size[1]} if size else {})


def test_the_first_text_is_found_among_anything():
    assert first_text([None, 5, ["a"], "b", "c"]) == "b"
    assert first_text([None, {}]) is None
