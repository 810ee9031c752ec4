"""Requests to the API as the endpoints see them: parameters by their kind, bodies, errors with their status."""

import json

import pytest
from starlette.requests import Request
from starlette.responses import Response

from stablenew.errors import ConfigError, InvalidQuery, RunNotFound
from stablenew.web.api import Endpoint, Parameter, describe_error, json_response, status_of
from stablenew.web.guard import MAX_BODY_BYTES
from stablenew.web.lan.roles import VIEWER, Role, Viewer
from tests.coroutines import run_coroutine
from tests.web.asgi import ask, scope_of

PARAMETERS = (
    Parameter("text", "A text.", default="none"), Parameter("count", "A count.", "integer", 5),
    Parameter("share", "A share.", "number"), Parameter("ids", "Jobs.", "numbers", ()),
)  # fmt: skip
DEVICE = Viewer(Role.RATE, "anna", "1", "phone")


def endpoint(handler, method="GET", path="/api/status", **fields):
    return Endpoint(method, path, "Does something.", handler, PARAMETERS, **fields)


def call(handler, *, query=b"", body=b"", method="GET", viewer=None, path="/api/status"):
    """The answer of an endpoint that does what `handler` does."""

    async def app(scope, receive, send):
        scope |= {"path_params": {"run_id": "r"}} | ({VIEWER: viewer} if viewer else {})
        response = await endpoint(handler, method, path).answer(None, Request(scope, receive))
        await response(scope, receive, send)

    return ask(app, method, path, query=query, body=body)


def got(name, query):
    answer = call(lambda one: one.get(name), query=query)
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    ("name", "query", "value"),
    [
        ("text", b"", "none"), ("text", b"text=", ""), ("text", b"text=a%20b&x=1", "a b"),
        ("text", b"text=caf%C3%A9", "café"),
        ("count", b"", 5), ("count", b"count=0", 0), ("count", b"count=-7", -7),
        ("count", b"count=9223372036854775807", 2**63 - 1),
        ("share", b"", None), ("share", b"share=0.5", 0.5), ("share", b"share=-1e3", -1000.0),
        ("ids", b"", []), ("ids", b"ids=", []), ("ids", b"ids=3,1,3", [3, 1, 3]), ("ids", b"ids=1,", [1]),
    ],
)  # fmt: skip
def test_a_parameter_is_read_by_its_kind_and_has_its_default(name, query, value):
    assert got(name, query) == (200, value)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("text", b"text=a%00b"), ("count", b"count="), ("count", b"count=1.5"), ("count", b"count=x"),
        ("count", b"count=9223372036854775808"), ("count", b"count=-99999999999999999999999"), ("share", b"share=nan"),
        ("share", b"share=inf"), ("share", b"share=1e999"), ("share", b"share=x"), ("ids", b"ids=1,x"),
        ("ids", b"ids=99999999999999999999"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_of_its_kind_is_the_callers_mistake(name, query):
    status, answer = got(name, query)
    assert status == 422
    assert f"expected {name} to be of kind" in answer["error"]


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (ConfigError("wrong"), 422, {"error": "wrong", "type": "ConfigError"}),
        (RunNotFound("gone"), 404, {"error": "gone", "type": "RunNotFound"}),
        (InvalidQuery("expected a value", "rating:", 7), 422, {"error": "expected a value", "position": 7}),
        (OSError(13, "Permission denied"), 500, {"error": "[Errno 13] Permission denied", "type": "PermissionError"}),
    ],
)
def test_an_error_is_answered_with_its_status_and_words(error, status, expected):
    def handler(_call):
        raise error

    answer = call(handler)
    assert answer.status == status == status_of(error)
    assert expected.items() <= json.loads(answer.body).items()
    assert answer.header("cache-control") == "no-store"


def test_a_device_reads_an_error_without_the_folders_of_this_computer():
    def handler(_call):
        raise RunNotFound("no run in /home/anna/runs/x")

    assert call(handler, viewer=DEVICE).error == "no run in …/x"
    assert call(handler).error == "no run in /home/anna/runs/x"


def test_a_device_gets_nothing_from_an_address_of_the_owner():
    answer = call(lambda _: "secret", viewer=DEVICE, path="/api/health")
    assert (answer.status, answer.error) == (403, "this device may not do that")
    assert call(lambda _: "secret", path="/api/health").status == 200


def test_a_handler_may_answer_by_itself_and_sees_who_asks():
    answer = call(lambda one: Response(f"{one.rater} {one.path['run_id']} {one.header('x')}"), viewer=DEVICE)
    assert answer.body == b"anna r None"


@pytest.mark.parametrize("parts", [[b'{"device": ', b'"d"}'], [b'{"device":"d"}'], [b"", b'{"device":"d"}', b""]])
def test_a_body_is_read_whole_however_it_arrives(parts):
    from stablenew.web.request_bodies import RevokeBody

    answer = call(lambda one: one.body(RevokeBody).device, method="POST", body=parts)
    assert json.loads(answer.body) == "d"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"device": 3}', b"\xff", b'{"devise": "d"}'])
def test_another_body_is_the_callers_mistake_and_the_field_is_named(body):
    from stablenew.web.request_bodies import RevokeBody

    answer = call(lambda one: one.body(RevokeBody), method="POST", body=body)
    assert answer.status == 422
    assert "not what /api/status takes" in answer.error


def test_more_bytes_than_any_request_has_are_refused_as_they_arrive():
    half = b"x" * (MAX_BODY_BYTES // 2 + 1)
    answer = call(lambda _: 1, method="POST", body=[half, half])
    assert (answer.status, answer.error) == (413, "expected at most 4,194,304 bytes")


def test_who_leaves_before_the_end_of_a_body_is_answered_by_nothing():
    called = []

    async def run():
        async def receive():
            return {"type": "http.disconnect"}

        request = Request(scope_of("POST", "/api/status"), receive)
        return await endpoint(called.append, "POST").answer(None, request)

    assert run_coroutine(run()).status_code == 400
    assert called == []


def test_json_may_hold_any_text_that_a_file_name_has():
    response = json_response({"name": "a\udcff é"})
    assert json.loads(response.body.decode("utf-8", "surrogatepass")) == {"name": "a\udcff é"}
    assert response.headers["cache-control"] == "no-store"


def test_only_a_query_has_a_position():
    assert "position" not in describe_error(ConfigError("x"))
