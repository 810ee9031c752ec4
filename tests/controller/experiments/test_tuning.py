"""Tuning as a page shows it, for somebody who likes a CFG scale of 7."""

import json

import pytest

from stablenew.errors import ConfigError

OVER = ["cfg=4..10,sampler=Euler a|Heun"]


@pytest.mark.heavy
def test_curves_and_maps_show_what_the_ratings_say(rated_controller):
    found = rated_controller.datasets.tuning(over=OVER, size=6, rater=rated_controller.feedback.rater)
    json.dumps(found)
    assert found["rating_count"] == 24
    assert [curve["setting"] for curve in found["curves"]] == ["txt2img.cfg_scale", "txt2img.sampler"]
    points = found["curves"][0]["points"]
    assert points[0]["value"] == 4.0
    assert points[-1]["value"] == 10.0
    best = max(points, key=lambda point: point["estimate"])
    assert best["value"] >= 6.5
    assert all(point["low"] < point["estimate"] < point["high"] for point in points)
    assert abs(sum(point["estimate"] for point in points)) < 1e-6, "curves are compared with their average"
    widths = {point["value"]: point["high"] - point["low"] for point in points}
    assert widths[10.0] > widths[7.0], "nothing was rated above 7"
    (surface,) = found["maps"]
    assert (len(surface["stars"]), len(surface["stars"][0])) == (len(surface["values"]), len(surface["others"]))
    assert surface["others"] == ("Euler a", "Heun")


def test_before_anything_is_rated_there_is_a_first_batch_and_no_curve(rated_controller):
    found = rated_controller.datasets.tuning("cfg:99", over=OVER, rater="")
    assert (found["curves"], found["maps"], found["best"]) == ([], [], None)
    assert len(found["settings"]) == 4


def test_a_range_that_makes_no_sense_is_an_error(rated_controller):
    with pytest.raises(ConfigError, match="the lower number first"):
        rated_controller.datasets.tuning(over=["cfg=9..3"], rater="")
