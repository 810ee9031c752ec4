"""The ledger of a dataset, and its digest, from a table of runs."""

import numpy as np
import pyarrow as pa
import pytest

from stablenew.learning.dataset.columns import RUNS_SCHEMA, Column
from stablenew.learning.dataset.ledger_builder import BuildFacts, build_ledger, digest_dataset, text_of_joined
from stablenew.learning.dataset.source.run_source import UNSELECTED, Problem
from stablenew.learning.dataset.split_plan import SplitPlan

FACTS = BuildFacts("0.2.0", "/runs", "rating:5", "2026-11-28T08:00:00.000Z", SplitPlan())
BUILT_AT = "2026-11-28T08:00:01.000Z"
DIGEST = f"xxh128:{'a' * 32}"


def run(run_id, **fields):
    """A row of a run that is in the dataset, or with `left_out` of one that is not."""
    counts = {"record_count": 2, "image_count": 4, "event_count": 3, "lost_opinion_count": 1, "preference_count": 5}
    return {"run_id": run_id, "digest": DIGEST, "feedback_digest": DIGEST} | counts | fields


def runs_of(*rows):
    filled = [{name: row.get(name) for name in RUNS_SCHEMA.names} for row in rows]
    return pa.Table.from_pylist(filled, schema=RUNS_SCHEMA)


def ledger_of(*rows, splits=(), problems=(), **fields):
    return build_ledger(FACTS, BUILT_AT, runs_of(*rows), DIGEST, splits, problems, (), rated_count=3, **fields)


def digest_of(*rows, plan=FACTS.split):
    return digest_dataset([text_of_joined(runs_of(*rows))], plan)


def test_counts_are_those_of_the_runs_that_are_in_it():
    problems = [Problem("a", "records.jsonl", 3, "cut off"), Problem("a", "feedback.json", None, "damaged")]
    counts = ledger_of(
        run("a"), run("b"), run("c", left_out="unsealed", detail="no seal"), problems=problems
    ).counts.to_dict()
    assert counts == {
        "runs_seen": 3, "runs_joined": 2, "runs_left_out": 1, "records": 4, "records_unreadable": 1, "images": 8,
        "feedback_events": 6, "opinions_without_image": 2, "preferences": 10, "images_rated": 3,
    }  # fmt: skip


def test_of_no_runs_all_counts_are_nought():
    assert set(ledger_of().counts.to_dict().values()) == {0, 3}


def test_runs_that_are_left_out_are_counted_by_reason_and_named_but_for_those_not_asked_for():
    ledger = ledger_of(
        run("a"), run("b", left_out="unsealed", detail="no seal"), run("c", left_out=UNSELECTED, detail="x"),
        run("d", left_out="unsealed", detail="no seal"),
    )  # fmt: skip
    assert dict(ledger.left_out_by_reason) == {"unsealed": 2, UNSELECTED: 1}
    assert [entry.run_id for entry in ledger.left_out] == ["b", "d"]


def test_splits_are_counted_with_what_is_held_out():
    splits = [np.array([0, 1, 2, -1, 0], np.int8), np.array([], np.int8), np.array([-1, 2], np.int8)]
    assert ledger_of(splits=splits).split_counts.to_dict() == {"held_out": 2, "train": 2, "validation": 1, "test": 2}


def test_the_ledger_says_how_it_was_asked_for_and_which_columns_there_are():
    ledger = ledger_of(own_columns=[Column("setting_grain", pa.float64(), "the setting grain")])
    assert (ledger.source.query, ledger.source.location, ledger.digest) == ("rating:5", "/runs", DIGEST)
    assert SplitPlan.from_dict(ledger.split.to_dict()) == FACTS.split
    assert (ledger.columns[-1].name, ledger.columns[-1].type) == ("setting_grain", "double")


@pytest.mark.parametrize(
    "change",
    [
        {"digest": f"xxh128:{'b' * 32}"}, {"feedback_digest": f"xxh128:{'b' * 32}"},
        {"metrics_digest": f"xxh128:{'b' * 32}"}, {"left_out": "unsealed"}, {"run_id": "c"},
    ],
)  # fmt: skip
def test_the_digest_changes_with_records_feedback_and_scores(change):
    assert digest_of(run("a"), run("b") | change) != digest_of(run("a"), run("b"))


def test_the_digest_does_not_change_with_what_can_be_counted_again_or_was_left_out():
    plain = digest_of(run("a"), run("b"))
    assert digest_of(run("a", image_count=9), run("b")) == plain
    assert digest_of(run("a"), run("b"), run("c", left_out="unsealed")) == plain
    assert digest_dataset([text_of_joined(runs_of(run(name))) for name in ("a", "b")], FACTS.split) == plain


def test_another_split_is_another_dataset():
    assert digest_of(run("a"), plan=SplitPlan(salt="x")) != digest_of(run("a"))
    assert digest_of() != digest_of(run("a"))


@pytest.mark.parametrize("plan", [SplitPlan(), SplitPlan(0.5, 0.5, 0.0, ("prompt",), "salt")])
def test_a_plan_comes_back_from_json_and_later_fields_are_passed_over(plan):
    assert SplitPlan.from_dict(plan.to_dict() | {"later": 1}) == plan


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.0, 0.5, 0.5), (1.0, 0.0, 0.0)])
def test_families_are_split_about_by_the_shares_and_always_alike(shares):
    plan = SplitPlan(*shares)
    places = [plan.split_of(f"{number:016x}") for number in range(2000)]
    assert [places.count(place) / 2000 for place in range(3)] == pytest.approx(shares, abs=0.03)
    assert places == [SplitPlan(*shares).split_of(f"{number:016x}") for number in range(2000)]
