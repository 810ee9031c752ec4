"""LearningPackage: each field of what runs taught."""

from stablenew.formats.documents.learning_package import LearningPackage
from tests.formats.documents.field_contract import (
    ANY_JSON,
    COUNT,
    COUNTS,
    DIGEST,
    DIGESTS,
    NAME,
    NUMBER,
    OBJECT,
    SLUG,
    TEXT,
    YES_NO,
    FieldContract,
)

RANGE = {"low": 1, "high": 2}
EXAMPLE = {"prompt": "a quay", "settings": {"steps": 9}, "rating": 4.5}
VALUES, COMPARISONS = "settings.0.values.0", "settings.0.comparisons.0"


class TestEveryField(FieldContract):
    model = LearningPackage
    full = {  # noqa: RUF012
        "kind": "stablenew.learning_package", "schema_version": "1.0", "software_version": "0.2.0",
        "dataset_digest": DIGEST, "guide": "g", "confidence": 0.9, "rated_image_count": 3, "rater_count": 1,
        "agreement": 0.5, "together": {}, "best": [EXAMPLE], "worst": [EXAMPLE], "left_out": {"best": 1},
        "settings": [{
            "name": "steps", "values": [{"value": 9, "image_count": 3, "mean": 1.5, **RANGE}], "warnings": ["w"],
            "comparisons": [{
                "value": 9, "other": 20, "evidence": "controlled", "place_count": 2, "difference": 1, **RANGE,
            }],
        }],
        "proposals": [{"name": "steps", "current": 9, "proposed": 20, "is_supported": True, "reason": "r"}],
    }  # fmt: skip
    takes = {  # noqa: RUF012
        "software_version": TEXT, "dataset_digest": DIGESTS, "guide": TEXT, "confidence": NUMBER,
        "rated_image_count": COUNT, "rater_count": COUNT, "agreement": NUMBER, "together": OBJECT, "left_out": COUNTS,
        "best.0.prompt": TEXT, "best.0.settings": OBJECT, "worst.0.rating": NUMBER, "settings.0.name": NAME,
        "settings.0.warnings": ([[], ["w"]], [[1], "w"]), f"{VALUES}.value": ANY_JSON, f"{VALUES}.image_count": COUNT,
        **{f"{VALUES}.{name}": NUMBER for name in ("mean", "low", "high")},
        f"{COMPARISONS}.value": ANY_JSON, f"{COMPARISONS}.other": ANY_JSON, f"{COMPARISONS}.evidence": SLUG,
        f"{COMPARISONS}.place_count": COUNT,
        **{f"{COMPARISONS}.{name}": NUMBER for name in ("difference", "low", "high")},
        "proposals.0.name": NAME, "proposals.0.current": ANY_JSON, "proposals.0.proposed": ANY_JSON,
        "proposals.0.is_supported": YES_NO, "proposals.0.reason": TEXT,
    }  # fmt: skip
    needed = {  # noqa: RUF012
        "": [name for name in full if name not in ("agreement", "together")],
        "settings.0": ["name", "values", "comparisons", "warnings"],
        VALUES: ["value", "image_count", "mean", "low", "high"],
        COMPARISONS: ["value", "other", "evidence", "place_count", "difference", "low", "high"],
        "proposals.0": ["name", "current", "proposed", "is_supported", "reason"],
        "best.0": ["prompt", "settings", "rating"], "worst.0": ["prompt", "settings", "rating"],
    }  # fmt: skip
