"""The map of the source names every package and every file it speaks of is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "stablenew"
MAP = (SOURCE / "README.md").read_text(encoding="utf-8")
PACKAGES = sorted(
    path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE
)


def test_every_package_has_a_line_and_every_line_a_package():
    table = MAP.partition("## The packages")[2].partition("\n## ")[0]
    first_cells = (line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    named = [name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(named) == PACKAGES


def test_every_module_outside_the_packages_is_named():
    modules = {path.name for path in SOURCE.glob("*.py")} - {"__main__.py"}
    named = set(re.findall(r"`(\w+\.py)`", MAP))
    assert modules - named <= {"garbage_collection.py"}


@pytest.mark.parametrize(
    "document", [SOURCE / "README.md", ROOT / ".github" / "CONTRIBUTING.md"], ids=lambda document: document.name
)
def test_every_file_it_speaks_of_is_there(document):
    names = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.\w+)?)`", document.read_text(encoding="utf-8"))
    assert names
    for name in names:
        if name.startswith("runs/"):
            continue
        places = [ROOT / name, SOURCE / name, SOURCE / f"{name}.py"]
        assert any(place.exists() for place in places), name


def test_there_are_twenty_words():
    rows = [line for line in MAP.partition("## Words")[2].splitlines() if line.startswith("| ")]
    assert len(rows) - 1 == 20
