"""What a pack says of an image, and what it keeps to itself without prompts."""

import math

import pytest

from stablenew.exporting.share.shown_image import (
    KEPT_SETTINGS,
    Anonymous,
    show_evidence,
    show_image,
    show_image_without_prompts,
    without_folders,
)

ROW = {
    "run_id": "20261122-secret", "name": "0/0", "digest": "xxh128:secret", "created_at": "2026-11-22T00:00:00.000Z",
    "width": 64, "height": 48, "prompt": "secret", "negative": "secret", "ratings": {"secret": 5, "bob": 1},
    "settings": {"steps": 20, "model": "/home/secret/m", "seed": 7, "secret": "x", "eta": None, "sampler": "Euler"},
    "flags": ["pick", "reject"], "tags": ["secret"], "metrics": {"secret": 1.0, "bad": math.nan, "inf": math.inf},
    "path": "secret", "places": ["secret"], "note_count": 1, "id": 5,
}  # fmt: skip


def test_a_whole_pack_shows_what_people_look_at_and_numbers_that_json_has():
    shown = show_image(ROW)
    assert shown["prompt"] == "secret"
    assert shown["metrics"] == {"secret": 1.0}
    assert shown["job"] == ROW["run_id"]
    assert not {"path", "places", "id", "note_count"} & set(shown)


def test_without_prompts_nothing_leads_to_words_or_people():
    raters, jobs = Anonymous("rater"), Anonymous("job")
    shown = show_image_without_prompts(ROW, raters, jobs)
    assert "secret" not in str(shown)
    assert shown["settings"] == {"steps": 20, "model": "m", "seed": 7, "sampler": "Euler"}
    assert shown["ratings"] == {"rater 1": 5, "rater 2": 1}
    assert (shown["job"], shown["flags"]) == ("job 1", ["pick", "reject"])
    again = show_image_without_prompts(ROW | {"run_id": "other", "ratings": {"bob": 3}}, raters, jobs)
    assert (again["job"], again["ratings"]) == ("job 2", {"rater 2": 3})


def test_a_flag_of_ones_own_is_not_shown():
    row = ROW | {"flags": ["secret", "pick"]}
    assert show_image_without_prompts(row, Anonymous("r"), Anonymous("j"))["flags"] == ["pick"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/a/b/m", "m"),
        (r"C:\a\m", "m"),
        ("m", "m"),
        ("/a/", ""),
        ("x" * 90, "x" * 80),
        (7, 7),
        (None, None),
        (True, True),
    ],
)
def test_of_a_path_its_name_is_left(value, shown):
    assert without_folders(value) == shown


def insights(*names):
    value = {"value": "/home/secret/m", "image_count": 3, "mean": 4.5, "interval": [1, 2]}
    return {"settings": [{"setting": name, "values": [value], "more": "secret"} for name in names]}


def test_evidence_without_prompts_is_about_known_settings_alone():
    shown = show_evidence(insights("txt2img.model", "settings.secret", "sampler"), has_prompts=False)
    assert [item["setting"] for item in shown] == ["model", "sampler"]
    assert shown[0]["values"] == [{"value": "m", "image_count": 3, "mean": 4.5}]
    assert "secret" not in str(shown)


def test_evidence_with_prompts_is_whole_and_no_insights_are_none():
    shown = show_evidence(insights("settings.secret"), has_prompts=True)
    assert shown == [
        {"setting": "settings.secret", "values": [{"value": "/home/secret/m", "image_count": 3, "mean": 4.5}]}
    ]
    assert show_evidence(None, has_prompts=True) == show_evidence({}, has_prompts=False) == []


def test_no_setting_that_is_kept_holds_words_of_ones_own():
    assert {"model", "sampler", "steps", "seed"} <= set(KEPT_SETTINGS)
    assert not {"prompt", "negative", "loras"} & set(KEPT_SETTINGS)
