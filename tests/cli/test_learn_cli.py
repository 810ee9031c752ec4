"""`stablenew plan` and `learn`, from an empty folder to advice, as typed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from stablenew import FeedbackManager, RunRecorder, RunStore
from stablenew.cli.main import _run
from stablenew.controller.insights import find_query

SMALL = ("--set", "txt2img.width=64", "--set", "txt2img.height=64")
TASTE = {5: 1.6, 7: 4.2, 9: 2.8}


@pytest.fixture
def stablenew(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        found = _run([str(one) for one in arguments])
        printed = capsys.readouterr()
        assert found == code, printed
        return printed.out + printed.err

    return call


def size_of(path):
    with Image.open(path) as image:
        return image.size


def rate(stars):
    """Rate every image as somebody with a known taste would."""
    store, chance = RunStore("runs"), random.Random(1)
    manager = FeedbackManager(store, rater="anna")
    for run in store.iter_runs():
        for record, output in run.iter_outputs():
            wanted = stars(record) + chance.gauss(0, 0.4)
            manager.record_feedback(run.run_id, output.digest, min(5, max(0, round(wanted))))


def test_from_a_plan_to_advice(stablenew, tmp_path):
    prompts = [option for text in ("a lake", "a pier", "a mill", "a barn", "a tower") for option in ("--prompt", text)]
    sweep = ("--sweep", "txt2img.cfg_scale=5,7,9", "--seeds", "1,2")
    text = stablenew("plan", "new", "cfg.plan.json", *prompts, *sweep, *SMALL)
    assert "10 runs of 3 variants, 30 images" in text
    assert "0 of 10 runs done" in stablenew("plan", "status", "cfg.plan.json")
    assert "10 of 10 runs done" in stablenew("plan", "run", "cfg.plan.json")
    assert "nothing is left to run" in stablenew("plan", "resume", "cfg.plan.json")
    assert len(list(RunStore("runs").iter_runs())) == 10
    assert "no image is rated yet" in stablenew("learn", "evidence")
    rate(lambda record: TASTE[record.requested.cfg_scale])
    text = stablenew("learn", "evidence", "--by", "cfg", "--plot", "cfg.svg")
    assert "7 over 5" in text
    assert "controlled" in text
    assert "█" in text
    assert ET.parse("cfg.svg").getroot().tag.endswith("svg")
    stablenew("learn", "evidence", "--plot", "cfg.png")
    assert size_of("cfg.png")[0] > 300
    assert "txt2img.cfg_scale=7" in stablenew("learn", "propose", "--current", "txt2img.cfg_scale=5")
    defaults = {one["name"]: one for one in json.loads(stablenew("--json", "learn", "defaults"))}
    best = defaults["txt2img.cfg_scale"]
    assert (best["value"], best["is_supported"], best["difference"]) == (7.0, True, None)
    assert "all settings together: better with a probability of" in stablenew("learn", "defaults")
    together = json.loads(stablenew("--json", "learn", "defaults", "--together"))
    assert abs(together["settings"]["txt2img.cfg_scale"] - 7) < 1
    assert together["influences"][0]["setting"] == "txt2img.cfg_scale"
    assert "stars" in stablenew("learn", "defaults", "--together")
    stablenew("plan", "sheet", "cfg.plan.json", "-o", "sheet.png", "--size", "64")
    assert size_of("sheet.png")[0] > 300
    stablenew("learn", "package", "-o", "package.json")
    assert json.loads((tmp_path / "package.json").read_bytes())["proposals"][0]["name"] == "txt2img.cfg_scale"
    pairs = json.loads(stablenew("--json", "learn", "evidence", "--by", "cfg", "--against", "steps"))
    assert pairs["settings"][0]["values"][0]["value"] == [7.0, 20]


def test_a_plan_that_is_killed_goes_on(stablenew, tmp_path):
    """SIGKILL in the middle of it, again and again: in the end every step is done once, and nothing is lost."""
    sweep = ("--sweep", "txt2img.steps=10,20", "--seeds", "1,2,3,4")
    stablenew("plan", "new", "p.json", "--prompt", "a lake", *sweep, *SMALL)
    command = [sys.executable, "-m", "stablenew", "plan", "run", "p.json", "--json"]
    chance = random.Random(3)
    for _ in range(5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        time.sleep(0.5 + chance.random() * 0.6)
        process.send_signal(signal.SIGKILL)
        process.wait()
    stablenew("repair")
    found = json.loads(stablenew("--json", "plan", "run", "p.json"))
    assert [one["step"] for one in found["done"]] == [0, 1, 2, 3]
    assert found["pending"] == []
    assert all(one["status"] != "completed" for one in found["undone"])


def test_presets_are_compared_and_grids_drawn(stablenew):
    soft, hard = "soft:txt2img.cfg_scale=4;txt2img.steps=12", "hard:txt2img.cfg_scale=11"
    stablenew("plan", "new", "presets.json", "--prompt", "a lake", "--preset", soft, "--preset", hard, *SMALL)
    stablenew("plan", "run", "presets.json")
    records = [record for run in RunStore("runs").iter_runs() for record in run.iter_records()]
    assert {(one.variant.label, one.requested.cfg_scale, one.requested.steps) for one in records} == {
        ("preset=soft", 4.0, 12),
        ("preset=hard", 11.0, 20),
    }
    assert {one.requested.seed for one in records} == {1, 2, 3}
    sweeps = ("--sweep", "txt2img.steps=10,20", "--sweep", "txt2img.cfg_scale=5,9")
    text = stablenew("plan", "new", "grid.json", "--prompt", "a lake", *sweeps, "--seeds", "7", *SMALL)
    assert "1 run of 4 variants" in text
    stablenew("plan", "run", "grid.json")
    assert "4 of 4 images" in stablenew("plan", "sheet", "grid.json", "-o", "grid.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "a", "--sweep", "txt2img.cgf_scale=5,7"], "did you mean txt2img.cfg_scale"),
        (["--prompt", "a", "--sweep", "txt2img.steps=5,many"], "steps"),
        (["--prompt", "a", "--sweep", "txt2img.steps=5"], "two things or more"),
        (["--prompt", "a"], "varies one setting"),
        (["--sweep", "txt2img.steps=5,7"], "--prompt"),
        (["--prompt", "a", "--sweep", "txt2img.steps=5,7", "--seeds", "-1"], "seeds of its own"),
        (["--prompt", "a", "--preset", "soft"], "NAME:STAGE.KEY"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(stablenew, tmp_path, arguments, message):
    assert message in stablenew("plan", "new", "p.json", *arguments, code=2)
    assert not (tmp_path / "p.json").exists()


def test_what_is_not_there_is_a_usage_error(stablenew):
    assert "stablenew plan new" in stablenew("plan", "status", "none.json", code=2)
    assert "did you mean sampler" in stablenew("learn", "evidence", "--by", "samler", code=2)
    assert "no proposer" in stablenew("learn", "propose", "--proposer", "none", code=2)
    assert "0 proposals" in stablenew("learn", "propose")


def test_ratings_of_images_that_are_all_alike_are_no_evidence_and_it_says_so(stablenew, tmp_path):
    (tmp_path / "lake.txt").write_text("a lake\n", encoding="utf-8")
    stablenew("run", tmp_path / "lake.txt", *SMALL, "--record")
    stablenew("rate", "latest", "0/0", "4")
    assert "all rated images have the same settings" in stablenew("learn", "evidence")


def test_evidence_finds_a_planted_effect_in_settings_of_ones_own_by_stars_and_by_a_metric(stablenew):
    chance = random.Random(3)
    with RunRecorder("runs") as run:
        for prompt in ("a lake", "a pier", "a mill", "a barn", "a tower", "a boat"):
            for seed in (1, 2):
                for churn in (0.0, 0.5, 1.0):
                    picture = Image.effect_noise((8, 8), chance.randrange(20, 90))
                    score = {0.0: 40.0, 0.5: 70.0, 1.0: 50.0}[churn] + chance.gauss(0, 3)
                    settings = {"s_churn": churn, "guidance_scale": 7.5, "seed": seed}
                    run.log(picture, prompt=prompt, metrics={"aesthetic": score}, **settings)
    taste = {0.0: 1.5, 0.5: 4.2, 1.0: 2.5}
    rate(lambda record: taste[record.requested.to_dict()["s_churn"]])
    (by_stars,) = json.loads(stablenew("--json", "learn", "evidence"))["settings"]
    assert (by_stars["setting"], by_stars["values"][0]["value"]) == ("settings.s_churn", 0.5)
    found = json.loads(stablenew("--json", "learn", "evidence", "--by", "metric.aesthetic"))
    (by_metric,) = found["settings"]
    assert (found["metric"], by_metric["setting"]) == ("aesthetic", "settings.s_churn")
    means = {value["value"]: value["mean"] for value in by_metric["values"]}
    assert means[0.5]["low"] < 70 < means[0.5]["high"]
    assert means[0.0]["low"] < 40 < means[0.0]["high"]
    best = max(by_metric["comparisons"], key=lambda one: one["difference"]["interval"]["estimate"])
    assert (best["value"], best["other"]) == (0.5, 0.0)
    interval = best["difference"]["interval"]
    assert interval["low"] < 30 < interval["high"]
    assert "mean metric.aesthetic" in stablenew("learn", "evidence", "--by", "metric.aesthetic")
    assert "there are metric.aesthetic" in stablenew("learn", "evidence", "--by", "metric.beauty", code=2)
    few = json.loads(stablenew("--json", "learn", "evidence", "--by", "metric.aesthetic", "settings.s_churn:0..0.5"))
    assert [value["value"] for value in few["settings"][0]["values"]] == [0.5, 0.0], "images that fit, not their runs"
    assert find_query("settings.s_churn", 0.5) == "settings.s_churn:0.5"
    assert find_query("settings.mode", "fast one") == 'settings.mode:"fast one"'
    assert find_query("settings.karras", True) == 'settings.karras:"true"'
