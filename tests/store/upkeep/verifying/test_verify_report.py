"""Findings and reports, apart from how anybody shows them."""

import re

import pytest

from stablenew.store.upkeep.verifying.verify_report import (
    CODES,
    Finding,
    ImagePlaces,
    VerifyReport,
    count_findings,
    count_images,
)

ERROR = Finding("file-changed", "outputs/a.png", "it was changed")
WARNING = Finding("record-torn", "records.jsonl", "cut off", 3)
INFO = Finding("file-foreign", "notes.txt", "ignored")
REMOVED = Finding("output-removed", "outputs/a.png", "on purpose")


@pytest.mark.parametrize(("finding", "severity"), [(ERROR, "error"), (WARNING, "warning"), (INFO, "info")])
def test_the_severity_of_a_finding_follows_from_its_code(finding, severity):
    assert finding.severity == severity


def test_every_code_has_a_severity_and_a_meaning_in_words():
    assert all(re.fullmatch(r"[a-z]+(?:-[a-z]+)+", code) for code in CODES)
    assert {severity for severity, _ in CODES.values()} == {"error", "warning", "info"}
    assert all(meaning and not meaning.endswith(".") for _, meaning in CODES.values())


@pytest.mark.parametrize(
    ("findings", "is_ok", "is_whole"),
    [
        ((), True, True),
        ((INFO,), True, True),
        ((REMOVED,), True, False),
        ((INFO, WARNING), False, True),
        ((ERROR, REMOVED), False, False),
    ],
)
def test_a_run_is_sound_when_nothing_is_worse_than_information(findings, is_ok, is_whole):
    report = VerifyReport("run", findings)
    assert (report.is_ok, report.is_whole) == (is_ok, is_whole)


def test_a_report_as_json_has_what_was_looked_at_and_what_was_found():
    report = VerifyReport("run", (WARNING,), files=3, size_bytes=99, digest="sha256:a", state="sealed", hashes=b"x")
    assert report.to_dict() == {
        "run_id": "run", "ok": False, "state": "sealed", "digest": "sha256:a", "files": 3, "size_bytes": 99,
        "images": {"held": 0, "in_place": 0, "missing": 0, "removed": 0, "elsewhere": 0},
        "findings": [{
            "code": "record-torn", "severity": "warning", "path": "records.jsonl", "line": 3, "message": "cut off",
        }],
    }  # fmt: skip


def test_findings_and_images_are_counted_over_all_reports():
    first = VerifyReport("one", (ERROR, INFO, INFO), images=ImagePlaces(held=2, missing=1))
    second = VerifyReport("two", (WARNING,), images=ImagePlaces(held=1, in_place=4, removed=5, elsewhere=6))
    assert count_findings([first, second]) == {"error": 1, "warning": 1, "info": 2}
    assert count_findings([]) == {"error": 0, "warning": 0, "info": 0}
    assert count_images([first, second]) == ImagePlaces(3, 4, 1, 5, 6)
    assert count_images([]) == ImagePlaces()
