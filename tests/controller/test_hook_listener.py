"""What hooks report becomes runs: a bad file or message spoils no other, and no record has another image's bytes."""

import io
import json
import subprocess
import sys

import pytest

from stablenew import RunStore, RunVerifier
from stablenew.controller.hook_listener import HookListener, main
from stablenew.controller.hook_messages import HookMessages, SavedFile
from tests.samples import png


@pytest.fixture
def runs(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture
def listener(runs):
    return HookListener(runs.root)


def save(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    status = path.stat()
    return {"path": str(path), "type": "output", "size_bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def graph_of(seed=1, **nodes):
    sampler = {"seed": seed, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    return {
        "3": {"class_type": "KSampler", "inputs": {**sampler, "positive": ["6", 0], "negative": ["7", 0]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a quay"}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog"}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
        **nodes,
    }


def prompt(*files, graph=None, messages=(), status="success", node="9"):
    images = [{"node": node, **file} for file in files]
    fields = {"do": "prompt", "tool": "comfyui", "graph": graph_of() if graph is None else graph}
    return {**fields, "images": images, "messages": list(messages), "status": status}


def only_record(runs):
    (run,) = runs.iter_runs()
    assert RunVerifier(run, deep=True).verify().is_ok
    (record,) = run.iter_records()
    return run, record


def test_files_that_are_gone_are_named_and_the_others_recorded(listener, runs, tmp_path):
    gone = save(tmp_path, "gone.png", png(b"0"))
    (tmp_path / "gone.png").unlink()
    (tmp_path / "folder.png").mkdir()
    folder = {"path": str(tmp_path / "folder.png"), "type": "output"}
    listener.handle(prompt(gone, save(tmp_path, "a.png", png(b"1")), folder, save(tmp_path, "b.png", png(b"2"))))
    run, record = only_record(runs)
    assert (len(record.outputs), run.metadata.status) == (2, "partial")
    assert [lost.image for lost in run.metadata.unrecorded] == [0, 2]


def test_equal_images_of_two_prompts_are_two_runs_and_of_one_batch_two_outputs(listener, runs, tmp_path):
    black = png(b"black")
    listener.handle(prompt(save(tmp_path, "a.png", black), save(tmp_path, "b.png", black), graph=graph_of(1)))
    listener.handle(prompt(save(tmp_path, "c.png", black), graph=graph_of(2)))
    first, second = sorted(runs.iter_runs(), key=lambda run: run.run_id)
    assert [len(record.outputs) for run in (first, second) for record in run.iter_records()] == [2, 1]


def test_a_file_that_is_only_reported_again_makes_no_run(listener, runs, tmp_path):
    old = save(tmp_path, "a.png", png())
    listener.handle(prompt(old))
    listener.handle(prompt(old))
    cached = [["execution_start", {}], ["execution_cached", {"nodes": ["9"], "prompt_id": "p"}]]
    listener.handle(prompt(save(tmp_path, "never-seen.png", png(b"2")), messages=cached))
    only_record(runs)


def test_an_image_that_was_overwritten_is_not_recorded_as_the_one_it_was(listener, runs, tmp_path):
    first = save(tmp_path, "same.png", png(b"first"))
    second = save(tmp_path, "same.png", png(b"the second"))
    listener.handle({"do": "start", "run": "r", "tool": "webui", "config": {}})
    for file, seed in ((first, 111), (second, 222)):
        text = f"a quay\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: {seed}"
        listener.handle({"do": "image", "run": "r", **file, "infotext": text})
    listener.handle({"do": "finish", "run": "r"})
    run, record = only_record(runs)
    assert (record.actual.seed, run.metadata.status) == (222, "partial")
    assert "written again" in run.metadata.unrecorded[0].reason


def test_a_video_is_recorded(listener, runs, tmp_path):
    data = (24).to_bytes(4, "big") + b"ftypisom\0\0\2\0isommp41" + bytes(40)
    listener.handle(prompt(save(tmp_path, "a.mp4", data)))
    _, record = only_record(runs)
    assert record.outputs[0].media_type == "video/mp4"


def test_prompts_and_settings_are_found_behind_nodes_of_any_kind(listener, runs, tmp_path):
    graph = graph_of(
        **{
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["40", 0]}},
            "40": {"class_type": "StringConcatenate", "inputs": {"string_a": ["41", 0], "string_b": "at dawn"}},
            "41": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a quay"}},
        }
    )
    graph["3"]["inputs"]["steps"] = ["30", 0]
    graph["30"] = {"class_type": "PrimitiveString", "inputs": {"value": "24"}}
    listener.handle(prompt(save(tmp_path, "a.png", png()), graph=graph))
    _, record = only_record(runs)
    assert "a quay" in record.prompt.positive
    assert "at dawn" in record.prompt.positive
    assert record.actual.steps == 24


@pytest.mark.parametrize("graph", [{"not": "a graph"}, None, [], {"1": {"class_type": "X", "inputs": {}}}, "text"])
def test_a_graph_that_nobody_understands_does_not_lose_the_image(listener, runs, tmp_path, graph):
    listener.handle(prompt(save(tmp_path, "a.png", png()), graph=graph or {"x": 1}))
    _, record = only_record(runs)
    assert len(record.outputs) == 1


def test_tags_of_any_length_do_not_lose_the_image(listener, runs, tmp_path):
    tags = {"class_type": "StableNewRecord", "inputs": {"images": ["8", 0], "tags": f"keeper, {'x' * 300}"}}
    listener.handle(prompt(save(tmp_path, "a.png", png()), graph=graph_of(**{"70": tags})))
    run, _ = only_record(runs)
    assert run.metadata.learning_tags == ("keeper",)


@pytest.mark.heavy
def test_bad_messages_stop_no_message_after_them(runs, tmp_path):
    good = json.dumps(prompt(save(tmp_path, "a.png", png()))).encode()
    bad = [b"no json", b"[]", b'{"do":"dance"}', b'{"do":"prompt","images":5}', b'{"do":"finish"}', b'{"do":"image"}']
    entry = json.dumps(prompt({"type": "output"}, {"path": 5}, graph=graph_of(9))).encode()
    command = [sys.executable, "-P", "-m", "stablenew.controller.hook_listener", "--runs-dir", str(runs.root)]
    done = subprocess.run(command, input=b"\n".join([*bad, entry, good, b""]), capture_output=True)
    assert done.returncode == 0
    assert b"dance" in done.stderr
    assert any(record.actual.seed == 1 for run in runs.iter_runs() for record in run.iter_records())


def test_messages_are_read_ahead():
    lines = [json.dumps({"do": "image", "path": path}).encode() for path in ("a", "b", "a")]
    messages = HookMessages(io.BytesIO(b"\n".join(lines)))
    files = map(SavedFile.from_message, messages)
    found = [(str(file.path), messages.is_saved_again(file.path)) for file in files]
    assert [path for path, _ in found] == ["a", "b", "a"]
    assert found[-1] == ("a", False)


def test_the_recorder_answers_to_its_earlier_name():
    from stablenew.controller import tool_recorder

    assert tool_recorder.main is main
