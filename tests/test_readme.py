"""The README is the door: what it shows works as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stablenew import RunStore, RunVerifier
from tests import forked_commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_ten_lines_record_a_users_own_pipeline(tmp_path):
    code, _ = blocks("python")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    assert (run.status, len(list(run.iter_records()))) == ("completed", 3)
    assert RunVerifier(run, deep=True).verify().findings == ()


@pytest.mark.filterwarnings("ignore")  # those of diffusers
def test_the_lines_for_diffusers_record_every_call(tmp_path, monkeypatch, tiny_diffusion):
    tiny_diffusion.make_pipeline(tmp_path / "parts").save_pretrained(tmp_path / "path" / "to" / "a" / "model")
    _, code = blocks("python")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    runs = sorted(RunStore(tmp_path / "runs").iter_runs(), key=lambda run: run.run_id)
    assert [record.actual.seed for run in runs for record in run.iter_records()] == [0, 1, 2]
    assert all(RunVerifier(run, deep=True).verify().is_ok for run in runs)


@pytest.mark.heavy
def test_the_commands_it_shows_work(tmp_path, monkeypatch):
    (tmp_path / "harbour.txt").write_text("a quiet harbour\n")
    shown = [block for block in blocks("sh") if "stablenew history" in block or "stablenew learn" in block]
    lines = [line.partition("#")[0][10:] for block in shown for line in block.splitlines()]
    assert len(lines) == 21
    monkeypatch.chdir(tmp_path)
    for line in ["config set learning_enabled true", *lines]:
        forked_commands.call(*shlex.split(line))


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_ci_runs_the_very_test_command_of_the_readme():
    command = "python -m pip install -e '.[test]' && python -m pytest"
    assert f"{command}\n" in README
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_file_of_a_run_is_in_the_specification(tmp_path):
    specification = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")
    for name in ("run_metadata.json", "records.jsonl", "outputs/", "feedback.json", "SHA256SUMS", "store.json"):
        assert name in specification
