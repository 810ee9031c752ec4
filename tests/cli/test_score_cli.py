"""`stablenew score`: whose code is run, what is kept, and what a second call still does."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from stablenew import JobHistory, RunRecorder, RunStore, RunVerifier
from stablenew.controller.scoring.built_in import colourfulness, contrast, sharpness

SCORER = """
from pathlib import Path
calls = Path(__file__).with_suffix(".calls")

def brightness(image):
    with calls.open("a") as file:
        file.write("x")
    print("scorers may print")
    return image.convert("L").resize((1, 1)).getpixel((0, 0))

def several(image, facts):
    return {"wide": image.width, "Steps!": facts["settings"]["steps"]}

def picky(image, facts):
    if facts["prompt"] == "grey 1":
        raise ValueError("no such thing")
    return 1.5

class Loaded:
    def __init__(self):
        self.offset = 10

    def __call__(self, image):
        return self.offset + image.height
"""


@pytest.fixture
def store(tmp_path):
    with RunRecorder(tmp_path / "runs") as run:
        for number in range(3):
            picture = Image.new("RGB", (8, 6 + number), (number * 40,) * 3)
            run.log(picture, prompt=f"grey {number}", steps=20 + number)
    with RunRecorder(tmp_path / "runs") as run:
        run.log(Image.effect_noise((8, 8), 90), prompt="noise", steps=5)
    (tmp_path / "my_scorer.py").write_text(SCORER)
    return RunStore(tmp_path / "runs")


@pytest.fixture
def cli(tmp_path):
    def call(*arguments, cwd=tmp_path):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody sets it at home
        command = [sys.executable, "-m", "stablenew", "--runs-dir", str(tmp_path / "runs"), *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    return call


def scores(store, query=""):
    history = JobHistory(store.root)
    history.refresh(is_patient=True)
    found = {row["prompt"]: row["metrics"] for row in history.search_images(query)}
    history.close()
    return found


def test_a_function_in_a_file_scores_images_once(store, cli, tmp_path):
    calls = tmp_path / "my_scorer.calls"
    done = json.loads(cli("--json", "score", "--with", "my_scorer.py:brightness", "prompt:grey").stdout)
    assert (done["scored"], done["known"], done["metrics"], done["problems"]) == (3, 0, ["brightness"], [])
    assert scores(store, "grey") == {f"grey {number}": {"brightness": number * 40} for number in range(3)}
    assert scores(store, "metric.brightness:>50").keys() == {"grey 2"}
    assert calls.read_text() == "xxx"
    done = json.loads(cli("--json", "score", "--with", "my_scorer.py:brightness").stdout)
    assert (done["scored"], done["known"], calls.read_text()) == (1, 3, "xxxx")
    assert json.loads(cli("--json", "score", "--with", "my_scorer.py:brightness", "--again").stdout)["scored"] == 4


def test_a_changed_file_is_another_scorer_and_scores_again(store, cli, tmp_path):
    assert cli("score", "--with", "my_scorer.py:Loaded", "noise").returncode == 0
    assert scores(store, "noise") == {"noise": {"loaded": 18}}
    scorer = tmp_path / "my_scorer.py"
    moment = scorer.stat().st_mtime_ns
    scorer.write_text(SCORER.replace("self.offset = 10", "self.offset = 20"))
    os.utime(scorer, ns=(moment, moment))  # of the same size and time: what a cache of bytecode takes for unchanged
    assert "1 image scored" in cli("score", "--with", "my_scorer.py:Loaded", "noise").stdout
    assert scores(store, "noise") == {"noise": {"loaded": 28}}


def test_a_scorer_may_return_several_scores_from_picture_and_facts(store, cli):
    assert cli("score", "--with", "my_scorer.py:several").returncode == 0
    assert scores(store)["grey 2"] == {"wide": 8, "steps": 22}


def test_an_image_that_cannot_be_scored_is_named_and_spoils_no_other(store, cli):
    done = cli("--json", "score", "--with", "my_scorer.py:picky", "grey")
    found = json.loads(done.stdout)
    assert (done.returncode, found["scored"]) == (1, 2)
    assert "no such thing" in found["problems"][0]
    (path,) = [path for path in store.root.glob("*/outputs/*") if "0000" in path.name and "grey" not in path.name][:1]
    path.chmod(0o644)
    path.write_bytes(b"damaged" + path.read_bytes()[7:])
    found = json.loads(cli("--json", "score", "--with", "contrast").stdout)
    assert found["scored"] == 3
    assert "not those that were recorded" in found["problems"][0]


@pytest.mark.timeout(120)
def test_a_scorer_that_asks_a_question_gets_no_answer_and_waits_for_none(store, cli, tmp_path):
    (tmp_path / "asks.py").write_text("def trust(image):\n    return input('trust this code? ') == 'y'\n")
    called = cli("score", "--with", "asks.py:trust")
    assert (called.returncode, called.stderr.count("EOFError")) == (1, 4)


def test_a_scorer_that_ends_its_program_while_it_is_loaded_is_named(store, cli, tmp_path):
    (tmp_path / "ends.py").write_text("raise SystemExit(5)\n")
    called = cli("score", "--with", "ends.py:score")
    assert (called.returncode, "ends.py cannot be loaded: SystemExit" in called.stderr) == (2, True)


def test_scores_stand_outside_the_seal(store, cli):
    cli("score", "--with", "sharpness")
    for run in store.iter_runs():
        assert not [found for found in RunVerifier(run, deep=True).verify().findings if found.severity == "error"]
        assert len(list(run.path.glob("metrics.*.jsonl"))) == 1


def test_nothing_is_imported_from_the_current_folder(store, cli, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    code = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\ndef f(image): return 1"
    (trap / "scorerless.py").write_text(code)
    (trap / "imports.py").write_text("import scorerless\ndef f(image): return 1")
    done = cli("score", "--with", "scorerless:f", cwd=trap)
    assert (done.returncode, "no module 'scorerless' is installed" in done.stderr) == (2, True)
    done = cli("score", "--with", "imports.py:f", cwd=trap)
    assert (done.returncode, "No module named 'scorerless'" in done.stderr) == (2, True)
    assert not (trap / "scorerless.ran").exists()
    assert cli("score", "--with", f"{tmp_path / 'my_scorer.py'}:Loaded", cwd=trap).returncode == 0


def test_an_installed_module_brings_its_function(store, cli):
    assert cli("score", "--with", "stablenew.controller.scoring.built_in:contrast").returncode == 0
    assert "contrast" in scores(store)["noise"]


def test_what_is_no_scorer_is_said_plainly(store, cli, tmp_path):
    for name, words in (
        ("beauty", "there are colourfulness, contrast, sharpness"),
        ("my_scorer.py:beauty", "has no function 'beauty'"),
        ("missing.py:f", "cannot be read"),
    ):
        done = cli("score", "--with", name)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    (tmp_path / "broken.py").write_text("import nothing_at_all")
    assert "nothing_at_all" in cli("score", "--with", "broken.py:f").stderr


def test_the_built_in_scorers_measure_what_their_names_say():
    noise = Image.effect_noise((64, 64), 90)
    flat, halves = Image.new("L", (64, 64), 120), Image.new("L", (64, 64), 0)
    halves.paste(255, (0, 0, 32, 64))
    assert sharpness(flat) == 0 < sharpness(halves) < sharpness(noise)
    assert contrast(flat) == 0
    assert contrast(halves) == pytest.approx(0.5)
    red_and_green = Image.new("RGB", (64, 64), (255, 0, 0))
    red_and_green.paste((0, 255, 0), (0, 0, 32, 64))
    assert colourfulness(noise.convert("RGB")) == 0
    assert colourfulness(red_and_green) > 200
