"""`stablenew inspect` as a person or a script meets it."""

import json
import os
import subprocess
import sys

import pytest

from tests.image_metadata.files import INFOTEXT, hide_text, make_png
from tests.image_metadata.graph_files import base_graph


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webui.png").write_bytes(make_png({"parameters": INFOTEXT, "Note": "kept"}))
    (tmp_path / "comfy.png").write_bytes(make_png({"prompt": json.dumps(base_graph())}))
    (tmp_path / "hidden.png").write_bytes(make_png(pixels=hide_text(INFOTEXT)))
    (tmp_path / "plain.png").write_bytes(make_png())

    def call(*arguments, code=0):
        command = [sys.executable, "-m", "stablenew", "inspect", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def test_it_shows_what_images_say_without_a_store(cli, tmp_path):
    said = cli("webui.png", "comfy.png", "hidden.png").stdout
    for part in (
        "A1111 v1.10.1",
        "a quiet harbour, <lora:ink:0.7>",
        "blurry",
        "DPM++ 2M",
        "64 x 48",
        "ink 0.7",
        "ComfyUI",
    ):
        assert part in said
    assert said.count("A1111") == 2
    assert not (tmp_path / "runs").exists()


def test_json_holds_everything_raw_texts_included(cli):
    first, second = json.loads(cli("webui.png", "comfy.png", "--json").stdout)["files"]
    assert first["generation"]["settings"]["seed"] == 42
    assert {"place": "png", "key": "Note", "text": "kept"} in first["raw"]
    assert (first["reader"], second["reader"], second["says_something"]) == ("a1111", "comfyui", True)


def test_one_that_says_nothing_or_cannot_be_read_gives_exit_code_1(cli):
    assert "nothing about how it was made" in cli("webui.png", "plain.png", code=1).stdout
    done = cli("nothere.png", "webui.png", code=1)
    assert "nothere.png: No such file" in done.stderr
    assert "A1111" in done.stdout


def test_a_folder_is_not_walked(cli, tmp_path):
    (tmp_path / "folder").mkdir()
    assert "folder/*.png" in cli("folder", code=2).stderr
    cli(code=2)


def test_a_file_beside_an_image_speaks_for_it(cli, tmp_path):
    (tmp_path / "plain.txt").write_text(INFOTEXT)
    said = cli("plain.png").stdout
    assert "plain.txt" in said
    assert "A1111" in said
    assert "A1111" in cli("plain.txt").stdout


def test_raw_prints_the_texts_as_they_stand_and_no_text_steers_the_terminal(cli, tmp_path):
    (tmp_path / "evil.png").write_bytes(make_png({"parameters": "\x1b[2Jred" + INFOTEXT}))
    said = cli("evil.png", "--raw").stdout
    assert "png:parameters" in said
    assert "Lora hashes" in said
    assert "\x1b[2J" not in said


def test_on_a_terminal_of_80_columns_no_line_is_longer(cli, tmp_path):
    (tmp_path / "long.png").write_bytes(make_png({"parameters": "word " * 60 + "x" * 200 + "\n" + INFOTEXT}))
    code = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, *sys.argv[1:]])))"
    command = [sys.executable, "-c", code, "-m", "stablenew", "inspect", "long.png", "webui.png"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "80", "TERM": "dumb"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace("\r", "").splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80


def test_a_tool_whose_version_begins_with_its_name_is_named_once(cli, tmp_path):
    said = {"Title": "NovelAI generated image", "Software": "NovelAI", "Source": "NovelAI Diffusion V4.5 4BDE2A90"}
    comment = json.dumps({"prompt": "a quiet harbour", "steps": 28})
    (tmp_path / "nai.png").write_bytes(make_png({**said, "Comment": comment}))
    (line,) = [line for line in cli("nai.png").stdout.splitlines() if line.strip().startswith("tool")]
    assert line.split() == ["tool", "NovelAI", "Diffusion", "V4.5"]
