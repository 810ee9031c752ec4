"""What requests carry: each body takes what its endpoint documents, and an error names what is not that."""

import json

import pytest
from pydantic import ValidationError

from stablenew.formats.model_base import explain
from stablenew.web import request_bodies
from stablenew.web.web_app import ENDPOINTS

DIGEST = "xxh128:" + "0" * 32
ACT = "0123456789ab"
SAYING = {"run_id": "r", "act": ACT}
VOTE = {"winner_run_id": "r", "winner": "a", "loser_run_id": "q", "loser": "b", "act": ACT}
VALID = {
    "FeedbackBody": {"says": [SAYING]}, "VotesBody": {"votes": [VOTE]}, "RestoreBody": {},
    "MoveBody": {"act": ACT, "query": "album:x", "images": [DIGEST], "target": DIGEST},
    "CopiesBody": {"first": DIGEST, "second": DIGEST, "is_same": None}, "EmptyBody": {"expected_count": 1},
    "ExportBody": {"ids": [1]}, "GridBody": {}, "StepBody": {"act": ACT, "run_ids": ["r"]}, "ViewBody": {"name": "n"},
    "SettingsBody": {}, "RunBody": {}, "EngineBody": {}, "WorkflowBody": {"workflow": "{}"}, "RoundBody": {},
    "TunedPackBody": {"name": "n", "settings": {}}, "VerifyBody": {}, "RepairBody": {"run_ids": ["r"]},
    "TaskBody": {"kind": "verify"}, "FolderBody": {"path": "/x"}, "ImportBody": {"paths": ["/x"]},
    "WatchBody": {"source": "s", "watch": True}, "InviteBody": {}, "RevokeBody": {"device": "d"}, "NothingBody": {},
}  # fmt: skip
"""The least that each takes."""


def texts(least, most):
    return ["x" * most, *(["x" * least] if least else [""])], ["x" * (most + 1), *([""] if least else []), 1]


def lists(item, most):
    return [[item], [item] * most], [[], [item] * (most + 1), item, [item, "no/id"]]


ACTS = (["a" * 8, "A-_0" * 16], ["a" * 7, "a" * 65, "a b c d e", "a" * 8 + "\n", None])
RUN_IDS = (["r", "r" * 64], ["", "r/s", "..", "r" * 65])
DIGESTS = ([DIGEST], ["0" * 32, DIGEST[:-1], DIGEST + "0", ""])
FLAGS = ([True, False], [None, "maybe", "yes", "true", 1, 2])
FOLDERS = ["/x", "x" * 4096], ["", "x" * 4097, "a\0b"]
TAKES = {
    ("FeedbackBody", "says"): lists(SAYING, 2000), ("VotesBody", "votes"): lists(VOTE, 200),
    ("MoveBody", "act"): ACTS, ("MoveBody", "images"): lists(DIGEST, 2000), ("MoveBody", "target"): DIGESTS,
    ("MoveBody", "is_after"): FLAGS, ("CopiesBody", "first"): DIGESTS, ("CopiesBody", "second"): DIGESTS,
    ("CopiesBody", "is_same"): ([True, False, None], ["no", 2]),
    ("RestoreBody", "digests"): ([None, *lists(DIGEST, 2000)[0]], lists(DIGEST, 2000)[1]),
    ("EmptyBody", "expected_count"): ([1, 10**6], [0, -1, 1.5, "1", True, None]),
    ("EmptyBody", "older"): (["30d", None], [1]),
    ("EmptyBody", "all_raters"): FLAGS,
    ("ExportBody", "ids"): ([[0], [2**31 - 1], [1] * 2000], [[], [-1], [2**31], [1] * 2001, ["1"], [0.5]]),
    ("ExportBody", "template"): texts(1, 300), ("ExportBody", "xmp"): FLAGS, ("ExportBody", "captions"): FLAGS,
    ("ExportBody", "settings"): FLAGS,
    ("StepBody", "act"): ACTS, ("StepBody", "run_ids"): lists("r", 2000),
    ("StepBody", "as_act"): ([*ACTS[0], None], ACTS[1][:-1]),
    ("SettingsBody", "rater"): texts(0, 200), ("SettingsBody", "learning_enabled"): ([True, None], ["maybe"]),
    ("RunBody", "prompt"): texts(0, 200_000), ("RunBody", "negative"): texts(0, 50_000), ("RunBody", "again"): RUN_IDS,
    ("RunBody", "limit"): ([1, None], [0, 1.5, "1"]), ("RunBody", "seed"): ([0, 2**64, None], [-1]),
    ("RunBody", "tags"): ([[], ["a" * 256]], [[""], ["a" * 257], "a"]), ("RunBody", "new_seeds"): FLAGS,
    **{("RunBody", name): ([[], ["x"]], ["x", [1]]) for name in ("settings", "sweeps", "randomize")},
    ("WorkflowBody", "workflow"): texts(0, 3_000_000), ("RoundBody", "query"): texts(0, 10_000),
    ("RoundBody", "over"): texts(0, 10_000), ("RoundBody", "size"): ([2, 64], [1, 65, "4"]),
    ("RoundBody", "prompt"): texts(0, 200_000), ("TunedPackBody", "name"): texts(0, 80),
    ("TunedPackBody", "prompts"): ([[], [["p", "n"]] * 100], [[["p", "n"]] * 101, [["p"]], ["p"]]),
    ("TunedPackBody", "settings"): ([{"a": [1, None]}], [[], "x"]), ("VerifyBody", "deep"): FLAGS,
    ("RepairBody", "run_ids"): lists("r", 10_000), ("TaskBody", "deep"): FLAGS, ("TaskBody", "stop"): FLAGS,
    ("TaskBody", "kind"): (["verify", "survey", "pixels"], ["verif", "verify ", "verify\n", ""]),
    ("FolderBody", "path"): FOLDERS, ("ImportBody", "paths"): ([["/x"] * 100], [[], ["/x"] * 101, ["a\0b"], [""]]),
    ("ImportBody", "watch"): FLAGS, ("WatchBody", "source"): texts(0, 64), ("WatchBody", "watch"): FLAGS,
    ("InviteBody", "role"): (["look", "rate"], ["owner", "looks", "look\n", None]),
    ("InviteBody", "rater"): texts(0, 200), ("InviteBody", "is_blind"): FLAGS, ("RevokeBody", "device"): texts(1, 200),
}  # fmt: skip


