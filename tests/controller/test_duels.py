"""Duels over a real store: what is drawn, what is recorded, what is said of it."""

import json
import random
import shutil
from collections import Counter

import pytest
from typer.testing import CliRunner

from stablenew import FeedbackManager, JobHistory, RunStore
from stablenew.cli.main import app
from stablenew.controller.light_table.duels import Duel, DuelQuestion
from stablenew.errors import ConfigError, InvalidQuery
from stablenew.formats.documents.feedback_input import ComparisonInput
from stablenew.learning.duels.duel_verdict import DuelRule
from tests.controller.light_table_stores import add_images

PROMPTS = ("harbour", "lake")


@pytest.fixture
def store(tmp_path):
    """Two runs of two models, with the same prompts and seeds."""
    store = RunStore(tmp_path / "runs")
    for model in ("alpha", "beta"):
        variants = [
            {"model": model, "prompt": prompt, "seed": seed, "steps": 30} for prompt in PROMPTS for seed in range(4)
        ]
        add_images(store, f"run-{model}", *variants)
    return store


@pytest.fixture
def history(store):
    history = JobHistory(store.root, rater="me")
    yield history
    history.close()


def open_duel(history, query="", by="model", rater="me", **rule):
    history.refresh()
    return Duel(history, DuelQuestion(query, by, rater, DuelRule(**rule)))


def answer(manager, duel, pair, choose, **fields):
    """Vote as the page does: `choose` says `left`, `right`, `tie` or `both_bad`."""
    said = choose(pair)
    shown = said if said in ("left", "right") else "left"
    winner, loser = (pair["left"], pair["right"]) if shown == "left" else (pair["right"], pair["left"])
    vote = ComparisonInput.build(
        winner_run_id=winner["run_id"], winner=winner["digest"], loser_run_id=loser["run_id"], loser=loser["digest"],
        outcome="win" if said == shown else said, shown=shown, asked=duel.question.asked, repeat=pair["repeat"] or None,
        **fields,
    )  # fmt: skip
    return manager.record_comparisons([vote])[0].run_id


def prefers(model):
    return lambda pair: "left" if pair["left"]["run_id"] == f"run-{model}" else "right"


def test_pairs_differ_in_the_setting_alone_and_say_nothing_of_it(history, store):
    pairs = open_duel(history).draw("me", 8, chance=random.Random(1))
    assert [pair["match"] for pair in pairs] == ["settings"] * 8
    for pair in pairs:
        rows = [
            history.image_rows([history.image_ids([pair[side]["digest"]])[pair[side]["digest"]]])[0]
            for side in ("left", "right")
        ]
        assert len({(row["prompt"], row["settings"]["seed"]) for row in rows}) == 1
        assert {row["settings"]["model"] for row in rows} == {"alpha", "beta"}
    assert "alpha" not in {*pairs[0], *pairs[0]["left"]}
    assert {*pairs[0]["left"]} == {"run_id", "name", "digest", "path", "width", "height", "media_type"}


def test_votes_across_runs_are_events_that_decide_the_duel(history, store):
    manager, chance = FeedbackManager(store, rater="me"), random.Random(3)
    while not (duel := open_duel(history)).verdict.is_decided:
        for pair in duel.draw("me", 4, chance=chance):
            answer(manager, duel, pair, prefers("beta"))
    report = duel.report()
    assert (report["verdict"], report["winner"]) == ("winner", "beta")
    (pair,) = report["pairs"]
    assert (pair["first"], pair["wins"], pair["verdict"]) == ("alpha", 0, "second")
    assert 8 <= pair["losses"] <= 16
    assert report["agreement"]["estimate"] in (None, 1.0)
    events = [event for run in store.iter_runs() for event in manager.read(run.run_id).events]
    assert {event.asked for event in events} == {"duel: model"}
    assert Counter(event.shown for event in events).keys() == {"left", "right"}
    assert len(events) == report["vote_count"]
    assert sum(side["image_count"] for side in report["sides"]) == 16


def test_an_undone_vote_is_gone_and_the_pair_comes_back(history, store):
    manager = FeedbackManager(store, rater="me")
    duel = open_duel(history)
    run_id = answer(manager, duel, duel.draw("me", 1)[0], prefers("alpha"), act="vote-1")
    assert len(open_duel(history).votes) == 1
    manager.undo(run_id, act="vote-1")
    assert open_duel(history).votes == []
    manager.redo(run_id)
    assert len(open_duel(history).votes) == 1


def test_a_vote_reaches_another_machine_with_its_run(history, store, tmp_path):
    manager = FeedbackManager(store, rater="me")
    duel = open_duel(history)
    for pair in duel.draw("me", 3):
        answer(manager, duel, pair, prefers("alpha"))
    shutil.copytree(store.root, tmp_path / "copy")
    other = JobHistory(tmp_path / "copy", rater="me")
    try:
        assert len(open_duel(other).votes) == 3
    finally:
        other.close()


