"""By which settings a grid is laid out where nobody said."""

import contextlib
import itertools

import pytest

from stablenew.controller.light_table.grid_axes import choose_axes, list_axes
from stablenew.formats.query_language import parse_query
from stablenew.index.asking.image_values import ImageValues
from tests.index.entries import Filled, image, run, variant


@pytest.fixture(scope="module")
def choose(tmp_path_factory):
    """The axes that are chosen for images with these settings, and those that there are."""
    with contextlib.closing(Filled(tmp_path_factory.mktemp("index"))) as filled:

        def choose(*settings, x="", y="", panel="", across=""):
            filled.put(run(1, *(variant(image(number), **given) for number, given in enumerate(settings))))
            filled.cache.refresh("me")
            found = ImageValues(filled.cache, filled.reader, parse_query("", None))
            choose.axes = {axis["name"]: axis["value_count"] for axis in list_axes(found)}
            return choose_axes(found, list_axes(found), (x, y, panel, across))

        yield choose


def every(**values):
    """Each combination of these values."""
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def test_only_settings_that_vary_are_axes(choose):
    choose(*every(cfg_scale=[4.0, 7.0], steps=[20], prompt=["a", "b", "c"]))
    assert choose.axes == {"cfg_scale": 2, "prompt": 3}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"cfg_scale": [4.0, 7.0], "sampler": ["a", "b"]}, ("cfg_scale", "sampler", "", "")),
        ({"steps": [10, 20], "model": ["a", "b"]}, ("steps", "model", "", "")),
        ({"seed": [1, 2], "prompt": ["a", "b"]}, ("prompt", "seed", "", "")),
        ({"cfg_scale": [4.0, 7.0], "sampler": ["a", "b"], "steps": [1, 2]}, ("cfg_scale", "sampler", "steps", "")),
        ({"cfg_scale": [4.0, 7.0], "steps": [1, 2], "seed": [1, 2]}, ("cfg_scale", "steps", "", "")),
        ({"cfg_scale": [4.0, 7.0]}, ("cfg_scale", "", "", "")),
        ({"eta": [0.1, 0.5]}, ("", "", "", "")),
        ({}, ("", "", "", "")),
    ],
)
def test_the_usual_settings_that_leave_no_holes_are_chosen(choose, values, expected):
    assert choose(*every(**values)) == expected


def test_a_third_setting_of_many_values_is_no_panel(choose):
    assert choose(*every(cfg_scale=[4.0, 7.0], sampler=["a", "b"], steps=list(range(6))))[2] == "steps"
    assert choose(*every(cfg_scale=[4.0, 7.0], sampler=["a", "b"], steps=list(range(7))))[2] == ""


def test_many_prompts_are_an_axis_only_where_somebody_asks(choose):
    images = every(prompt=[f"prompt {number}" for number in range(25)], cfg_scale=[4.0, 7.0])
    assert choose(*images) == ("cfg_scale", "", "", "")
    assert choose(*images, x="prompt") == ("prompt", "cfg_scale", "", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"x": "steps"}, ("steps", "cfg_scale", "", "")),
        ({"y": "steps"}, ("cfg_scale", "steps", "", "")),
        ({"x": "CFG scale", "y": "Steps"}, ("cfg_scale", "steps", "", "")),
        ({"x": "steps", "panel": "cfg"}, ("steps", "", "cfg_scale", "")),
        ({"panel": "steps"}, ("cfg_scale", "", "steps", "")),
        ({"across": "cfg"}, ("steps", "", "", "cfg_scale")),
        ({"x": "s_churn", "y": "run"}, ("s_churn", "run", "", "")),
    ],
)
def test_what_somebody_asks_for_stands_where_it_was_asked_for_and_nowhere_else(choose, given, expected):
    assert choose(*every(cfg_scale=[4.0, 7.0], steps=[10, 20, 30]), **given) == expected


@pytest.mark.parametrize(
    ("holes", "expected"), [((1, 6), ("cfg_scale", "sampler")), ((1, 6, 11), ("sampler", "model"))]
)
def test_a_grid_with_one_hole_in_ten_is_full_and_one_with_more_gives_way_to_a_full_one(choose, holes, expected):
    cells = every(cfg_scale=[float(value) for value in range(10)], sampler=["a", "b"])
    images = [cell | {"model": "xy"[number % 4 // 2]} for number, cell in enumerate(cells) if number not in holes]
    assert choose(*images)[:2] == expected
