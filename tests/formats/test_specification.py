"""The specification says everything that the program reports."""

import re
from pathlib import Path

from stablenew.store.upkeep.verifying.verify_report import CODES

PAGE = Path(__file__).parents[2] / "schemas" / "README.md"
SOURCE = Path(__file__).parents[2] / "src" / "stablenew"


def test_the_page_lists_every_finding_with_its_severity_and_meaning():
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning|info) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert {code: (severity, meaning) for code, severity, meaning in rows} == CODES
    assert len(rows) == len(CODES)


def test_every_finding_that_the_source_makes_has_a_code_of_the_table():
    made = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        made |= set(re.findall(r'(?:Finding|\badd|\badd_absent|code=)\(?\s*"([a-z]+-[a-z-]+)"', text))
    assert len(made) > 20
    assert made <= CODES.keys()
