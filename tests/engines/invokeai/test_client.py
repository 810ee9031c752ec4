"""Calls to InvokeAI, with the fields of the OpenAPI of 6.14.2."""

import json

import httpx
import pytest

from stablenew.engines.invokeai.client import ORIGIN, InvokeAIClient
from stablenew.errors import EngineError

URL = "http://127.0.0.1:9090"
QUEUE = "/api/v1/queue/default"


def client_of(answer, status=200, asked=None):
    """A client of a server that answers everything alike, and puts what it was asked into `asked`."""

    def handle(request):
        if asked is not None:
            asked.append(request)
        return (
            httpx.Response(status, content=answer) if isinstance(answer, bytes) else httpx.Response(status, json=answer)
        )

    return InvokeAIClient(URL, transport=httpx.MockTransport(handle))


def test_a_graph_is_queued_as_ours():
    asked = []
    assert client_of({"item_ids": [7], "enqueued": 1}, asked=asked).enqueue({"nodes": {}}) == 7
    assert asked[0].url.path == f"{QUEUE}/enqueue_batch"
    assert json.loads(asked[0].content) == {
        "batch": {"graph": {"nodes": {}}, "runs": 1, "origin": ORIGIN}, "prepend": False,
    }  # fmt: skip


@pytest.mark.parametrize("answer", [{}, {"item_ids": []}, {"item_ids": None}, []])
def test_a_queue_that_took_nothing_is_no_invokeai(answer):
    with pytest.raises(EngineError, match="took nothing into its queue; is this the address of an InvokeAI?"):
        client_of(answer).enqueue({})


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("no such model", "answered 422: no such model"),
        (
            [
                {"loc": ["body", "batch", "graph"], "msg": "Field required", "type": "missing"},
                {"loc": ["body", 3], "msg": "m" * 900},
                "text",
            ],
            f"body.batch.graph: Field required; body.3: {'m' * 300}",
        ),
        (None, "answered 422: without a reason"),
    ],
)
def test_a_graph_that_is_refused_says_why_in_not_too_many_words(detail, said):
    with pytest.raises(EngineError) as refused:
        client_of({"detail": detail}, 422).enqueue({})
    assert said in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(("answer", "said"), [(b"<html>", "<html>"), ([], "answered 500")])
def test_an_answer_that_is_no_fastapi_is_told_as_it_is(answer, said):
    with pytest.raises(EngineError) as refused:
        client_of(answer, 500).enqueue({})
    assert said in str(refused.value)


def test_an_item_that_is_gone_is_named():
    assert client_of({"item_id": 7, "status": "pending"}).read_item(7)["status"] == "pending"
    with pytest.raises(EngineError, match="does not know the item 7 of its queue any more"):
        client_of({}).read_item(7)


@pytest.mark.parametrize(
    ("answer", "items"), [({"item_ids": [3, 4, "x", None]}, [3, 4]), ({"item_ids": None}, []), ({}, []), ([], [])]
)
def test_items_are_listed_in_the_order_they_came(answer, items):
    asked = []
    assert client_of(answer, asked=asked).list_items() == items
    assert asked[0].url.query == b"order_dir=ASC"


def test_only_our_item_is_cancelled_and_nobody_minds_whether_it_hears():
    asked = []
    client_of({}, 500, asked).cancel(7)
    assert [(request.method, request.url.path) for request in asked] == [("PUT", f"{QUEUE}/i/7/cancel")]


def test_an_image_is_fetched_by_its_name_whatever_is_in_it():
    asked = []
    assert client_of(b"\x89PNG", asked=asked).download("a/b c.png") == b"\x89PNG"
    assert asked[0].url.raw_path == b"/api/v1/images/i/a%2Fb%20c.png/full"


@pytest.mark.parametrize(
    ("answer", "models"), [({"models": [{"key": "k"}, None, "x"]}, [{"key": "k"}]), ({}, []), ([], [])]
)
def test_models_are_listed(answer, models):
    assert client_of(answer).list_models() == models


@pytest.mark.parametrize(
    ("answer", "status", "version"),
    [({"version": "6.14.2"}, 200, "6.14.2"), ({"version": None}, 200, ""), ({}, 404, ""), ([], 200, "")],
)
def test_the_version_is_empty_where_it_does_not_answer(answer, status, version):
    assert client_of(answer, status).find_version() == version
