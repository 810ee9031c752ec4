"""The way from a program to its recorder, with recorders that end where they should not."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import stablenew.tool_hooks

RECORDER = """#!{python}
import os, sys
for line in sys.stdin.buffer:
    with open({heard!r}, "ab") as heard:
        heard.write(line)
    if b"deadly" in line:
        os._exit(1)
    if b"unlucky" in line and not os.path.exists({flag!r}):
        open({flag!r}, "w").close()
        os._exit(1)
    os.write(1, b".")
"""


@pytest.fixture
def bridge_to(tmp_path, monkeypatch):
    """A function that makes a bridge to a recorder that dies of what is deadly, and once of what is unlucky."""
    source = Path(stablenew.tool_hooks.__file__).with_name("bridge.py")
    spec = importlib.util.spec_from_file_location("stablenew_bridge", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    heard, recorder, settings = tmp_path / "heard", tmp_path / "recorder", tmp_path / "stablenew.json"
    recorder.write_text(RECORDER.format(python=sys.executable, heard=str(heard), flag=str(tmp_path / "flag")))
    recorder.chmod(0o755)
    settings.write_text(json.dumps({"python": str(recorder), "runs_dir": str(tmp_path / "runs")}))

    def tell(*words, restart_seconds):
        monkeypatch.setattr(module, "_RESTART_SECONDS", restart_seconds)
        bridge = module.Bridge(settings)
        for word in words:
            bridge.send(word=word)
        bridge._finish()
        bridge._thread.join()
        bridge._recorder._process.wait()  # closed, but it may still run
        return [json.loads(line)["word"] for line in heard.read_bytes().splitlines()]

    return tell


posix_only = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program there")


@posix_only
@pytest.mark.parametrize("restart_seconds", [0, 600])
def test_what_a_recorder_did_not_confirm_is_told_to_the_next_one(bridge_to, restart_seconds):
    told = ["a", "b", "unlucky", "c", "d"]
    assert bridge_to(*told, restart_seconds=restart_seconds) == ["a", "b", "unlucky", *told[2:]]


@posix_only
def test_a_message_that_two_recorders_end_with_is_left_out_and_named(bridge_to, capsys):
    heard = bridge_to("a", "deadly", "b", "unlucky", "c", restart_seconds=0)
    assert heard == ["a", "deadly", "deadly", "b", "unlucky", "unlucky", "c"]
    assert capsys.readouterr().err.count("ended twice with the same message") == 1
