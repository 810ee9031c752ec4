"""What a page shows of the evidence; whether the evidence is right is tested with it."""

import pytest

from stablenew import PipelineConfig, PipelineRunner, Prompt, SketchEngine, VariantPlan
from stablenew.controller import insights
from stablenew.errors import InvalidQuery
from stablenew.learning.evidence.value_ranges import ValueRange
from stablenew.pipeline.randomizer import SWEEP, Axis


@pytest.mark.heavy
def test_every_varied_setting_is_described_with_the_queries_for_its_values(rated_controller):
    found = rated_controller.datasets.insights()
    assert found["rated_image_count"] == 24
    settings = {one["setting"]: one for one in found["settings"]}
    assert settings.keys() == {"txt2img.cfg_scale", "txt2img.sampler"}
    scale = settings["txt2img.cfg_scale"]
    assert [(one["value"], one["stars"]) for one in scale["values"]] == [
        (4.0, [0, 0, 12, 0, 0, 0]),
        (7.0, [0, 0, 0, 0, 12, 0]),
    ]
    assert [(one["value"], one["other"]) for one in scale["comparisons"]] == [(7.0, 4.0)]
    rated_controller.history.refresh(is_patient=True)
    for setting in settings.values():
        for one in setting["values"]:
            assert "run_ids" not in one
            assert len(rated_controller.history.run_ids(one["query"])) == 6


def test_numbers_are_in_their_order_and_what_is_not_known_comes_last(rated_controller):
    config = PipelineConfig(
        txt2img={"width": 64, "height": 64, "steps": 2, "seed": 1}, upscale={"factor": 2}, one_click_action="test"
    )
    runner = PipelineRunner(SketchEngine(), run_store=rated_controller.run_store)
    plan = VariantPlan((Prompt("a pond"),), sweeps=(Axis(SWEEP, "upscale.factor", (4.0, 1.5, 2.0)),))
    run = rated_controller.run_store.open(runner.run(config, plan=plan).run_id)
    for _, output in run.iter_outputs():
        rated_controller.feedback.record_feedback(run.run_id, output.digest, 3)
    (factor,) = (one for one in rated_controller.datasets.insights()["settings"] if one["setting"] == "upscale.factor")
    assert [one["value"] for one in factor["values"]] == [1.5, 2.0, 4.0, None]


def test_each_two_settings_are_crossed(rated_controller):
    (pair,) = rated_controller.datasets.insights()["pairs"]
    assert (pair["setting"], pair["against"]) == ("txt2img.sampler", "txt2img.cfg_scale")
    assert [one["value"] for one in pair["values"]] == ["Euler a", "Heun"]
    assert [one["value"] for one in pair["others"]] == [4.0, 7.0]
    assert sorted((one["value"], one["other"], one["image_count"]) for one in pair["cells"]) == [
        (0, 0, 6),
        (0, 1, 6),
        (1, 0, 6),
        (1, 1, 6),
    ]
    means = {(one["value"], one["other"]): one["mean"]["estimate"] for one in pair["cells"]}
    assert means[0, 0] < 3 < means[0, 1]
    rated_controller.history.refresh(is_patient=True)
    query = f"{pair['values'][0]['query']} {pair['others'][1]['query']}"
    assert len(rated_controller.history.run_ids(query)) == 6


def test_of_very_many_values_those_of_most_images_are_crossed(rated_controller, monkeypatch):
    monkeypatch.setattr(insights, "MOST_CROSSED", 1)
    (pair,) = rated_controller.datasets.insights()["pairs"]
    assert [len(pair[name]) for name in ("values", "others", "cells")] == [1, 1, 1]


@pytest.mark.heavy
def test_only_the_runs_that_a_query_finds_count(rated_controller):
    assert rated_controller.datasets.insights("0th")["rated_image_count"] == 4
    assert rated_controller.datasets.insights("nowhere") == {"rated_image_count": 0, "settings": [], "pairs": []}
    with pytest.raises(InvalidQuery):
        rated_controller.datasets.insights("colour:red")


@pytest.mark.heavy
def test_they_are_worked_out_again_only_when_something_is_new(rated_controller):
    first = rated_controller.datasets.insights()
    assert rated_controller.datasets.insights() is first
    run = next(rated_controller.run_store.iter_runs())
    (_, output), *_ = run.iter_outputs()
    rated_controller.feedback.record_feedback(run.run_id, output.digest, 5)
    assert rated_controller.datasets.insights() != first


def test_of_very_many_values_those_of_most_images_are_described(rated_controller, monkeypatch):
    monkeypatch.setattr(insights, "MOST_VALUES", 1)
    for one in rated_controller.datasets.insights()["settings"]:
        assert len(one["values"]) == 1
        assert one["value_count"] == 2


@pytest.mark.parametrize(
    ("setting", "value", "query"),
    [
        ("txt2img.sampler", "Euler a", 'sampler:"Euler a"'),
        ("txt2img.cfg_scale", 7.5, "cfg:7.5"),
        ("txt2img.cfg_scale", 7.0, "cfg:7"),
        ("txt2img.cfg_scale", ValueRange.between(5.0, 7.5), "cfg:5..7.5"),
        ("txt2img.sampler", 'a "b"', None),
        ("txt2img.model", None, None),
        ("upscale.scale", 2.0, None),
    ],
)
def test_a_query_is_given_where_there_is_one(setting, value, query):
    assert insights.find_query(setting, value) == query
