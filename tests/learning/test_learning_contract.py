"""The contract: four functions, honest answers, open to other proposers."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stablenew.errors import ConfigError
from stablenew.learning import learning_contract
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset_builder import DatasetBuilder
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.evidence.learning_package import package_for_llm
from stablenew.learning.learning_contract import EvidenceContract, open_contract
from tests.index.stores import make_store
from tests.learning.simulated_user import build_images

SCHEMAS = Path(__file__).parents[2] / "schemas" / "v1"


def contract(*groups):
    """From (cfg, number of prompts, stars) groups."""
    rows = [
        (f"run-{number}", prompt, {"model": "m", "sampler": "Euler a", "cfg_scale": cfg}, stars[prompt % len(stars)])
        for number, (cfg, count, stars) in enumerate(groups)
        for prompt in range(count)
    ]
    return EvidenceContract(build_evidence_table(build_images(rows)))


def test_modifiers_are_the_settings_that_were_used():
    found = contract((5.0, 6, [2]), (9.0, 6, [4])).get_available_modifiers()
    assert [(one.name, one.values_seen, one.is_varied) for one in found] == [
        ("txt2img.cfg_scale", (5.0, 9.0), True),
        ("txt2img.model", ("m",), False),
        ("txt2img.sampler", ("Euler a",), False),
    ]
    assert found[0].rated_image_count == 12


@pytest.mark.heavy
def test_ranges_are_those_of_the_format_and_of_the_runs():
    ranges = contract((5.0, 6, [2]), (9.0, 6, [4])).get_modifier_ranges()
    cfg = ranges["txt2img.cfg_scale"]
    assert (cfg.limits.type, cfg.limits.lowest, cfg.limits.highest, cfg.limits.default) == ("number", 0, 100, 7.0)
    assert (cfg.lowest_seen, cfg.highest_seen) == (5.0, 9.0)
    assert ranges["upscale.mode"].limits.choices == ("single", "img2img")
    assert ranges["txt2img.steps"].limits.lowest == 1
    assert ranges["txt2img.sampler"].values_seen == ("Euler a",)


def test_a_better_value_is_proposed_with_the_reason():
    (one,) = contract((5.0, 12, [2, 3]), (9.0, 8, [4, 5])).propose_new_defaults()
    assert (one.name, one.current, one.proposed, one.is_supported) == ("txt2img.cfg_scale", 5.0, 9.0, True)
    assert one.gain.estimate == pytest.approx(2.0)
    assert one.confidence > 0.99
    assert one.place_count == 8
    assert one.run_ids == ("run-0", "run-1")
    assert "8 matched pairs, observational" in one.reason


def test_what_is_used_stays_where_nothing_is_surely_better():
    (one,) = contract((5.0, 12, [4, 3]), (9.0, 8, [3, 4])).propose_new_defaults()
    assert (one.proposed, one.is_supported) == (None, True)
    assert one.confidence < 0.95
    (worse,) = contract((5.0, 12, [4]), (9.0, 8, [1])).propose_new_defaults()
    assert worse.proposed is None


def test_thin_evidence_is_refused_in_words():
    few = contract((5.0, 3, [1]), (9.0, 3, [5])).propose_new_defaults()[0]
    assert (few.proposed, few.is_supported) == (None, False)
    assert few.reason.startswith("not enough evidence: 3 matched pairs")
    defaults = contract((5.0, 3, [1]), (9.0, 3, [5])).get_current_best_defaults()
    assert not defaults["txt2img.cfg_scale"].is_supported
    assert defaults["txt2img.model"].reason == "not enough evidence: txt2img.model was never varied"


def test_many_tries_ask_for_more():
    """A gain that would do for one candidate does not do for the luckiest of many."""
    groups = [(5.0, 6, [3, 2])], [(9.0, 6, [4, 3, 3])]
    alone = contract(*groups[0], *groups[1]).propose_new_defaults(current={"cfg_scale": 5.0})[0]
    others = [(10.0 + number, 6, [2, 3]) for number in range(8)]
    among = contract(*groups[0], *groups[1], *others).propose_new_defaults(current={"cfg_scale": 5.0})[0]
    assert alone.confidence > among.confidence


def test_best_defaults_are_what_the_evidence_speaks_for():
    best = contract((5.0, 12, [2, 3]), (9.0, 8, [4, 5])).get_current_best_defaults()["txt2img.cfg_scale"]
    assert (best.value, best.is_supported, best.image_count) == (9.0, True, 8)
    assert best.mean.low < best.mean.estimate < best.mean.high
    assert best.run_ids == ("run-1",)


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="no setting 'cfgg'"):
        contract((5.0, 3, [1])).propose_new_defaults(current={"cfgg": 1})


class Stubborn:
    """Another proposer, as a package would bring it."""

    def __init__(self, dataset):
        self.dataset = dataset

    def propose_new_defaults(self, dataset=None, current=None):
        return [self.dataset.ledger.digest]


def test_another_proposer_plugs_in_by_entry_point(tmp_path, monkeypatch):
    store = make_store(tmp_path / "runs", 1, count=5)
    DatasetBuilder(store).build_learning_dataset(tmp_path / "ds")
    dataset = Dataset(tmp_path / "ds")
    point = EntryPoint("stubborn", f"{__name__}:Stubborn", learning_contract.GROUP)
    monkeypatch.setattr(learning_contract, "entry_points", lambda group: [point] if group == point.group else [])
    assert open_contract(dataset, "stubborn").propose_new_defaults() == [dataset.ledger.digest]
    assert isinstance(open_contract(dataset), EvidenceContract)
    with pytest.raises(ConfigError, match="evidence, stubborn"):
        open_contract(dataset, "other")


@pytest.mark.heavy
def test_a_package_is_small_valid_and_says_what_it_left_out(tmp_path):
    store = make_store(tmp_path / "runs", 2, count=80)
    DatasetBuilder(store).build_learning_dataset(tmp_path / "ds")
    dataset = Dataset(tmp_path / "ds")
    package = package_for_llm(dataset, examples=3)
    document = json.loads(package.encode_document())
    Draft202012Validator(json.loads((SCHEMAS / "learning_package.schema.json").read_bytes())).validate(document)
    assert document["dataset_digest"] == dataset.ledger.digest
    assert len(document["best"]) == len(document["worst"]) == 3
    assert document["best"][0]["rating"] >= document["worst"][-1]["rating"]
    rated = document["rated_image_count"]
    assert document["left_out"]["images"] == rated - 6
    assert len(package.encode_document()) < 60_000
    assert "prompt" not in json.dumps(json.loads(package_for_llm(dataset, examples=0).encode_document())["best"])


def test_not_enough_evidence_is_what_it_is_called():
    assert learning_contract.NOT_ENOUGH == "not enough evidence"
