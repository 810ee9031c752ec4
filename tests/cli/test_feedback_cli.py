"""Rating, undo, merge and repair as a person types them."""

import json
import shutil

import pytest

from stablenew import RunStore
from tests import forked_commands
from tests.samples import metadata, sealed_run, write_variant


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sealed_run(RunStore(tmp_path / "runs"))
    return forked_commands.call


def state(cli, runs="runs"):
    return json.loads(cli("feedback", "latest", "--json", "--runs-dir", runs).stdout)["state"]


def test_a_run_and_its_images_are_rated(cli):
    cli("rate", "latest", "4", "--note", "calm", "--rater", "alice")
    shown = cli(
        "rate", "sample", "0/0", "5", "--tag", "keeper", "--tag", "blue", "--flag", "pick", "--rater", "alice"
    ).stdout
    assert "★★★★★" in shown
    now = state(cli)
    assert now["run"]["alice"]["rating"] == 4
    (image,) = now["images"].values()
    assert (image["alice"]["rating"], image["alice"]["tags"], image["alice"]["flag"]) == (5, ["blue", "keeper"], "pick")
    cli("rate", "latest", "0/0", "clear", "--untag", "blue", "--untag", "keeper", "--flag", "clear", "--rater", "alice")
    assert state(cli)["images"] == {}
    assert "took" not in cli("feedback", "latest").stdout


def test_undo_and_redo(cli):
    cli("rate", "latest", "2")
    cli("rate", "latest", "5")
    assert "★★★★★" in cli("undo", "latest").stdout
    assert [one["rating"] for one in state(cli)["run"].values()] == [2]
    cli("redo", "latest")
    assert [one["rating"] for one in state(cli)["run"].values()] == [5]
    assert "nothing to redo" in cli("redo", "latest").stdout
    assert "took back 1" in cli("feedback", "latest").stdout


@pytest.mark.parametrize(
    ("option", "said"), [(None, "{} over {}"), ("--tie", "{} as good as {}"), ("--both-bad", "{} and {} both bad")]
)
def test_which_of_two_images_is_better_is_said_and_shown(cli, tmp_path, option, said):
    writer = RunStore(tmp_path / "runs").create(metadata("two-images"))
    images = [write_variant(writer, index).outputs[0].digest[7:19] for index in (0, 1)]
    writer.seal(metadata("two-images", status="completed"))
    assert "no feedback yet" in cli("feedback", "two-images").stdout
    expected = said.format(images[0], images[1])
    assert expected in cli("prefer", "two-images", "0/0", "1/0", *filter(None, [option])).stdout
    shown = cli("feedback", "two-images").stdout
    assert shown.count(expected) == 2  # as it stands, and when it was said
    assert "no feedback yet" not in shown


def test_the_configured_rater_is_used(cli):
    cli("config", "set", "rater", "carol")
    cli("rate", "latest", "3")
    assert state(cli)["run"]["carol"]["rating"] == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rate", "latest", "6"], "0 to 5"),
        (["rate", "latest", "nan"], "0 to 5"),
        (["rate", "latest", "0/0", "4.5"], "0 to 5"),
        (["rate", "latest", "7/7", "4"], "no output"),
        (["rate", "../x", "4"], "no run"),
        (["rate", "latest", "4", "--flag", "maybe"], "pick, reject or clear"),
        (["merge", "nowhere"], "found none"),
        (["repair", "nothing"], "no run"),
    ],
)
def test_bad_input_exits_2_and_writes_nothing(cli, tmp_path, arguments, says):
    assert says in cli(*arguments, code=2).stderr
    assert not list((tmp_path / "runs").rglob("*feedback*.json*")) or all(
        ".stablenew" in str(path) for path in (tmp_path / "runs").rglob("*feedback*.json*")
    )


def test_stores_are_merged(cli, tmp_path):
    shutil.copytree(tmp_path / "runs", tmp_path / "other")
    sealed_run(RunStore(tmp_path / "other"), "second-run")
    cli("rate", "sample-run", "5", "--rater", "bob", "--runs-dir", "other")
    cli("rate", "sample-run", "1", "--rater", "alice")
    dry = json.loads(cli("merge", "other", "--dry-run", "--json").stdout)
    assert (dry["counts"]["added"], dry["counts"]["feedback"], dry["new_events"]) == (1, 1, 1)
    done = json.loads(cli("merge", "other", "--json").stdout)
    assert done["counts"] == dry["counts"]
    again = json.loads(cli("merge", "other", "--json").stdout)
    assert (again["counts"]["unchanged"], again["new_events"]) == (2, 0)
    feedback = json.loads(cli("feedback", "sample-run", "--json").stdout)
    assert set(feedback["state"]["run"]) == {"alice", "bob"}
    shutil.make_archive(str(tmp_path / "backup"), "zip", tmp_path / "other")
    assert "2 added" in cli("merge", "backup.zip", "--runs-dir", "fresh").stdout


def test_a_divergent_run_is_a_finding(cli, tmp_path):
    sealed_run(RunStore(tmp_path / "other"), variants=1)
    assert "divergent" in cli("merge", "other", code=1).stdout


def test_what_a_crash_left_is_repaired(cli, tmp_path):
    from stablenew.store.local_state import host_id

    writer = RunStore(tmp_path / "runs").create(metadata("cut-off", source={"name": "x", "host_id": host_id()}))
    write_variant(writer)
    writer.abandon()
    assert "run-interrupted" in cli("verify", code=1).stdout
    assert "1 repair would be done" in cli("repair", "--dry-run").stdout
    report = json.loads(cli("repair", "--json").stdout)
    assert [action["code"] for action in report["runs"][0]["actions"]] == ["sealed"]
    assert "all as recorded" in cli("verify", "--deep").stdout
    assert "nothing to repair" in cli("repair").stdout
