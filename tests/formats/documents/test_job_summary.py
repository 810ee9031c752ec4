"""JobSummary: each field of a run in one row."""

from stablenew.formats.documents.job_summary import JobSummary
from tests.formats.documents.field_contract import (
    COUNT,
    DIGEST,
    DIGESTS,
    NAMES,
    OUTPUT_PATH,
    RATING,
    RUN_ID,
    SECONDS,
    SEED,
    SLUG,
    TEXT,
    TIME,
    WHEN,
    FieldContract,
)

COUNTED = ("record_count", "output_count", "seed_count", "rated_count", "pick_count", "reject_count", "note_count")
OUTPUTS = [{"path": "outputs/a.png", "digest": DIGEST}]


class TestEveryField(FieldContract):
    model = JobSummary
    full = {  # noqa: RUF012
        "kind": "stablenew.job_summary", "schema_version": "1.0", "run_id": "run-1", "created_at": TIME,
        "status": "completed", "state": "sealed", "packs": ["p"], "one_click_action": "moody", "engine": "sketch",
        "model": "tiny", "prompt": "a quay", "tags": ["a"], "plan_size": 2, "duration_seconds": 1.5, "seed": 1,
        "rating": 4, "best_rating": 5, "outputs": OUTPUTS, "fitting": OUTPUTS, "problem": "p",
        **dict.fromkeys(COUNTED, 1),
    }  # fmt: skip
    takes = {  # noqa: RUF012
        "run_id": RUN_ID, "created_at": WHEN, "status": SLUG, "state": SLUG, "packs": NAMES, "tags": NAMES,
        **dict.fromkeys(("one_click_action", "engine", "model", "prompt", "problem"), TEXT),
        **dict.fromkeys((*COUNTED, "plan_size"), COUNT), "duration_seconds": SECONDS, "seed": SEED,
        "rating": RATING, "best_rating": RATING, "outputs": ([[]], [[{}], None]), "outputs.0.path": OUTPUT_PATH,
        "outputs.0.digest": DIGESTS, "fitting": ([[], None], [[{}], {}]), "fitting.0.digest": DIGESTS,
    }  # fmt: skip
    needed = {  # noqa: RUF012
        "": ["kind", "schema_version", "run_id", "status", "state", "packs", "tags", *COUNTED, "outputs"],
        "outputs.0": ["digest"],
    }  # fmt: skip


def test_what_is_not_known_is_null_and_unrated_is_not_zero():
    known = TestEveryField.full
    summary = JobSummary.from_dict({name: known[name] for name in TestEveryField.needed[""]})
    assert (summary.rating, summary.best_rating, summary.fitting, summary.seed) == (None, None, None, None)
    assert JobSummary.from_dict(known | {"rating": 0}).rating == 0
