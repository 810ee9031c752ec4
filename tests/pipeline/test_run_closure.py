"""The closure of a run: what its images depended on, with hashes that are known or still to come."""

import hashlib

import pytest

from stablenew.engines.dependencies import Dependencies, UsedFile
from stablenew.engines.sketch import SketchEngine
from stablenew.formats.documents.run_metadata import Closure, CustomNode
from stablenew.pipeline.run_closure import ClosureWatch, await_hashes, build_closure, read_closure
from stablenew.store import file_hashes
from tests import samples

SHA256 = "ab" * 32


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"weights")
    return path


def models_of(*files):
    closure = build_closure(Dependencies(files=files), "run-1").to_dict()
    return closure.get("models", [])


def test_a_file_on_this_machine_is_hashed(checkpoint):
    expected = {"name": "m", "kind": "checkpoint", "sha256": hashlib.sha256(b"weights").hexdigest(), "size_bytes": 7}
    assert models_of(UsedFile("m", "checkpoint", checkpoint)) == [expected]


def test_a_hash_that_the_server_knows_is_taken_as_it_is(checkpoint):
    assert models_of(UsedFile("m", "lora", checkpoint, SHA256, 9)) == [
        {"name": "m", "kind": "lora", "sha256": SHA256, "size_bytes": 9}
    ]


def test_a_file_that_is_not_here_has_a_name_only(tmp_path):
    gone = UsedFile("m", "checkpoint", tmp_path / "gone.safetensors")
    assert models_of(gone, UsedFile("v", "vae")) == [{"name": "m", "kind": "checkpoint"}, {"name": "v", "kind": "vae"}]


def test_what_is_not_known_is_left_out_and_the_rest_is_as_it_was_found():
    assert build_closure(Dependencies(), "run-1") == Closure()
    found = Dependencies(
        versions={"torch": "2.8.0"}, custom_nodes=(CustomNode.model_validate({"name": "impact"}),), device="cpu",
        dtype="float32", flags=("--medvram",),
    )  # fmt: skip
    assert build_closure(found, "run-1").to_dict() == {
        "versions": {"torch": "2.8.0"}, "custom_nodes": [{"name": "impact"}], "device": "cpu", "dtype": "float32",
        "flags": ["--medvram"],
    }  # fmt: skip


@pytest.fixture
def large(checkpoint, monkeypatch):
    """A file too large to be hashed at once, and nobody beside who hashes it."""
    monkeypatch.setattr(file_hashes, "_SMALL_BYTES", 3)
    monkeypatch.setattr(file_hashes, "start_beside", lambda *_: None)
    return UsedFile("m", "checkpoint", checkpoint)


def test_a_large_file_is_pending_and_its_size_known(large):
    assert models_of(large) == [{"name": "m", "kind": "checkpoint", "sha256": "pending", "size_bytes": 7}]


def test_a_run_without_pending_hashes_is_read_as_it_is():
    closure = {"models": [{"name": "m", "sha256": SHA256}]}
    metadata = samples.metadata(closure=closure)
    assert read_closure(metadata) is metadata.closure
    assert read_closure(samples.metadata()) is None


def test_nobody_waits_for_hashes_that_do_not_come():
    closure = Closure.model_validate({"models": [{"name": "m", "sha256": "pending"}]})
    assert await_hashes(closure, "run-1", seconds=60).to_dict() == closure.to_dict()
    assert await_hashes(None, "run-1") is None


class Traced(SketchEngine):
    """An engine that says what its images depend on."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    def find_dependencies(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_an_engine_that_knows_nothing_is_not_asked():
    for engine in (None, object()):
        watch = ClosureWatch(engine)
        watch.look()
        assert watch.close("run-1") is None


def test_the_last_that_an_engine_said_counts():
    watch = ClosureWatch(Traced(Dependencies(device="cpu"), Dependencies(device="cuda:0")))
    watch.look()
    closed = watch.close("run-1")
    assert closed.device in ("cpu", "cuda:0")


def test_an_engine_that_fails_later_leaves_what_it_said_before():
    watch = ClosureWatch(Traced(Dependencies(device="cpu"), OSError("gone")))
    assert watch.close("run-1") == Closure.model_validate({"device": "cpu"})
    assert ClosureWatch(Traced(OSError("gone"))).close("run-1") is None
