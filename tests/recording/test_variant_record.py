"""What a program says about a variant as its record, whatever it says."""

import itertools

import pytest

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.recording.variant_record import VariantInput, build_variant
from tests.samples import fake_clock, png

FIRST, SECOND = png(b"first"), png(b"second")
RUN = {"run_id": "sample-run"}


def build(images=FIRST, **given):
    return build_variant(VariantInput(images=images, **given), RUN, index=2, total=5, clock=fake_clock())


def record_of(images=FIRST, **given):
    built = build(images, **given)
    assert LearningRecord.from_dict(built.record.to_dict()) == built.record, "it is a valid record"
    return built.record.to_dict()


def test_a_variant_has_its_prompt_its_place_and_its_images():
    built = build([FIRST, SECOND], prompt="a pier", negative_prompt="fog", settings={"steps": 4, "CFG scale": 7})
    record = built.record.to_dict()
    assert (record["variant"]["index"], record["variant"]["total"], record["run_id"]) == (2, 5, "sample-run")
    assert record["prompt"] == {"positive": "a pier", "negative": "fog"}
    assert record["requested"] == {"steps": 4, "cfg_scale": 7}
    assert [image.data for image in built.images] == [FIRST, SECOND]
    assert [output["digest"] for output in record["outputs"]] == [digest_bytes(FIRST), digest_bytes(SECOND)]
    assert {output["role"] for output in record["outputs"]} == {"final"}
    assert built.problems == []


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ([5, 6], [5, 6]), ((5, "6"), [5, 6]), (iter([5, 6]), [5, 6]), (5, [None, None]), ([5], [None, None]),
        ([5, 6, 7], [None, None]), ("56", [None, None]), ([5, "many"], [5, None]), (None, [None, None]),
        (itertools.count(5), [None, None]), (itertools.repeat(5), [None, None]),
    ],
)  # fmt: skip
def test_each_image_has_its_seed_where_there_is_one_for_each(given, seeds):
    record = record_of([FIRST, SECOND], seeds=given)
    assert [output.get("seed") for output in record["outputs"]] == seeds
    assert ("odd" in record) == (None in seeds and given is not None)


@pytest.mark.parametrize("given", [5, "5", [5], 5.0])
def test_a_single_image_needs_no_list_for_its_seed(given):
    assert record_of(seeds=given)["outputs"][0]["seed"] == 5


def test_what_cannot_be_read_is_named_by_its_place_and_costs_no_seed_of_another():
    built = build([FIRST, None, SECOND], seeds=[1, 2, 3])
    assert list(built.unreadable) == [1]
    assert [(image.reference.seed, image.data) for image in built.images] == [(1, FIRST), (3, SECOND)]
    assert built.problems[0].startswith("images[1]: expected an image")


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ({}, "completed", None), ({"error": "out of memory"}, "failed", "out of memory"),
        ({"error": False}, "completed", None),
        ({"error": ValueError("bad size")}, "failed", "bad size"), ({"status": "cancelled"}, "cancelled", None),
        ({"error": "x", "status": "cancelled"}, "cancelled", "x"), ({"error": ""}, "completed", None),
    ],
)  # fmt: skip
def test_a_variant_failed_where_an_error_is_given_and_nothing_else_is_said(given, status, error):
    record = record_of(**given)
    assert (record["status"], record["stages"][0]["status"]) == (status, status)
    assert (record.get("error") is None) == (error is None)
    assert error is None or error in record["error"]["message"]


def test_a_failure_needs_no_images_and_anything_else_does():
    assert build(None, error="out of memory").problems == []
    assert build(None).problems == ["images[0]: expected images, found None"]


@pytest.mark.parametrize(
    ("given", "scores"),
    [
        ({"sharpness": 0.5}, [(None, "sharpness", 0.5)]),
        ({"sharpness": [0.5, 0.75]}, [(0, "sharpness", 0.5), (1, "sharpness", 0.75)]),
        ([{"clip": 0.5}, {"clip": "0.75", "x": 1}], [(0, "clip", 0.5), (1, "clip", 0.75), (1, "x", 1)]),
        ({"sharpness": "many"}, []), ([{"sharpness": 0.5}], []), ("many", []), (5, []), (None, []),
    ],
)  # fmt: skip
def test_scores_are_of_the_variant_or_of_each_image(given, scores):
    record = record_of([FIRST, SECOND], metrics=given)
    places = {digest_bytes(FIRST): 0, digest_bytes(SECOND): 1, None: None}
    found = [(places[score.get("image_id")], score["metric"], score["value"]) for score in record.get("metrics", [])]
    assert found == scores
    assert ("odd" in record) == (not scores and given is not None)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"stage": "no such thing"}, "stage"), ({"overrides": [1]}, "overrides"),
        ({"started_at": "soon"}, "started_at"),
        ({"duration_seconds": "long"}, "duration_seconds"), ({"others": {"tempo": object}}, "tempo"),
        ({"prompt": ["a", "pier"]}, "prompt"), ({"settings": "fast"}, "requested"),
    ],
)  # fmt: skip
def test_what_does_not_fit_stands_beside_the_record_as_text(given, name):
    built = build(**given)
    assert name in built.record.odd
    assert any(problem.startswith(f"{name}: ") for problem in built.problems)
    assert len(built.images) == 1


def test_times_are_those_of_the_program_or_else_of_the_clock():
    record = record_of(started_at="2026-11-21T08:00:00Z", finished_at=1_800_000_000, duration_seconds="1.5")
    assert record["started_at"].startswith("2026-11-21T08:00:00")
    assert record["finished_at"].startswith("2027-01-15T08:00:00")
    assert (record["duration_seconds"], record["stages"][0]["duration_seconds"]) == (1.5, 1.5)
    assert record_of()["started_at"] < record_of(started_at=None)["finished_at"]


def test_an_object_that_raises_whatever_is_asked_costs_neither_prompt_nor_images():
    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError(name)

    names = (
        "negative_prompt",
        "settings",
        "actual",
        "seeds",
        "parents",
        "stage",
        "label",
        "overrides",
        "status",
        "metrics",
    )
    for name in names:
        built = build(prompt="a pier", **{name: Hostile()})
        assert built.record.prompt.positive == "a pier", name
        assert [image.data for image in built.images] == [FIRST], name
