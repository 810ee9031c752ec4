"""Packaging what was learned for a model outside: `package_for_llm`. We call none."""

from typing import Any, Final

import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.documents.learning_package import LearningPackage
from stablenew.learning.dataset.columns import MAIN_SETTINGS
from stablenew.learning.dataset.exports.export_writer import to_plain_json
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.best_settings import BestSettings, find_best_settings
from stablenew.learning.evidence.evidence import Comparison, Evidence, build_evidence
from stablenew.learning.evidence.evidence_table import read_evidence_table
from stablenew.learning.evidence.rating_statistics import CONFIDENCE
from stablenew.learning.learning_contract import EvidenceContract, Proposal

_GUIDE: Final = (
    "Images were made with these settings and rated 0 to 5 by people. `values`: shrunken means of all images with a "
    "value; other settings may be behind them, see `warnings`. `comparisons`: differences in stars between images that "
    "are alike in prompt and every other setting; trust `controlled` before `observational`. Where low and high have "
    "different signs the difference may be chance. `together`: one model of all settings, which also learns from "
    "images that match no others. Do not advise where `is_supported` is false."
)
_VALUES: Final = 12
_COMPARISONS: Final = 12


def package_for_llm(dataset: Dataset, *, examples: int = 10) -> LearningPackage:
    """What a dataset teaches, as one small document; `examples` of the best and of the worst images with prompts.

    With `examples` 0 no prompt is in it.
    """
    from stablenew import __version__  # noqa: PLC0415

    table = read_evidence_table(dataset)
    contract = EvidenceContract(table)
    evidence = [build_evidence(table, name) for name in contract.varied_settings]
    best, worst = _examples(dataset, examples)
    agreement = table.agreement if evidence else None
    return LearningPackage.model_validate(
        {
            "software_version": __version__,
            "dataset_digest": dataset.ledger.digest,
            "guide": _GUIDE,
            "confidence": CONFIDENCE,
            "rated_image_count": len(table.stars),
            "rater_count": len(table.raters),
            **({} if agreement is None else {"agreement": agreement}),
            "settings": [_describe_setting(setting) for setting in evidence],
            "proposals": [_describe_proposal(proposal) for proposal in contract.propose_new_defaults()],
            **_describe_together(find_best_settings(table)),
            "best": best,
            "worst": worst,
            "left_out": {
                "values": sum(max(0, len(setting.values) - _VALUES) for setting in evidence),
                "comparisons": sum(max(0, len(setting.gains) - _COMPARISONS) for setting in evidence),
                "images": len(table.stars) - len(best) - len(worst),
            },
        }
    )


def _describe_proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "name": proposal.name,
        "current": proposal.current,
        "proposed": proposal.proposed,
        "is_supported": proposal.is_supported,
        "reason": proposal.reason,
    }


def _describe_together(found: BestSettings) -> dict[str, Any]:
    if found.gain is None:
        return {}
    surface = {
        "settings": to_plain_json(dict(found.settings)),
        "is_supported": found.is_supported,
        "reason": found.reason,
        "gain": _round(found.gain.estimate),
        "low": _round(found.gain.low),
        "high": _round(found.gain.high),
        "probability": _round(found.gain.probability),
        "influences": [
            {"name": influence.setting, "effect": _round(influence.effect), "best": influence.best}
            for influence in found.influences
        ],
    }
    return {"together": surface}


def _describe_setting(evidence: Evidence) -> dict[str, Any]:
    return {
        "name": evidence.setting,
        "values": [
            {
                "value": value.value,
                "image_count": value.image_count,
                "mean": _round(value.mean.estimate),
                "low": _round(value.mean.low),
                "high": _round(value.mean.high),
            }
            for value in evidence.values[:_VALUES]
        ],
        "comparisons": [_describe_comparison(gain) for gain in evidence.gains[:_COMPARISONS]],
        "warnings": evidence.warnings,
    }


def _describe_comparison(comparison: Comparison) -> dict[str, Any]:
    interval = comparison.difference.interval
    return {
        "value": comparison.value,
        "other": comparison.other,
        "evidence": comparison.kind,
        "place_count": comparison.difference.place_count,
        "difference": _round(interval.estimate),
        "low": _round(interval.low),
        "high": _round(interval.high),
    }


def _round(value: float) -> float:
    return round(value, 3)


def _examples(dataset: Dataset, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    columns = ["prompt", "rating", "rating_count", "image_id", "role", *MAIN_SETTINGS]
    images = dataset.read_images(columns)
    images = images.filter(pc.is_valid(images["rating"])).sort_by([("rating", "descending"), ("image_id", "ascending")])
    half = min(count, len(images) // 2)
    return _describe_images(images.slice(0, half)), _describe_images(images.slice(len(images) - half))


def _describe_images(images: pa.Table) -> list[dict[str, Any]]:
    return [
        {
            "prompt": row["prompt"],
            "settings": {name: to_plain_json(row[name]) for name in MAIN_SETTINGS if row[name] is not None},
            "rating": _round(row["rating"]),
        }
        for row in images.to_pylist()
    ]
