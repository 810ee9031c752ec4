"""The rclones to test with. Old and new ones copy and sync in different ways, and only new ones can serve S3."""

import os
import shutil
import subprocess

import pytest

PROGRAM_VARIABLE = "TEST_RCLONE"
"""Names a newer rclone (1.66 or later), where the one on the PATH is older."""

_PROGRAMS = {"rclone of the system": shutil.which("rclone"), "newer rclone": os.environ.get(PROGRAM_VARIABLE)}

RCLONES = [
    pytest.param(program, id=name, marks=pytest.mark.skipif(not program, reason=f"there is no {name}"))
    for name, program in _PROGRAMS.items()
]


def find_rclone_that_serves_s3():
    """Its path, or None."""
    for program in filter(None, _PROGRAMS.values()):
        done = subprocess.run([program, "serve", "s3", "--help"], capture_output=True, text=True)
        if done.returncode == 0 and "--auth-key" in done.stdout:
            return program
    return None
