"""What hooks report: messages in order, known ahead of their handling; files that may be written again."""

import json
import os
import threading
from pathlib import Path

import pytest

from stablenew.controller.hook_messages import HookMessages, SavedFile
from tests import samples


def lines(*messages):
    return [message if isinstance(message, bytes) else json.dumps(message).encode() for message in messages]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(samples.png())
    return path


def seen(path, **more):
    """The file as a hook reports it."""
    status = path.stat()
    return SavedFile.from_message(
        {"path": str(path), "size_bytes": status.st_size, "modified_ns": status.st_mtime_ns} | more
    )


def test_messages_come_in_their_order_and_lines_that_are_none_are_left_out():
    found = list(HookMessages(lines({"n": 1}, b"{", b"", b"[]", b"7", b"\xff", b"[" * 100_000, {"n": 2})))
    assert found == [{"n": 1}, {"n": 2}]


def test_without_lines_there_are_no_messages():
    assert list(HookMessages([])) == []


def test_a_file_that_a_later_message_names_is_known_to_be_saved_again():
    more = threading.Event()

    def stream():
        yield from lines({"path": "a"}, {"path": "b"}, {"path": "a"})
        more.wait(20)

    messages = iter(found := HookMessages(stream()))
    assert next(messages)["path"] == "a"
    while not found.is_saved_again(Path("a")):
        threading.Event().wait(0.001)
    next(messages)
    assert not found.is_saved_again(Path("b"))
    next(messages)
    assert not found.is_saved_again(Path("a"))
    more.set()
    assert list(messages) == []


def test_a_file_is_what_the_hook_saw(path):
    found = seen(path, type="output", node=7, animated=1)
    assert (found.path, found.kind, found.node, found.is_animated) == (path, "output", "7", True)
    assert not found.is_rewritten
    assert found.read().data == samples.png()


@pytest.mark.parametrize("fields", [{}, {"file": "x"}])
def test_a_message_without_a_path_names_no_file(fields):
    with pytest.raises(KeyError):
        SavedFile.from_message(fields)


@pytest.mark.parametrize("data", [samples.png(b"another"), samples.png()[::-1], b""])
def test_a_file_that_was_written_again_is_not_taken_for_the_one_that_the_hook_saw(path, data):
    found = seen(path)
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    assert found.is_rewritten
    read = found.read()
    assert read.data is None
    assert "was written again" in read.problem


def test_of_a_hook_that_tells_no_time_nothing_is_said_to_be_rewritten(path):
    found = SavedFile.from_message({"path": str(path)})
    path.write_bytes(samples.png(b"another"))
    assert not found.is_rewritten
    assert found.read().data == samples.png(b"another")


def test_a_file_that_is_gone_has_no_identity_and_says_so_when_it_is_read(path):
    found = seen(path)
    path.unlink()
    assert found.identity is None
    assert not found.is_rewritten
    assert found.read().problem
