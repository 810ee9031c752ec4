"""How far a WebUI is, as AUTOMATIC1111 1.10.1 and SD.Next were heard to answer."""

import base64
import json

import httpx
import pytest

from stablenew.engines.webui.client import WebUIClient
from stablenew.engines.webui.progress import TaskProgress
from tests.samples import png

PICTURE = base64.b64encode(png()).decode()
STATE = {
    "skipped": False, "interrupted": False, "stopping_generation": False, "job": "Batch 1 out of 2", "job_count": 2,
    "job_timestamp": "20261128140250", "job_no": 0, "sampling_step": 29, "sampling_steps": 60,
}  # fmt: skip


def of_task(progress, **fields):
    """The answer about one task: `/internal/progress`."""
    return {
        "active": True, "queued": False, "completed": False, "progress": progress, "eta": 15.1, "live_preview": None,
        "id_live_preview": -1, "textinfo": None,
    } | fields  # fmt: skip


def of_server(progress, **state):
    """The answer about the whole server: `/sdapi/v1/progress`."""
    return {"progress": progress, "eta_relative": 15.1, "state": STATE | state, "current_image": None, "textinfo": None}


def watch(*answers, wants_previews=False):
    """A task on a server that gives these answers one after the other, and what it was asked.

    Each is the answer about the task, None where the server knows no tasks, and that about the server.
    """
    left, asked = list(answers), []

    def handle(request):
        asked.append(request)
        task, server = left[0]
        if request.url.path == "/internal/progress" and task is not None:
            return httpx.Response(200, json=task)
        if request.url.path == "/sdapi/v1/progress":
            return httpx.Response(200, json=server)
        return httpx.Response(404, json={"detail": "Not Found"})

    client = WebUIClient("http://127.0.0.1:7860", transport=httpx.MockTransport(handle))
    progress, heard = TaskProgress(client, "task-1", wants_previews=wants_previews), []
    while left:
        heard.append((progress.poll(), progress.fraction, progress.is_queued))
        left.pop(0)
    return progress, heard, asked


def test_progress_of_a_task_never_goes_back_and_is_never_whole():
    answers = [(of_task(share), None) for share in (0.25, 0.1, 0.5, 1.0, None)]
    _, heard, asked = watch(*answers)
    assert [fraction for _, fraction, _ in heard] == [0.25, 0.25, 0.5, 0.99, 0.99]
    assert json.loads(asked[0].content) == {"id_task": "task-1", "id_live_preview": -1, "live_preview": False}


def test_a_task_that_waits_is_told_from_one_that_runs():
    answers = [
        of_task(None, active=False, queued=True),
        of_task(0.1, active=True, queued=True),
        of_task(0.1, queued=False),
    ]
    assert [is_queued for _, _, is_queued in watch(*[(answer, None) for answer in answers])[1]] == [True, False, False]


def test_something_moved_where_an_answer_differs():
    same = of_task(0.5)
    answers = [
        (same, None),
        (same, None),
        (of_task(0.5, id_live_preview=3), None),
        (of_task(0.6, id_live_preview=3), None),
    ]
    assert [has_moved for has_moved, _, _ in watch(*answers)[1]] == [True, False, True, True]


def test_a_program_that_knows_no_tasks_is_asked_about_the_whole_server_from_then_on():
    _, heard, asked = watch((None, of_server(0.25)), (None, of_server(0.5)), (None, of_server(0.5, sampling_step=30)))
    assert heard == [(True, 0.25, False), (True, 0.5, False), (True, 0.5, False)]
    assert [request.url.path for request in asked].count("/internal/progress") == 1
    assert asked[-1].url.query == b"skip_current_image=true"


@pytest.mark.parametrize("picture", [PICTURE, f"data:image/png;base64,{PICTURE}"])
def test_previews_are_read_where_somebody_looks(picture):
    task = (of_task(0.5, live_preview=picture, id_live_preview=7), None)
    progress, _, asked = watch(task, task, wants_previews=True)
    assert progress.preview.data == png()
    assert json.loads(asked[-1].content) == {"id_task": "task-1", "id_live_preview": 7, "live_preview": True}
    assert watch(task)[0].preview is None
    server = (None, of_server(0.5) | {"current_image": picture})
    assert watch(server, wants_previews=True)[0].preview.data == png()


@pytest.mark.parametrize("answer", [None, [], "busy", {"progress": "half"}, {"progress": None, "live_preview": "%%%"}])
def test_odd_answers_are_no_progress(answer):
    progress, heard, _ = watch((None, answer), wants_previews=True)
    assert (heard[0][1:], progress.preview) == ((0.0, False), None)


@pytest.mark.parametrize(
    ("answer", "was_interrupted"),
    [
        (of_server(0.0), False), (of_server(0.0, interrupted=True), True),
        (of_server(0.0, stopping_generation=True), True),
        ({"state": None}, False), ([], False),
    ],
)  # fmt: skip
def test_somebody_interrupted_the_server_where_its_state_says_so(answer, was_interrupted):
    client = WebUIClient("", transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer)))
    assert TaskProgress(client, "task-1").was_interrupted() is was_interrupted