def test_everybody_s_votes_or_ones_own(history, store):
    duel = open_duel(history)
    pairs = duel.draw("me", 4)
    for rater, some in (("me", pairs[:2]), ("alice", pairs[1:])):
        for pair in some:
            answer(FeedbackManager(store, rater=rater), duel, pair, prefers("alpha"))
    assert open_duel(history).report()["counted_votes"] == 2
    everybody = open_duel(history, rater=None).report()
    assert (everybody["counted_votes"], everybody["second_votes"], everybody["vote_count"]) == (4, 1, 5)


def test_a_query_chooses_the_images_and_the_votes(history, store):
    manager, duel = FeedbackManager(store, rater="me"), open_duel(history)
    for pair in duel.draw("me", 8):
        answer(manager, duel, pair, prefers("alpha"))
    assert open_duel(history, "prompt:harbour").report()["vote_count"] == 4
    assert open_duel(history, "seed:0..1").report()["vote_count"] == 4


def test_a_comparison_that_was_no_duel_does_not_count(history, store):
    manager, duel = FeedbackManager(store, rater="me"), open_duel(history)
    pair = duel.draw("me", 1)[0]
    vote = ComparisonInput.build(
        winner_run_id=pair["left"]["run_id"], winner=pair["left"]["digest"],
        loser_run_id=pair["right"]["run_id"], loser=pair["right"]["digest"],
    )  # fmt: skip
    manager.record_comparisons([vote])
    assert open_duel(history).votes == []
    assert len(history.comparisons()) == 1


def test_pairs_on_the_screen_are_not_drawn_again(history, store):
    duel = open_duel(history)
    first = duel.draw("me", 7)
    names = [f"{pair['left']['digest']}-{pair['right']['digest']}" for pair in first]
    seen = [{pair["left"]["digest"], pair["right"]["digest"]} for pair in first]
    (last,) = [pair for pair in duel.draw("me", 5, excluded=names) if pair["match"] == "settings"]
    assert {last["left"]["digest"], last["right"]["digest"]} not in seen
    assert duel.draw("me", 1, excluded=["nonsense", "a-b", "xxh128:0-xxh128:1"])


def test_a_duel_needs_two_values_and_not_too_many(history, store):
    with pytest.raises(ConfigError, match="all have alpha"):
        open_duel(history, "model:alpha")
    with pytest.raises(ConfigError, match="none has any"):
        open_duel(history, by="vae")
    with pytest.raises(ConfigError, match="`stablenew images --fields` lists"):
        open_duel(history, by="zzz")
    with pytest.raises(ConfigError, match=r"did you mean sampler\?"):
        open_duel(history, by="smapler")
    with pytest.raises(InvalidQuery):
        open_duel(history, "steps:(")
    add_images(store, "many", *[{"cfg_scale": number / 2} for number in range(13)])
    with pytest.raises(ConfigError, match="13 values"):
        open_duel(history, by="cfg")


@pytest.mark.parametrize(
    ("by", "values"),
    [("seed", ["0", "1", "2", "3"]), ("prompt", ["harbour", "lake"]), ("run", ["run-alpha", "run-beta"])],
)
def test_any_setting_can_be_what_is_compared(history, store, by, values):
    duel = open_duel(history, by=by)
    assert duel.sides == values
    assert len(duel.draw("me", 3)) == 3


def test_settings_without_a_column_can_be_compared(history, store):
    add_images(store, "churned", *[{"s_churn": value, "seed": 1} for value in (0.5, 2, 0.5)])
    duel = open_duel(history, by="s_churn")
    assert (duel.sides, duel.image_counts) == (["0.5", "2"], [2, 1])


def test_the_command_line_reports_it(history, store, monkeypatch):
    manager = FeedbackManager(store, rater="me")
    monkeypatch.setenv("STABLENEW_RATER", "me")
    run = CliRunner().invoke
    base = ["--runs-dir", str(store.root)]
    assert "No votes yet between alpha, beta" in run(app, [*base, "duel"]).output
    for _ in range(12):
        duel = open_duel(history)
        answer(manager, duel, duel.draw("me", 1)[0], prefers("alpha"))
    told = run(app, [*base, "duel", "--by", "model", "--all-raters"])
    assert "alpha is better" in told.output
    report = json.loads(run(app, [*base, "--json", "duel", "--by", "checkpoint", "--all-raters"]).output)
    assert (report["verdict"], report["winner"], report["asked"]) == ("winner", "alpha", "duel: model")
