"""Real images of many tools, where they are at hand: `STABLENEW_SAMPLES`, or `shared/samples` in a folder above."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stablenew.image_metadata.reading import read_image_metadata

ROOT = Path(__file__).parents[2]
PLACES = [folder / "shared" / "samples" for folder in ROOT.parents[:2]]
SAMPLES = Path(os.environ.get("STABLENEW_SAMPLES") or next((path for path in PLACES if path.is_dir()), PLACES[0]))
TOOLS = {"StabilityMatrix": "Stability Matrix", "HuggingFaceSpace": "Hugging Face Space", "DrawThings": "Draw Things"}

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no folder of real images")


def files_of(*folders):
    return [path for folder in folders for path in sorted((SAMPLES / folder).glob("*")) if path.is_file()]


def read(path):
    with path.open("rb") as file:
        return read_image_metadata(file)


def test_every_tool_is_named():
    folders = [path.name for path in SAMPLES.iterdir() if path.is_dir() and path.name not in {"_negative", "C2PA"}]
    wrong = {}
    for path in files_of(*folders):
        tool = TOOLS.get(path.parent.name, path.parent.name)
        if (read(path).tool or "").replace(" ", "-") != tool.replace(" ", "-"):
            wrong[path.name] = read(path).tool
    assert wrong == {}


def test_images_of_other_programs_say_nothing():
    assert [path.name for path in files_of("_negative") if read(path).has_generation_data] == []


def test_manifests_are_found():
    assert all(read(path).has_c2pa and read(path).c2pa_generator for path in files_of("C2PA"))


@pytest.mark.heavy
def test_the_measurement_finds_nearly_all_that_there_is():
    script = ROOT / "tools" / "bench" / "importing" / "read_metadata.py"
    done = subprocess.run([sys.executable, script, "samples", SAMPLES], capture_output=True, text=True, check=True)
    names = done.stdout.partition("files")[2].splitlines()
    total = dict(zip(["files", "found", "tool", "prompt", "held", "seed", "seed held", "model", "model held"],
                     map(int, names[-1].split()[3:]), strict=True))  # fmt: skip
    assert total["files"] == total["found"] == total["tool"]
    for fact, held in (("prompt", "held"), ("seed", "seed held"), ("model", "model held")):
        assert total[fact] >= 0.97 * total[held], fact
