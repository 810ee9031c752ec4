"""BoTorch as a proposer that plugs in."""

import importlib.util
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from stablenew.errors import ConfigError
from stablenew.learning.botorch_proposer import BoTorchContract
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.learning_contract import GROUP
from tests.learning.simulated_user import build_images

needs_botorch = pytest.mark.skipif(importlib.util.find_spec("botorch") is None, reason="botorch is not installed")


def table(count):
    chance = np.random.default_rng(4)
    rows = []
    for number in range(count):
        cfg, sampler = round(float(chance.uniform(3, 12)), 1), str(chance.choice(["Euler a", "DDIM", "UniPC"]))
        stars = 4 - abs(cfg - 6) * 0.6 + (sampler == "DDIM") + chance.normal(0, 0.4)
        settings = {"model": "m", "sampler": sampler, "cfg_scale": cfg}
        rows.append((f"run-{number}", number, settings, int(np.clip(round(stars), 0, 5))))
    return build_evidence_table(build_images(rows))


def test_the_entry_point_names_it():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert "botorch" in project["optional-dependencies"]
    (entry,) = project["entry-points"][GROUP].items()
    assert EntryPoint(*entry, GROUP).load() is BoTorchContract


@pytest.mark.skipif(importlib.util.find_spec("botorch") is not None, reason="botorch is installed")
def test_without_botorch_it_says_what_to_install():
    with pytest.raises(ConfigError, match=r"stablenew\[botorch\]"):
        BoTorchContract(table(3))


@needs_botorch
@pytest.mark.filterwarnings("ignore")  # torch deprecates what gpytorch calls
def test_it_finds_what_is_liked_and_says_how_sure_that_is():
    contract = BoTorchContract(table(60))
    current = {"cfg_scale": 11.0, "sampler": "UniPC"}
    found = {proposal.name: proposal for proposal in contract.propose_new_defaults(current=current)}
    assert found["txt2img.cfg_scale"].proposed == pytest.approx(6, abs=1)
    assert found["txt2img.sampler"].proposed == "DDIM"
    assert all(proposal.gain.low > 0 and proposal.confidence >= 0.95 for proposal in found.values())
    assert contract.get_current_best_defaults()["txt2img.sampler"].value == "DDIM"
    assert contract.get_modifier_ranges()["txt2img.sampler"].values_seen == ("DDIM", "Euler a", "UniPC")


@needs_botorch
@pytest.mark.filterwarnings("ignore")  # torch deprecates what gpytorch calls
def test_few_ratings_are_not_enough_for_it():
    for proposal in BoTorchContract(table(6)).propose_new_defaults():
        assert (proposal.proposed, proposal.is_supported) == (None, False)
