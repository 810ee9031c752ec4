"""The files that start watching at login say what they shall, in the form that each system reads."""

import configparser
import ctypes
import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from stablenew.errors import ConfigError
from stablenew.importing import autostart
from stablenew.importing.autostart import LAUNCHD, SYSTEMD, TASK_SCHEDULER, build_autostart, install, uninstall

NAMES = ["plain", "with space", 'a "quote"', "50%", "$HOME", "back\\slash", "ä", "a'b", "x & y < z"]
NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def build(tmp_path, kind, names=("out puts",), **environment):
    folders = [tmp_path / name for name in names]
    return build_autostart(folders, tmp_path / "runs", kind=kind, home=tmp_path / "home", environment=environment)


def expected(tmp_path, names):
    options = ["-P", "-m", "stablenew", "--runs-dir", str(tmp_path / "runs"), "import", "--watch"]
    return [sys.executable, *options, *(str(tmp_path / name) for name in names)]


def words_of_systemd(line):
    """As systemd splits a command: words in quotes with escapes, then specifiers and variables."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    return [word.replace("%%", "%").replace("$$", "$") for word in lexer]


def test_a_unit_of_systemd_starts_the_command_with_any_name(tmp_path):
    built = build(tmp_path, SYSTEMD, NAMES, STABLENEW_STATE_DIR="/some where/50%")
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(built.text)
    assert words_of_systemd(parser["Service"]["ExecStart"]) == expected(tmp_path, NAMES)
    assert parser["Service"]["Environment"] == '"STABLENEW_STATE_DIR=/some where/50%%"'
    assert parser["Install"]["WantedBy"] == "default.target"
    assert built.path == tmp_path / "home/.config/systemd/user/org.stablenew.import-watch.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_itself_accepts_the_unit(tmp_path):
    built = build(tmp_path, SYSTEMD, NAMES)
    unit = tmp_path / built.path.name
    unit.write_text(built.text)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["systemd-analyze", "--user", "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr


def test_a_job_of_launchd_starts_the_command_with_any_name(tmp_path):
    built = build(tmp_path, LAUNCHD, NAMES, STABLENEW_STATE_DIR="/x")
    job = plistlib.loads(built.text.encode())
    assert job["ProgramArguments"] == expected(tmp_path, NAMES)
    assert job["RunAtLoad"] is True
    assert job["EnvironmentVariables"] == {"STABLENEW_STATE_DIR": "/x"}
    assert built.path.name == f"{job['Label']}.plist"


def test_a_task_of_windows_starts_the_command_with_any_name(tmp_path):
    built = build(tmp_path, TASK_SCHEDULER, NAMES)
    action = ET.fromstring(built.text.encode()).find(f"{NAMESPACE}Actions/{NAMESPACE}Exec")
    command, line = (action.find(f"{NAMESPACE}{name}").text for name in ("Command", "Arguments"))
    assert command == sys.executable
    assert line == subprocess.list2cmdline(expected(tmp_path, NAMES)[1:])
    if sys.platform == "win32":
        count = ctypes.c_int()
        ctypes.windll.shell32.CommandLineToArgvW.restype = ctypes.POINTER(ctypes.c_wchar_p)
        words = ctypes.windll.shell32.CommandLineToArgvW(f"x {line}", ctypes.byref(count))
        assert [words[number] for number in range(1, count.value)] == expected(tmp_path, NAMES)[1:]


def test_a_task_with_variables_sets_them_first(tmp_path):
    built = build(tmp_path, TASK_SCHEDULER, STABLENEW_STATE_DIR="C:/some where")
    action = ET.fromstring(built.text.encode()).find(f"{NAMESPACE}Actions/{NAMESPACE}Exec")
    assert action.find(f"{NAMESPACE}Command").text == "cmd.exe"
    assert 'set "STABLENEW_STATE_DIR=C:/some where"&&' in action.find(f"{NAMESPACE}Arguments").text


def test_a_name_with_a_line_break_is_refused(tmp_path):
    for kind in (SYSTEMD, LAUNCHD, TASK_SCHEDULER):
        with pytest.raises(ConfigError, match="line break"):
            build(tmp_path, kind, ["a\nb"])


def fake_programs(tmp_path, monkeypatch, code=0):
    """A systemctl that writes down what it was asked."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    program = tmp_path / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")


@pytest.mark.skipif(sys.platform == "win32", reason="a script of a shell")
def test_installing_writes_starts_and_removes_again(tmp_path, monkeypatch):
    fake_programs(tmp_path, monkeypatch)
    built = build(tmp_path, SYSTEMD)
    assert install(built) == []
    assert built.path.read_text() == built.text
    assert uninstall(built)
    assert not built.path.exists()
    assert not uninstall(built)
    unit = built.path.name
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["--user daemon-reload", f"--user enable --now {unit}", f"--user disable --now {unit}"]


@pytest.mark.skipif(sys.platform == "win32", reason="a script of a shell")
def test_what_could_not_be_started_is_told_as_commands(tmp_path, monkeypatch):
    fake_programs(tmp_path, monkeypatch, code=1)
    built = build(tmp_path, SYSTEMD)
    assert install(built) == [shlex.join(command) for command in built.on]
    monkeypatch.setattr(autostart.shutil, "which", lambda _: None)
    assert len(install(built)) == 2
    assert Path(built.path).exists(), "the file is there for the time when there is one"


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_command_that_is_written_really_watches(tmp_path):
    from tests.importing.images import fill

    fill(tmp_path / "out puts", 1)
    built = build(tmp_path, LAUNCHD)
    command = plistlib.loads(built.text.encode())["ProgramArguments"]
    environment = {**os.environ, "STABLENEW_STATE_DIR": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(2)]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    assert any("1 image taken in" in line for line in lines), lines
