"""The JSON API: what it gives is what the command line prints, and what it documents is what it serves."""

import json
import struct

import pytest

from stablenew.web.open_api import describe_api
from stablenew.web.web_app import ENDPOINTS
from tests.web.serving import events_of

ACT = "abcdef012345"


def numbers(client, query=""):
    _, _, body = client.ask("GET", f"/api/jobs/numbers?query={query}")
    return list(struct.unpack(f"<{len(body) // 8}q", body))


def say(client, run_id, **fields):
    return client.post("/api/feedback", {"says": [{"act": ACT, "run_id": run_id, **fields}]})


@pytest.mark.only_reads
def test_the_description_is_openapi_and_names_every_endpoint(client):
    described = client.get("/api/openapi.json")
    assert described == json.loads(json.dumps(describe_api(ENDPOINTS)))
    assert described["openapi"] == "3.1.0"
    named = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
    assert named == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    operations = [operation for item in described["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith(".")
        for part in operation.get("requestBody", {}).get("content", {}).values():
            assert part["schema"]["$ref"].rpartition("/")[2] in described["components"]["schemas"]


@pytest.mark.only_reads
def test_jobs_are_what_history_prints(server, client):
    jobs = client.get("/api/jobs?limit=3")
    printed = json.loads(server.run("history", "--json", "--limit", "3"))
    for_rows = {"number", "settings"}  # what the list of jobs shows beside
    assert [{key: value for key, value in job.items() if key not in for_rows} for job in jobs["jobs"]] == printed
    assert all(job["settings"]["model"] == {"values": ["sketch-1"], "count": 1} for job in jobs["jobs"])
    rest = client.get(f"/api/jobs?limit=3&after={jobs['next_cursor']}")
    assert [len(rest["jobs"]), rest["next_cursor"]] == [1, None]
    found = numbers(client)
    assert [str(number) for number in found[:3]] == [job["number"] for job in jobs["jobs"]]
    rows = client.get(f"/api/jobs/rows?numbers={found[2]},7,{found[0]}")["jobs"]
    assert [row and row["run_id"] for row in rows] == [jobs["jobs"][2]["run_id"], None, jobs["jobs"][0]["run_id"]]
    assert client.get("/api/jobs/count?query=harbour") == {"count": 1}
    assert len(numbers(client, "harbour")) == 1


def test_a_run_is_what_show_and_feedback_print(server, client, run_ids):
    say(client, run_ids[0], rating=4, notes="well")
    shown = client.get(f"/api/runs/{run_ids[0]}")
    feedback = shown.pop("feedback")
    assert shown == json.loads(server.run("show", run_ids[0], "--json"))
    printed = json.loads(server.run("feedback", run_ids[0], "--json"))
    assert feedback == printed | {"rater": feedback["rater"]}
    verified = client.post(f"/api/runs/{run_ids[0]}/verify", {"deep": True})
    (report,) = json.loads(server.run("verify", run_ids[0], "--deep", "--json"))["reports"]
    assert {key: value for key, value in verified.items() if key != "verified_at"} == report


def test_lists_of_numbers_are_in_the_order_of_pages(server, client, run_ids):
    server.run("rate", run_ids[2], "5")
    server.run("rate", run_ids[1], "0")
    client.get("/api/jobs")
    orders = set()
    for sort in ("time", "oldest", "rating", "duration", "outputs", "variants"):
        _, _, body = client.ask("GET", f"/api/jobs/numbers?sort={sort}")
        listed = [str(number) for number in struct.unpack(f"<{len(body) // 8}q", body)]
        assert listed == [job["number"] for job in client.get(f"/api/jobs?sort={sort}")["jobs"]], sort
        orders.add(tuple(listed))
    assert len(orders) > 2


def test_what_is_said_twice_under_one_name_counts_once(client, root, run_ids):
    for _ in range(3):
        assert say(client, run_ids[0], rating=2, tags=["a", "b"]) == {"saved": [ACT], "refused": []}
    assert [event["op"] for event in events_of(root, run_ids[0])] == ["rate", "tag", "tag"]
    for _ in range(2):
        client.post("/api/undo", {"act": ACT, "run_ids": [run_ids[0]]})
    assert len(events_of(root, run_ids[0])) == 4
    for _ in range(2):
        client.post("/api/redo", {"act": ACT, "run_ids": [run_ids[0]], "as_act": "fedcba543210"})
    assert len(events_of(root, run_ids[0])) == 7


def test_what_fits_is_said_and_what_does_not_is_named(client, root, run_ids):
    says = [
        {"act": "good00000001", "run_id": run_ids[0], "rating": 5},
        {"act": "bad000000001", "run_id": run_ids[0], "image_id": "nothing", "rating": 5},
        {"act": "bad000000002", "run_id": "20200101-000000-000-aaaaaaaaaa", "rating": 5},
        {"act": "good00000002", "run_id": run_ids[1], "flag": "pick"},
    ]
    answer = client.post("/api/feedback", {"says": says})
    assert answer["saved"] == ["good00000001", "good00000002"]
    assert [one["act"] for one in answer["refused"]] == ["bad000000001", "bad000000002"]
    assert "no output 'nothing'" in answer["refused"][0]["error"]
    assert len(events_of(root, run_ids[0])) == 1


@pytest.mark.only_reads
@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/feedback", {"says": [{"act": ACT, "run_id": "x", "rating": 6}]}, "rating"),
        ("/api/feedback", {"says": [{"act": ACT, "run_id": "../x", "rating": 5}]}, "run_id"),
        ("/api/feedback", {"says": [{"act": "short", "run_id": "x", "rating": 5}]}, "act"),
        ("/api/feedback", {"says": []}, "says"),
        ("/api/feedback", {"says": [{"act": ACT, "run_id": "x", "stars": 5}]}, "stars"),
        ("/api/plans", {"prompt": "  "}, "prompt"),
        ("/api/plans", {"pack": "../secret.txt"}, "no prompt pack"),
        ("/api/plans", {"prompt": "x", "settings": ["txt2img.stepps=3"]}, "did you mean txt2img.steps"),
        ("/api/running", {"prompt": "x", "engine": "nothing"}, "no engine 'nothing'"),
        ("/api/running", {"prompt": "x", "sweeps": ["txt2img.seed=" + ",".join(map(str, range(1200)))]}, "--limit"),
        ("/api/views", {"name": " ", "query": "x"}, "a name of 1 to 80"),
        ("/api/tasks", {"kind": "dance"}, "kind"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(client, path, body, words):
    assert words in client.post(path, body, expected=422)["error"]


@pytest.mark.only_reads
def test_a_search_that_cannot_be_understood_points_at_the_character(client):
    status, _, body = client.ask("GET", "/api/jobs?query=cfg:7%20colour:red")
    assert (status, json.loads(body)["position"]) == (422, 6)
    assert client.get("/api/query?query=cfg:7%20colour:red")["problem"]["position"] == 6
    assert client.get("/api/query?query=cfg:7")["problem"] is None
    for path in ("/api/jobs?limit=0", "/api/jobs?limit=x", "/api/jobs?sort=luck", "/api/jobs/rows?numbers=1,x"):
        assert client.ask("GET", path)[0] == 422


def test_settings_are_kept(server, client):
    assert client.post("/api/settings", {"learning_enabled": True, "rater": "carol"}) == {
        "learning_enabled": True,
        "rater": "carol",
    }
    assert client.get("/api/status")["rater"] == "carol"
    assert server.run("config", "get", "learning_enabled").strip() == "true"
