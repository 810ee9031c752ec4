"""Grids over a real store: by which settings images are laid out where nobody said."""

import itertools

import pytest

from stablenew import JobHistory, RunStore
from stablenew.controller.light_table.grids import Grid
from tests.controller.light_table_stores import add_images


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture
def open_grid(store):
    """A grid of all images, once they are in the index."""
    histories = []

    def open_grid(**axes):
        history = JobHistory(store.root, rater="me")
        histories.append(history)
        history.refresh()
        return Grid(history, "", **axes)

    yield open_grid
    for history in histories:
        history.close()


def every(**values):
    """Each combination of these values."""
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def test_a_grid_opens_by_two_settings_that_leave_no_holes(store, open_grid):
    scattered = [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]  # usual for an axis, and each only once
    crossed = every(sampler=["Euler", "Heun"], steps=[10, 20, 30])
    add_images(store, "run", *({**each, "cfg_scale": cfg} for each, cfg in zip(crossed, scattered, strict=True)))
    grid = open_grid()
    assert grid.names == ("sampler", "steps", "", "")
    assert grid.hole_count == 0
    assert open_grid(x="cfg").names[0] == "cfg_scale"


def test_a_grid_with_a_hole_or_two_still_opens_by_the_usual_settings(store, open_grid):
    crossed = every(cfg_scale=[4.0, 5.0, 6.0, 7.0], sampler=["Euler", "Heun", "DDIM", "LMS"])
    add_images(store, "run", *crossed[:-1], {"cfg_scale": 4.0, "sampler": "Euler", "steps": 40})
    assert open_grid().names == ("cfg_scale", "sampler", "", "")


def test_images_without_a_full_grid_open_by_the_fullest(store, open_grid):
    add_images(
        store,
        "run",
        *(
            {"cfg_scale": float(place), "sampler": "Euler" if place % 2 else "Heun", "steps": place}
            for place in range(8)
        ),
    )
    assert open_grid().names[:2] == ("cfg_scale", "sampler")


def test_a_third_setting_becomes_panels_when_every_cell_of_them_has_an_image(store, open_grid):
    add_images(store, "run", *every(cfg_scale=[4.0, 7.0], sampler=["Euler", "Heun"], steps=[10, 20, 30]))
    grid = open_grid()
    assert grid.names == ("cfg_scale", "sampler", "steps", "")
    assert {cell.image_count for cell in grid.cells} == {1}
    assert open_grid(x="cfg", y="sampler").names == ("cfg_scale", "sampler", "", "")


def test_seeds_and_prompts_form_stacks_and_no_panels(store, open_grid):
    add_images(
        store, "run", *every(cfg_scale=[4.0, 7.0], sampler=["Euler", "Heun"], seed=[1, 2], prompt=["harbour", "lake"])
    )
    grid = open_grid()
    assert grid.names == ("cfg_scale", "sampler", "", "")
    assert [cell.image_count for cell in grid.cells] == [4] * 4
