"""What a release says of itself is one thing wherever it says it."""

import re
import tomllib
from pathlib import Path

import stablenew
from stablenew.formats.model_base import SCHEMA_VERSION

ROOT = Path(__file__).parents[1]


def test_one_version_stands_in_package_project_and_changelog():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    released = re.findall(r"^## ([0-9]+\.[0-9]+\.[0-9]+) — ", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert (project["version"], stablenew.__version__) == (released[0], released[0])
    assert released == sorted(released, reverse=True)


def test_the_specification_names_the_version_that_is_written():
    page = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")
    assert f"Version {SCHEMA_VERSION}." in page
    assert f"frozen/v{SCHEMA_VERSION}/" in page
