"""How far a prompt is, from messages as ComfyUI 0.3.64 sends them."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.engines.comfyui.progress import PromptProgress
from tests.samples import png

GRAPH = {
    "loader": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m"}},
    "sampler": {"class_type": "KSampler", "inputs": {"steps": 7}},
    "decode": {"class_type": "VAEDecode", "inputs": {"steps": ["other", 0]}},
    "save": {"class_type": "SaveImage", "inputs": {}},
}
"""Ten parts: sampling counts seven times, every other node once."""


def say(kind, **data):
    return {"type": kind, "data": {"prompt_id": "p1"} | data}


def hear(*messages, **options):
    progress = PromptProgress(GRAPH, "p1", **options)
    for message in messages:
        progress.take(message)
    return progress


def preview(kind, data, about=None):
    """A binary message: its kind, then a format, or the length of what is said about the picture."""
    said = json.dumps(about).encode() if about is not None else b""
    return struct.pack(">II", kind, len(said) if about is not None else 2) + said + data


def test_a_prompt_goes_on_node_by_node_and_sampling_step_by_step():
    progress, heard = PromptProgress(GRAPH, "p1"), []
    for message in (
        say("execution_start"), say("execution_cached", nodes=["loader"]), say("executing", node="sampler"),
        *(say("progress", node="sampler", value=step, max=7) for step in (1, 7)), say("executing", node="decode"),
        say("executing", node="save"), say("executing", node=None),
    ):  # fmt: skip
        assert progress.take(message)
        heard.append(round(progress.fraction, 6))
    assert heard == [0, 0.1, 0.1, 0.2, 0.8, 0.8, 0.9, 0.9]
    assert progress.is_over


@pytest.mark.parametrize("kind", ["execution_success", "execution_error", "execution_interrupted"])
def test_a_prompt_is_over_whatever_came_of_it(kind):
    assert hear(say(kind)).is_over


@pytest.mark.parametrize(
    "message",
    [
        {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1}}}},
        {"type": "execution_success", "data": {"prompt_id": "p2"}},
        {"type": "execution_success"},
        {"type": "execution_success", "data": None},
        {"type": "execution_success", "data": "p1"},
    ],
)
def test_what_is_not_about_this_prompt_changes_nothing(message):
    progress = PromptProgress(GRAPH, "p1")
    assert not progress.take(message)
    assert (progress.is_over, progress.fraction) == (False, 0.0)


def test_messages_that_lack_their_numbers_are_taken_all_the_same():
    progress = hear(say("progress", node="sampler", max=0), say("execution_cached", nodes=None), say("progress_state"))
    assert progress.fraction == 0
    assert hear(say("progress", node="sampler", value=99, max=7)).fraction == 0.7, "never more than the whole node"
    assert hear(say("executing", node="unknown"), say("executing", node="save")).fraction == 0


def test_a_graph_without_nodes_is_never_divided_by():
    assert PromptProgress({}, "p1").take(say("executing", node="x"))


messages = st.one_of(
    st.builds(lambda node: say("executing", node=node), st.sampled_from([*GRAPH, "unknown"])),
    st.builds(lambda nodes: say("execution_cached", nodes=nodes), st.lists(st.sampled_from(list(GRAPH)))),
    st.builds(
        lambda node, value: say("progress", node=node, value=value, max=7),
        st.sampled_from(list(GRAPH)),
        st.integers(0, 9),
    ),
)


@given(st.lists(messages, max_size=20))
def test_progress_never_goes_back_and_is_never_whole_before_the_end(said):
    progress, before = PromptProgress(GRAPH, "p1"), 0.0
    for message in said:
        progress.take(message)
        assert before <= progress.fraction <= 0.99
        before = progress.fraction


@pytest.mark.parametrize(
    "message",
    [
        preview(1, png()),
        preview(4, png(), {"prompt_id": "p1"}),
        preview(4, png(), {"node_id": "3"}),
    ],
)
def test_previews_are_shown_where_somebody_looks(message):
    progress = PromptProgress(GRAPH, "p1", wants_previews=True)
    assert progress.take(message)
    assert progress.preview.data == png()
    progress.take(say("executing", node="save"))
    assert progress.preview is None, "it is what the last message showed"
    assert not PromptProgress(GRAPH, "p1").take(message)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"1234567", preview(1, b"no image"), preview(2, png()), preview(4, png(), {"prompt_id": "p2"}),
        struct.pack(">II", 4, 9) + b"no JSON at all" + png(), struct.pack(">II", 4, 2**31) + b"{}",
    ],
)  # fmt: skip
def test_bytes_that_are_no_preview_of_this_prompt_are_passed_over(message):
    progress = PromptProgress(GRAPH, "p1", wants_previews=True)
    assert not progress.take(message)
    assert progress.preview is None