def read(name, /, **fields):
    return getattr(request_bodies, name).model_validate_json(json.dumps(VALID[name] | fields))


def refusal(name, fields):
    """What the answer says of fields that do not fit."""
    with pytest.raises(ValidationError) as found:
        getattr(request_bodies, name).model_validate_json(json.dumps(fields))
    return explain(found.value)


def test_each_body_is_what_an_endpoint_takes():
    assert {endpoint.body for endpoint in ENDPOINTS} - {None} == VALID.keys()
    bodies = {name for name in vars(request_bodies) if name.endswith("Body") and name != "_Body"}
    assert bodies == VALID.keys()


@pytest.mark.parametrize("name", VALID)
def test_a_body_takes_its_least_and_misses_or_refuses_fields_by_name(name):
    read(name)
    assert "surprise: no such field" in refusal(name, VALID[name] | {"surprise": 1})
    for field in VALID[name]:
        left = {key: value for key, value in VALID[name].items() if key != field}
        assert f"{field}: missing" in refusal(name, left)


@pytest.mark.parametrize(("name", "field"), TAKES)
def test_a_field_takes_what_it_may_hold_and_an_error_names_it_for_anything_else(name, field):
    good, bad = TAKES[name, field]
    for value in good:
        read(name, **{field: value})
    for value in bad:
        assert refusal(name, VALID[name] | {field: value}).startswith(field), repr(value)[:100]


@pytest.mark.parametrize(("name", "field", "item"), [("FeedbackBody", "says", SAYING), ("VotesBody", "votes", VOTE)])
def test_what_a_page_posts_has_real_runs_and_a_key_to_post_it_again_under(name, field, item):
    for key in [key for key in item if key == "act" or key.endswith("run_id")]:
        for value in (ACTS if key == "act" else RUN_IDS)[1]:
            assert f"{field}.0.{key}" in refusal(name, {field: [item | {key: value}]})
        assert f"{field}.0.{key}: missing" in refusal(name, {field: [{n: v for n, v in item.items() if n != key}]})


def test_what_is_not_given_asks_for_nothing_that_cannot_be_taken_back():
    assert read("EmptyBody").model_dump() == {"older": None, "all_raters": False, "expected_count": 1}
    assert read("RestoreBody").digests is None
    assert (read("MoveBody").is_after, read("StepBody").as_act, read("ViewBody").query) == (False, None, None)
    assert (read("ImportBody").watch, read("TaskBody").stop, read("TaskBody").deep) == (False, False, False)
    assert (read("InviteBody").role, read("InviteBody").is_blind, read("InviteBody").rater) == ("rate", False, None)
    assert (read("RunBody").new_seeds, read("RunBody").limit, read("RunBody").seed) == (False, None, None)
    assert read("VerifyBody").deep is False
    assert read("ExportBody").model_dump() == {
        "ids": [1], "template": "{date}-{seed}-{prompt:40}", "xmp": False, "captions": False, "settings": False,
    }  # fmt: skip
    assert (read("RoundBody").size, read("RoundBody").query, read("RoundBody").over) == (4, "", "")
