"""`stablenew learn next`: propose, run, rate, and again, as typed."""

import json
from pathlib import Path

import pytest

from stablenew import FeedbackManager, RunStore
from tests import forked_commands
from tests.image_metadata.files import make_png

SMALL = ("--set", "txt2img.width=32", "--set", "txt2img.height=32")
OVER = ("--over", "cfg=3..12,steps=10..40,sampler=Euler|DDIM|UniPC")


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return forked_commands.call


def rate_everything(taste):
    store = RunStore("runs")
    manager = FeedbackManager(store, rater="anna")
    for run in store.iter_runs():
        for record, output in run.iter_outputs():
            manager.record_feedback(run.run_id, output.digest, round(taste(record.requested)))


def closeness(settings):
    """Somebody who likes a CFG scale of 6 and DDIM."""
    return max(0, 4 - abs(settings.cfg_scale - 6)) + (settings.sampler == "DDIM")


def test_rounds_of_proposals_and_ratings_come_close_to_what_somebody_likes(cli):
    for number in range(6):
        said = cli(
            "learn", "next", *OVER, "--batch", "6", "--prompt", "a hill", *SMALL, "--run", "-o", f"{number}.json"
        )
        assert "1 of 1 run done" in said.stdout
        rate_everything(closeness)
    found = json.loads(cli("learn", "next", *OVER, "--json", "-o", "last.json").stdout)
    assert 30 <= found["rating_count"] <= 36, "proposals of whole numbers may be equal"
    assert abs(found["best"]["txt2img.cfg_scale"] - 6) < 1.5
    assert found["best"]["txt2img.sampler"] == "DDIM"
    assert len(found["settings"]) + len(found["rate_first"]) == 4
    assert 0 < found["left"]["stars"] < 3
    for settings in found["settings"]:
        assert 3 <= settings["txt2img.cfg_scale"] <= 12
        assert isinstance(settings["txt2img.steps"], int)


def test_images_that_nobody_rated_are_asked_about_before_new_ones_are_made(cli):
    cli("learn", "next", *OVER, "--batch", "12", "--prompt", "a hill", *SMALL, "--run", "-o", "first.json")
    rate_everything(closeness)
    cli("run", "--again", "latest", "--record")
    found = json.loads(cli("learn", "next", *OVER, "--batch", "8", "--json", "-o", "second.json").stdout)
    newest = RunStore("runs").resolve("latest").run_id
    assert {image["run_id"] for image in found["rate_first"]} <= {newest}
    assert len(found["settings"]) >= 2


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ("cfg=3", "expected SETTING=LOW..HIGH"),
        ("cfg=12..3", "the lower number first"),
        ("sampler=a..b", "is a word"),
        ("samplr=a|b", "did you mean"),
        ("steps=ten..40", "a whole number"),
        ("steps=0..40", "is between 1 and"),
    ],
)
def test_a_range_that_makes_no_sense_is_named(cli, over, words):
    assert words in cli("learn", "next", "--over", over, "--prompt", "a hill", code=2).stderr


def test_without_any_image_only_a_prompt_is_missing(cli):
    assert "name one, as with --prompt" in cli("learn", "next", code=2).stderr
    found = json.loads(cli("learn", "next", "--prompt", "a hill", "--json").stdout)
    assert [tuned["name"] for tuned in found["tuned"]] == ["txt2img.cfg_scale", "txt2img.steps"]
    assert found["is_random"] == [True] * 4


def test_before_anything_is_rated_the_images_that_are_there_come_first(cli):
    cli("demo")
    found = json.loads(cli("learn", "next", "--json").stdout)
    assert found["tuned"] == [{"name": "txt2img.cfg_scale", "values": [4.0, 12.0], "is_interval": True}]
    assert len(found["rate_first"]) == 2
    assert len({image["image_id"] for image in found["rate_first"]}) == 2
    assert len(found["settings"]) == 2
    assert found["unrated_count"] == 6
    said = cli("learn", "next").stdout
    command = next(line.split() for line in said.splitlines() if "stablenew rate 2" in line)
    cli(*command[1:-1], "4")
    assert json.loads(cli("learn", "next", "--json").stdout)["rating_count"] == 1


def test_images_of_a_round_that_nobody_rated_yet_are_not_proposed_for_making_again(cli):
    first = json.loads(cli("learn", "next", *OVER, "--prompt", "a hill", *SMALL, "--json", "--run").stdout)
    assert first["ran"] == 1
    second = json.loads(cli("learn", "next", *OVER, "--batch", "8", "--json").stdout)
    assert len(second["rate_first"]) == 4
    assert not [settings for settings in second["settings"] if settings in first["settings"]]


def test_what_it_says_leads_to_the_next_round(cli):
    said = cli("learn", "next", *OVER, "--prompt", "a hill", *SMALL, "-o", "a.json").stdout
    assert "stablenew plan run a.json" in said
    again = next(line for line in said.splitlines() if "stablenew learn next" in line)
    assert "--over 'cfg=3..12,steps=10..40,sampler=Euler|DDIM|UniPC' --prompt 'a hill'" in again
    ran = cli("learn", "next", *OVER, "--prompt", "a hill", *SMALL, "-o", "b.json", "--run").stdout
    assert "then: stablenew learn next --over" in ran


def test_defaults_show_what_was_varied_and_count_the_rest(cli):
    cli("learn", "next", *OVER, "--batch", "6", "--prompt", "a hill", *SMALL, "--run")
    rate_everything(closeness)
    said = cli("learn", "defaults").stdout
    assert "never varied" not in said
    assert "settings that rated images do not differ in: --all" in said
    assert "`stablenew learn next` proposes" in said
    assert "never varied" in cli("learn", "defaults", "--all").stdout


