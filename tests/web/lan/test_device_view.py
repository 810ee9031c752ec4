"""What a device sees: no path, nothing of this computer, and when it is blind no opinion but its own."""

import pytest

from stablenew import JobHistory
from stablenew.errors import ConfigError, InvalidQuery
from stablenew.web.lan import device_view
from stablenew.web.lan.roles import OWNER, Role, Viewer, check_feedback
from stablenew.web.request_bodies import FeedbackBody

DIGEST = "xxh128:" + "0123456789abcdef" * 2
LOOKING = Viewer(Role.LOOK, "anna", "1", "tablet")
RATING = Viewer(Role.RATE, "anna", "2", "phone")
BLIND = Viewer(Role.RATE, "anna", "3", "phone", is_blind=True)


@pytest.fixture
def history(tmp_path):
    history = JobHistory(tmp_path / "runs")
    yield history
    history.close()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/anna/models/dream", "dream"), (r"C:\models\dream", "dream"), ("C:/models/dream", "dream"),
        (r"\\server\share\dream", "dream"), ("~/models/dream", "dream"), ("./dream", "dream"), ("../a/dream", "dream"),
        ("file:///a/dream", "dream"), ("sdxl/dream", "sdxl/dream"), ("a: b/c", "a: b/c"), ("dream", "dream"), ("", ""),
        ("/folder/", ""), (7, 7), (None, None), (("/a/b", 1), ["b", 1]),
        ({"prompt": "/imagine a/b", "model": "/a/b", "x": {"negative": "/a/b", "y": ["~/z"]}},
         {"prompt": "/imagine a/b", "model": "b", "x": {"negative": "/a/b", "y": ["z"]}}),
    ],
)  # fmt: skip
def test_of_a_path_its_last_part_is_left_and_prompts_stay(value, shown):
    assert device_view.without_paths(value) == shown


def test_a_value_of_a_facet_is_still_found_by_what_is_left_of_it():
    facets = {"model": [{"value": "/a/dream", "count": 2}, {"value": "dream", "count": 1}], "rating": [{"value": 5.0}]}
    shown = device_view.show_facets(facets, RATING)
    assert [item["value"] for item in shown["model"]] == ["*dream", "dream"]
    assert shown["rating"] == [{"value": 5.0}]
    assert "rating" not in device_view.show_facets(facets, BLIND)


def row(**more):
    mine = {"rating": 4, "tags": ["label:red", "keeper"], "notes": ["n"]}
    others = {"bob": {"rating": 1}}
    return {
        "digest": DIGEST, "media_type": "image/png", "path": "outputs/secret.png", "mine": mine, "others": others,
        "places": [{"run_id": "r", "path": "/home/a.png"}], "settings": {"model": "/models/x"}, "rating": 2.5,
        "ratings": {"anna": 4, "bob": 1}, "rater_count": 2, "flag": "pick", "flags": ["pick", "reject"],
        "tags": ["of bob"], "labels": ["blue"], "note_count": 3,
    } | more  # fmt: skip


def test_a_row_has_names_in_the_place_of_paths():
    shown = device_view.show_row(row(), RATING)
    assert shown["path"] == shown["places"][0]["path"]
    assert shown["path"].endswith(".png")
    assert shown["settings"] == {"model": "x"}
    assert shown["others"] == {"bob": {"rating": 1}}
    assert "secret" not in str(shown)
    assert "home" not in str(shown)


@pytest.mark.parametrize(
    ("mine", "expected"),
    [
        ({"rating": 4, "tags": ["label:red", "keeper"], "notes": ["n"]},
         {"rating": 4, "rater_count": 1, "flag": None, "flags": [], "labels": ["red"], "note_count": 1}),
        ({"flag": "reject"}, {"rating": None, "rater_count": 0, "flags": ["reject"], "note_count": 0}),
        ({}, {"rating": None, "rater_count": 0, "flag": None, "flags": [], "tags": [], "labels": []}),
    ],
)  # fmt: skip
def test_a_blind_device_sees_its_own_words_in_the_place_of_those_of_all(mine, expected):
    shown = device_view.show_row(row(mine=mine), BLIND)
    assert expected.items() <= shown.items()
    assert (shown["others"], shown["ratings"]) == ({}, {})
    assert "bob" not in str(shown)


def details():
    output = {"digest": DIGEST, "path": "/home/a.png", "stage": "txt2img", "original": {"path": "/secret"}}
    record = {
        "requested": {"model": "/m/x"}, "actual": {"steps": 3}, "outputs": [output], "prompt": "p", "host": "pc",
        "extensions": {"folder": "/secret"},
    }  # fmt: skip
    events = [{"rater": "anna", "op": "rate", "replica": "pc"}, {"rater": "bob", "op": "rate", "replica": "pc"}]
    source = {"engine": "webui", "engine_version": "1", "url": "http://pc:7860"}
    return {"image": {"id": 1}, "record": record, "source": source, "correlation": {"x": 1}, "events": events}


