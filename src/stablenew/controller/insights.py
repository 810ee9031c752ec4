"""Insights: what the ratings say about settings, as much of it as people look at."""

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

from stablenew.formats.query_language import field_of_setting
from stablenew.learning.evidence.evidence import Evidence, build_evidence, to_json
from stablenew.learning.evidence.evidence_table import read_evidence_table
from stablenew.learning.evidence.value_evidence import build_cells
from stablenew.learning.evidence.value_ranges import ValueRange, show_number, value_order
from stablenew.learning.learning_contract import EvidenceContract

if TYPE_CHECKING:
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.evidence.evidence_table import EvidenceTable

_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_.-]")
"""Characters that the name of a field cannot have in a query."""
MOST_VALUES: Final = 24
MOST_COMPARISONS: Final = 12
MOST_PAIRED: Final = 6
"""Settings that are looked at two at a time."""
MOST_CROSSED: Final = 10
"""Values of each of the two."""


class RememberedInsights:
    """The last ones, which hold as long as the dataset has the same digest: most looks find nothing new."""

    def __init__(self) -> None:
        self._last: tuple[str, dict[str, Any]] | None = None

    def describe(self, dataset: "Dataset") -> dict[str, Any]:
        """As `describe_insights`."""
        last, digest = self._last, dataset.digest
        if last is None or last[0] != digest:
            last = self._last = digest, describe_insights(dataset)
        return last[1]


def describe_insights(dataset: "Dataset") -> dict[str, Any]:
    """The evidence on every setting that rated images differ in, and on each two of them, as JSON."""
    table = read_evidence_table(dataset)
    varied = EvidenceContract(table).varied_settings
    return {
        "rated_image_count": len(table.stars),
        "settings": [describe_evidence(build_evidence(table, name)) for name in varied],
        "pairs": [describe_pair(table, *pair) for pair in itertools.combinations(varied[:MOST_PAIRED], 2)],
    }


def describe_evidence(evidence: Evidence) -> dict[str, Any]:
    """The evidence on one setting: the values of most images, numbers in their order; surest comparisons first.

    Each value has the query that finds its images, where the query language has a word for the setting.
    """
    values = sorted(evidence.values, key=lambda value: -value.image_count)[:MOST_VALUES]
    if not any(type(value.value) is str for value in values):
        values.sort(key=lambda value: value_order(value.value))
    gains = evidence.gains
    return {
        "setting": evidence.setting,
        "agreement": evidence.agreement,
        "warnings": evidence.warnings,
        "values": [_without_runs(value) | {"query": find_query(evidence.setting, value.value)} for value in values],
        "value_count": len(evidence.values),
        "comparisons": [_without_runs(gain) for gain in gains[:MOST_COMPARISONS]],
        "comparison_count": len(gains),
        "preferences": [{"value": value} | to_json(strength) for value, strength in evidence.preferred[:MOST_VALUES]],
    }


def describe_pair(table: "EvidenceTable", setting: str, against: str) -> dict[str, Any]:
    """What images with each two values of two settings were rated, of the values of most images.

    Each cell has the places of its values among `values` and `others`.
    """
    cells = build_cells(table, setting, against, MOST_CROSSED)
    values, others = (sorted({cell.value[side] for cell in cells}, key=value_order) for side in (0, 1))
    return {
        "setting": setting,
        "against": against,
        "values": [{"value": value, "query": find_query(setting, value)} for value in values],
        "others": [{"value": value, "query": find_query(against, value)} for value in others],
        "cells": [
            {
                "value": values.index(cell.value[0]),
                "other": others.index(cell.value[1]),
                "image_count": cell.image_count,
                "mean": to_json(cell.mean),
            }
            for cell in cells
        ],
    }


def _without_runs(evidence: Any) -> dict[str, Any]:
    """As JSON, without the ids of the runs behind it: there may be very many."""
    found: dict[str, Any] = to_json(evidence)
    del found["run_ids"]
    return found


def find_query(setting: str, value: Any) -> str | None:
    """The query for images whose setting ran with this value; None where there is none."""
    stage, _, name = setting.partition(".")
    field = field_of_setting(name) if stage == "txt2img" else setting if stage == "settings" else None
    if isinstance(value, bool):
        value = str(value).lower()
    if field is None or _UNUSABLE.search(field) or not isinstance(value, (str, int, float)) or '"' in str(value):
        return None
    if isinstance(value, ValueRange):
        return f"{field}:{value}"
    return f'{field}:"{value}"' if isinstance(value, str) else f"{field}:{show_number(value)}"
