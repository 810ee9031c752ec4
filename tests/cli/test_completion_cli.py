"""Completion in a real shell, the program as a module, and the page of all commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stablenew import __version__
from stablenew.cli.commands import COMMANDS

PAGE = Path(__file__).parents[2] / "src" / "stablenew" / "cli" / "README.md"


@pytest.fixture
def shell(tmp_path):
    """Runs a script in bash, where `stablenew` is this program."""
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    program = tmp_path / "bin" / "stablenew"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m stablenew "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"

    def run(script):
        return subprocess.run(
            ["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
        ).stdout.split()

    return run


def complete(*words):
    return (
        'eval "$(stablenew completion bash)"; '
        f"COMP_WORDS=(stablenew {' '.join(map(repr, words))}); COMP_CWORD={len(words)}; "
        '_stablenew_completion stablenew; printf "%s\\n" "${COMPREPLY[@]}"'
    )


@pytest.mark.heavy
def test_bash_completes_commands_members_and_options(shell):
    assert shell(complete("ver")) == ["verify"]
    assert shell(complete("learn", "def")) == ["defaults"]
    assert "--strict" in shell(complete("verify", "--"))
    assert shell(complete("zzz")) == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["zsh", "fish", "powershell"])
def test_other_shells_have_scripts_too(shell, name):
    assert "_STABLENEW_COMPLETE" in " ".join(shell(f"stablenew completion {name}"))


def test_the_program_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "stablenew", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"stablenew {__version__}\n"


def test_the_page_has_every_command_and_its_options():
    from typer.main import get_command

    from stablenew.cli.main import app

    page = PAGE.read_text(encoding="utf-8")
    group = get_command(app)
    expected = {"stablenew": group} | {" ".join(("stablenew", *names)): command for names, command in walk(group, ())}
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    assert sections.keys() == expected.keys(), "run tools/write_commands.py"
    assert len(sections) > len(COMMANDS)
    for path, command in expected.items():
        options = [name for option in command.params for name in option.opts if name.startswith("--")]
        assert all(name in sections[path] for name in options), f"run tools/write_commands.py: {path}"


def walk(group, names):
    for name in getattr(group, "commands", ()):
        found = group.commands[name]
        yield (*names, name), found
        yield from walk(found, (*names, name))
