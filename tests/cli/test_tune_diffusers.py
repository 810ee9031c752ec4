"""The loop of proposals and ratings end to end: real diffusers on the CPU, and a rater who likes bright images."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from stablenew import FeedbackManager, RunStore
from stablenew.cli.main import _run

SMALL = ("--set", "txt2img.width=32", "--set", "txt2img.height=32")
OVER = ("--over", "cfg=1..15,steps=2..8,sampler=Euler|Euler a|DDIM")


def brightness(run, output):
    return float(np.asarray(Image.open(BytesIO((run.path / output.path_in_run).read_bytes())).convert("L")).mean())


def rate_by_brightness(store):
    """Stars by where each image lies between the darkest and the brightest so far. Gives the images with brightness."""
    found = [(run, output, brightness(run, output)) for run in store.iter_runs() for _, output in run.iter_outputs()]
    low, high = min(value for *_, value in found), max(value for *_, value in found)
    manager = FeedbackManager(store, rater="bright")
    for run, output, value in found:
        manager.record_feedback(run.run_id, output.digest, round(5 * (value - low) / max(high - low, 1e-9)))
    return found


@pytest.mark.filterwarnings("ignore")  # those of diffusers
def test_three_rounds_with_diffusers_make_better_images(tiny_diffusion, tmp_path, monkeypatch, capsys):
    """In this process, which has loaded torch; three others would load it again."""
    monkeypatch.chdir(tmp_path)
    tiny_diffusion.make_pipeline(tmp_path / "parts").save_pretrained(tmp_path / "tiny")
    model = ("--set", f"txt2img.model={tmp_path / 'tiny'}")
    for number in range(3):
        arguments = ["learn", "next", *OVER, "--batch", "8", "--prompt", "a hill", *SMALL, *model]
        assert _run([*arguments, "--engine", "diffusers", "--run", "-o", f"{number}.json"]) == 0
        found = rate_by_brightness(RunStore("runs"))
    assert len({run.run_id for run, *_ in found}) == 3
    capsys.readouterr()
    assert _run(["learn", "next", *OVER, "--json", "-o", "last.json"]) == 0
    said = json.loads(capsys.readouterr().out)
    first = min(run.run_id for run, *_ in found)
    tried = np.mean([value for run, _, value in found if run.run_id == first])
    nearest = max(found, key=lambda image: count_alike(*image[:2], said["best"]))
    assert nearest[2] > tried, "what is recommended is brighter than what was tried at random"
    assert said["rating_count"] == len(found)
    assert said["left"]["stars"] < 5


def count_alike(run, output, best):
    """How much the settings of an image are like the best known."""
    (asked,) = [record.requested for record, other in run.iter_outputs() if other.digest == output.digest][:1]
    far = abs(asked.cfg_scale - best["txt2img.cfg_scale"]) / 14 + abs(asked.steps - best["txt2img.steps"]) / 6
    return (asked.sampler == best["txt2img.sampler"]) - far
