"""Files that let a system start `stablenew import --watch` at login: systemd, launchd, the Task Scheduler.

Each is text that is built here and written to the user's own place; nothing needs the rights of an administrator.
"""

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from stablenew.disk.atomic_file import replace_file
from stablenew.errors import ConfigError

LABEL: Final = "org.stablenew.import-watch"
SYSTEMD: Final = "systemd"
LAUNCHD: Final = "launchd"
TASK_SCHEDULER: Final = "task-scheduler"
_KEPT: Final = ("STABLENEW_STATE_DIR", "STABLENEW_CONFIG_DIR")
_SYSTEMD_SPECIAL: Final = re.compile(r'[\\"%$]')


@dataclass(frozen=True, slots=True)
class Autostart:
    """What is started at login, and how a system is told."""

    kind: str
    path: Path
    """Where the file belongs."""
    text: str
    on: tuple[tuple[str, ...], ...]
    """Commands that start it now and at every login."""
    off: tuple[tuple[str, ...], ...]
    """Commands that end it."""


def build_autostart(
    folders: Sequence[Path],
    runs_dir: Path,
    *,
    kind: str | None = None,
    home: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Autostart:
    """What keeps watching `folders` for the store at `runs_dir`, on this system or on one of another kind.

    Raises:
        ConfigError: a path has a line break, which none of these files can hold.
    """
    command = [sys.executable, "-P", "-m", "stablenew", "--runs-dir", str(runs_dir.absolute()), "import", "--watch"]
    command += [str(folder.absolute()) for folder in folders]
    if broken := next((part for part in command if re.search(r"[\x00-\x1f]", part)), None):
        raise ConfigError(
            f"{broken!r} has a line break or control character in its name, so it cannot be started at login"
        )
    variables = {name: environment[name] for name in _KEPT if environment.get(name)}
    return _BUILDERS[kind or _kind_here()](command, variables, home or Path.home())


def _kind_here() -> str:
    return {"win32": TASK_SCHEDULER, "darwin": LAUNCHD}.get(sys.platform, SYSTEMD)


def _for_systemd(command: Sequence[str], variables: Mapping[str, str], home: Path) -> Autostart:
    unit = f"{LABEL}.service"
    lines = [
        "[Unit]",
        "Description=StableNew takes in new images",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(_quote_systemd(part) for part in command)}",
        *(f"Environment={_quote_systemd(f'{name}={value}', is_command=False)}" for name, value in variables.items()),
        "KillSignal=SIGINT",
        "SuccessExitStatus=130",
        "Restart=on-failure",
        "RestartSec=30",
        "Nice=10",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    control = ("systemctl", "--user")
    return Autostart(
        SYSTEMD,
        home / ".config" / "systemd" / "user" / unit,
        "\n".join(lines),
        on=((*control, "daemon-reload"), (*control, "enable", "--now", unit)),
        off=((*control, "disable", "--now", unit),),
    )


def _quote_systemd(text: str, *, is_command: bool = True) -> str:
    """A word for systemd: `%` begins a specifier there, and `$` in a command a variable."""
    doubled = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$" if is_command else "$"}
    return f'"{_SYSTEMD_SPECIAL.sub(lambda match: doubled[match[0]], text)}"'


def _for_launchd(command: Sequence[str], variables: Mapping[str, str], home: Path) -> Autostart:
    path = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    job = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(variables),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Background",
        "LowPriorityIO": True,
    }
    return Autostart(
        LAUNCHD,
        path,
        plistlib.dumps(job).decode(),
        on=(("launchctl", "load", "-w", str(path)),),
        off=(("launchctl", "unload", "-w", str(path)),),
    )


_TASK: Final = """<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>StableNew takes in new images</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>
  <Principals>
    <Principal id="Author"><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel></Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure><Interval>PT1M</Interval><Count>10</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author"><Exec><Command>{command}</Command><Arguments>{arguments}</Arguments></Exec></Actions>
</Task>
"""


def _for_task_scheduler(command: Sequence[str], variables: Mapping[str, str], home: Path) -> Autostart:
    path = home / "AppData" / "Local" / "stablenew" / f"{LABEL}.xml"
    program, *arguments = command
    if variables:  # a task has no environment of its own
        sets = "&&".join(f'set "{name}={value}"' for name, value in variables.items())
        program, arguments = "cmd.exe", ["/d", "/s", "/c", f'"{sets}&&{subprocess.list2cmdline(command)}"']
        line = " ".join(arguments)
    else:
        line = subprocess.list2cmdline(arguments)
    return Autostart(
        TASK_SCHEDULER,
        path,
        _TASK.format(command=escape(program), arguments=escape(line)),
        on=(
            ("schtasks", "/create", "/f", "/tn", LABEL, "/xml", str(path)),
            ("schtasks", "/run", "/tn", LABEL),
        ),
        off=(("schtasks", "/end", "/tn", LABEL), ("schtasks", "/delete", "/f", "/tn", LABEL)),
    )


_BUILDERS: Final = {SYSTEMD: _for_systemd, LAUNCHD: _for_launchd, TASK_SCHEDULER: _for_task_scheduler}


def install(autostart: Autostart) -> list[str]:
    """Write the file and start what it names; gives the commands that could not be run, for people to run.

    Raises:
        WriteFailed: the file could not be written.
    """
    autostart.path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(autostart.path, autostart.text.encode("utf-8"))
    return _run(autostart.on)


def uninstall(autostart: Autostart) -> bool:
    """End it and remove its file; False when there was none."""
    if not autostart.path.exists():
        return False
    _run(autostart.off)
    autostart.path.unlink(missing_ok=True)
    return True


def _run(commands: Sequence[Sequence[str]]) -> list[str]:
    for number, command in enumerate(commands):
        program = shutil.which(command[0])
        rest = [shlex.join(later) for later in commands[number:]]
        if program is None:
            return rest
        done = subprocess.run([program, *command[1:]], capture_output=True, check=False)  # noqa: S603  # of ours
        if done.returncode:
            return rest
    return []