def test_of_a_record_a_device_sees_settings_and_outputs_and_nothing_of_the_computer():
    shown = device_view.show_details(details(), RATING)
    assert shown["record"] == {
        "requested": {"model": "x"}, "actual": {"steps": 3}, "outputs": [{"digest": DIGEST, "stage": "txt2img"}],
    }  # fmt: skip
    assert shown["source"] == {"engine": "webui", "engine_version": "1"}
    assert shown["correlation"] is None
    assert [event["rater"] for event in shown["events"]] == ["anna", "bob"]
    assert "secret" not in str(shown)
    assert "pc" not in str(shown)


def test_a_blind_device_sees_its_own_events_alone():
    assert [event["rater"] for event in device_view.show_details(details(), BLIND)["events"]] == ["anna"]


def test_an_image_without_a_record_has_none():
    shown = device_view.show_details(details() | {"record": None, "source": None, "events": []}, RATING)
    assert (shown["record"], shown["source"], shown["events"]) == (None, {}, [])


def test_of_events_a_device_gets_which_runs_changed_and_no_more():
    data = {"changes": [{"kind": "run_added", "run_id": "r"}], "jobs": {"r": {"prompt": "p"}}, "is_reset": False}
    assert device_view.show_event("changes", data) == data | {"jobs": {}}
    for event in ("news", "job", "task"):
        assert device_view.show_event(event, data) is None


@pytest.mark.parametrize(
    ("viewer", "is_read_only", "expected"),
    [
        (LOOKING, False, {"is_read_only": True, "screens": ("wall", "grid"), "device": "tablet", "wall_query": "q"}),
        (RATING, False, {"is_read_only": False, "screens": ("wall", "duel", "grid"), "wall_query": "q"}),
        (RATING, True, {"is_read_only": True}),
        (BLIND, False, {"wall_query": "-is:trashed", "rater": "anna"}),
    ],
)
def test_the_status_says_what_this_device_may_and_not_where_the_store_is(viewer, is_read_only, expected):
    status = {"store": "/home/runs", "rater": "me", "is_read_only": is_read_only, "wall_query": "q"}
    shown = device_view.describe_device_status(status, viewer, "runs")
    assert expected.items() <= shown.items()
    assert shown["store"] == "runs"


OPINIONS = ["rating:5", "mine:4", "jobrating:3", "tag:a", "label:red", "album:a", "flag:pick", "rater:bob", "noted:yes"]


@pytest.mark.parametrize("text", [*OPINIONS, "unrated:yes", "note:x", "-rating:5", "aspect.hands:3", "oil tag:a"])
def test_a_blind_device_cannot_search_for_what_others_think(history, text):
    with pytest.raises(InvalidQuery, match="cannot be searched for on this device"):
        device_view.read_query(text, BLIND, history)
    with pytest.raises(InvalidQuery):
        device_view.check_query(text, BLIND, history)


@pytest.mark.parametrize("text", [text for text in OPINIONS if not text.startswith("mine")])
def test_another_device_and_the_owner_can(history, text):
    assert device_view.read_query(text, RATING, history) == history.parse(text)
    assert device_view.check_query(text, RATING, history) == text
    assert device_view.read_query(text, OWNER, history) == text


def test_mine_is_about_the_owner_and_cannot_be_searched_for_elsewhere(history):
    with pytest.raises(InvalidQuery, match="mine cannot"):
        device_view.read_query("mine:5", RATING, history)


@pytest.mark.parametrize(("text", "same_as"), [("unrated:mine", "-rater:anna"), ("-unrated:mine", "rater:anna")])
@pytest.mark.parametrize("viewer", [RATING, BLIND])
def test_unrated_by_oneself_means_the_rater_of_the_device(history, viewer, text, same_as):
    found = device_view.read_query(f"oil {text}", viewer, history)
    assert found == history.parse(f"oil {same_as}")
    with pytest.raises(InvalidQuery, match="unrated:mine"):
        device_view.check_query(text, viewer, history)


@pytest.mark.parametrize("sort", ["newest", "oldest", "random"])
def test_a_blind_device_has_the_orders_that_tell_nothing(sort):
    assert device_view.check_sort(sort, BLIND) == sort


@pytest.mark.parametrize("sort", ["best", "worst", "unrated", "metric.x", "-aspect.hands", "steps"])
def test_other_orders_are_for_those_who_see_opinions(sort):
    assert device_view.check_sort(sort, RATING) == sort
    with pytest.raises(ConfigError, match=f"cannot be sorted by {sort}"):
        device_view.check_sort(sort, BLIND)


@pytest.mark.parametrize("name", ["rating", "Rating", "aspect.hands", "tag", "note"])
def test_images_are_not_told_apart_by_what_is_hidden(name):
    device_view.check_axes(["steps", name], RATING)
    device_view.check_axes(["steps", "settings.x"], BLIND)
    with pytest.raises(ConfigError, match="cannot be compared on this device"):
        device_view.check_axes(["steps", name], BLIND)


@pytest.mark.parametrize("trashed", [True, False])
def test_the_trash_is_the_owners(trashed):
    said = {"run_id": "r", "act": "0123456789ab", "image_id": DIGEST}
    batch = FeedbackBody.model_validate({"says": [said, said | {"trashed": trashed}]}).says
    check_feedback(batch, OWNER)
    check_feedback(batch[:1], RATING)
    with pytest.raises(ConfigError, match="reject an image instead"):
        check_feedback(batch, RATING)