def test_images_are_asked_about_again_and_what_is_said_shows_how_sure_stars_are(cli):
    cli("learn", "next", *OVER, "--batch", "24", "--prompt", "a hill", *SMALL, "--run")
    rate_everything(closeness)
    asked = ("learn", "next", *OVER, "--json")
    again = json.loads(cli(*asked).stdout)["rate_again"]
    assert not again, "they were rated by another"
    cli("config", "set", "rater", "anna")
    found = json.loads(cli(*asked).stdout)
    assert len(found["rate_again"]) == 2
    assert found["constancy"] == []
    for image in found["rate_again"]:
        cli("rate", image["run_id"], image["image_id"], "0")
    (anna,) = json.loads(cli(*asked).stdout)["constancy"]
    assert (anna["rater"], anna["repeat_count"]) == ("anna", 2)
    assert anna["noise"] > 0.7, "what was among the best is said to be the worst"
    said = cli("learn", "next", *OVER).stdout
    assert "anna: 2 images rated again; stars differ by" in said


def test_stars_that_correct_others_at_once_are_no_second_opinion(cli):
    cli("learn", "next", *OVER, "--batch", "8", "--prompt", "a hill", *SMALL, "--run")
    store = RunStore("runs")
    manager = FeedbackManager(store, rater="anna")
    for run in store.iter_runs():
        for record, output in run.iter_outputs():
            for stars in (0, round(closeness(record.requested))):
                manager.record_feedback(run.run_id, output.digest, stars)
    found = json.loads(cli("learn", "next", *OVER, "--json").stdout)
    assert (found["rating_count"], found["constancy"]) == (8, [])


def write_image(folder, number, model, size, *, sampler="Euler a", more="", software="v1.10.1"):
    width, height = size
    text = (
        f"a hill\nNegative prompt: blurry\nSteps: {20 + number}, Sampler: {sampler}, CFG scale: {5 + number}, "
        f"Seed: {number}, Size: {width}x{height}, Model: {model}{more}, Version: {software}"
    )
    folder.mkdir(exist_ok=True)
    (folder / f"{model}-{width}-{number}.png").write_bytes(make_png({"parameters": text}, size=size))


@pytest.fixture
def mixed(cli, tmp_path):
    """A store of two tools and three models, of many sizes and VAEs."""
    for number in range(6):
        write_image(tmp_path / "pics", number, "hills", (64, 48), more=", VAE: soft.safetensors")
    for number in range(4):
        write_image(tmp_path / "pics", number, "hills", (80, 2048), sampler="LCM", more=", VAE: other.safetensors")
        write_image(
            tmp_path / "pics", number, "flow", (96 + 8 * number, 96), sampler="uni_pc", software="f2.0.1v1.10.1"
        )
    cli("import", "pics")
    cli("learn", "next", *OVER, "--prompt", "a sea", *SMALL, "--set", "txt2img.model=sea", "--run", "-o", "sea.json")
    return cli


def is_like_the_hills(settings):
    return settings["txt2img.model"] == "hills" and (settings["txt2img.width"], settings["txt2img.height"]) == (64, 48)


def test_in_a_store_of_many_tools_a_batch_keeps_to_one_model_and_size(mixed):
    found = json.loads(mixed("learn", "next", "--json").stdout)
    assert {tuned["name"] for tuned in found["tuned"]} == {"txt2img.steps", "txt2img.cfg_scale"}
    assert is_like_the_hills(found["fixed"])
    assert found["fixed"]["txt2img.vae"] == "soft"
    assert found["fixed"]["txt2img.sampler"] == "Euler a"
    assert found["base"]["image_count"] == 6
    assert found["base"]["total_count"] >= 14, "beside them four of another size and four of another tool"
    assert found["prompts"] == [["a hill", "blurry"]]
    assert found["unrated_count"] == 6
    said = mixed("learn", "next").stdout
    assert found["base"]["text"] in " ".join(said.split())
    plan = json.loads(next(path for path in Path().glob("next-*.plan.json")).read_text())
    assert plan["config"]["txt2img"]["height"] == 48


def test_another_model_is_chosen_by_a_query_or_by_a_range(mixed):
    found = json.loads(mixed("learn", "next", "model:flow", "--json").stdout)
    assert found["fixed"]["txt2img.model"] == "flow"
    assert found["fixed"]["txt2img.height"] == 96
    assert "one kind of image, that of 1 of 4 images" in found["base"]["text"]
    over = json.loads(mixed("learn", "next", "--over", "model=flow|sea", "--json").stdout)
    assert [tuned["name"] for tuned in over["tuned"]] == ["txt2img.model"]
    assert "txt2img.model" not in over["fixed"]
    assert over["fixed"]["txt2img.width"] in (32, 96, 104, 112, 120)


def test_the_kind_of_image_that_was_rated_most_is_the_one_that_is_kept(mixed):
    store = RunStore("runs")
    manager = FeedbackManager(store, rater="anna")
    sea = [run for run in store.iter_runs() if any(record.requested.model == "sea" for record in run.iter_records())]
    for run in sea:
        for record, output in run.iter_outputs():
            manager.record_feedback(run.run_id, output.digest, round(closeness(record.requested)))
    found = json.loads(mixed("learn", "next", "--json").stdout)
    assert found["fixed"]["txt2img.model"] == "sketch-1", "what ran, not what was requested"
    assert found["base"]["text"] == "", "all rated images are of one kind"
    assert found["prompts"] == [["a sea", ""]]
    assert {tuned["name"] for tuned in found["tuned"]} >= {"txt2img.cfg_scale", "txt2img.steps"}
