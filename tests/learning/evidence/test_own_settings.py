"""Evidence about settings that are not in the table of settings: recorded by somebody's own pipeline."""

import pytest

from stablenew import FeedbackManager, RunRecorder
from stablenew.errors import ConfigError
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset_builder import DatasetBuilder
from stablenew.learning.evidence.evidence import build_evidence
from stablenew.learning.evidence.evidence_table import read_evidence_table
from stablenew.learning.learning_contract import EvidenceContract
from tests import samples


@pytest.fixture
def planted(store, tmp_path):
    """Ten prompts under both values of `rescale`, of which 0.7 is two stars better; `guidance_scale` does nothing."""
    manager = FeedbackManager(store, rater="alice")
    for prompt in range(10):
        with RunRecorder(store.root, run_id=f"run-{prompt}") as run:
            for variant, rescale in enumerate([0.0, 0.7]):
                image = samples.png(f"{prompt} {variant}".encode())
                settings = {
                    "rescale": rescale,
                    "guidance_scale": 7,
                    "seed": prompt,
                    "noise_seed_2": prompt * 2 + variant,
                }
                run.record_variant(prompt=f"prompt {prompt}", images=[image], settings=settings)
        for variant in range(2):
            manager.record_feedback(f"run-{prompt}", f"{variant}/0", 2 * variant + 1 + prompt % 2)
    DatasetBuilder(store).build_learning_dataset(tmp_path / "ds")
    return read_evidence_table(Dataset(tmp_path / "ds"))


def test_the_planted_effect_of_a_setting_of_ones_own_is_found(planted):
    evidence = build_evidence(planted, "rescale")
    gain = evidence.gains[0]
    assert (gain.value, gain.other, gain.difference.place_count) == (0.7, 0.0, 10)
    assert gain.difference.interval.low > 1.5
    assert evidence.setting == "settings.rescale"
    (proposal,) = EvidenceContract(planted).propose_new_defaults(current={"rescale": 0.0})
    assert (proposal.name, proposal.proposed, proposal.is_supported) == ("settings.rescale", 0.7, True)


def test_aliases_and_beginnings_name_the_setting_they_mean(planted):
    assert planted.find_setting("guidance_scale") == "txt2img.cfg_scale" == planted.find_setting("cfg")
    assert planted.find_setting("settings.rescale") == "settings.rescale" == planted.find_setting("resc")
    with pytest.raises(ConfigError, match="did you mean rescale"):
        planted.find_setting("rescle")


@pytest.mark.heavy
def test_seeds_under_other_names_are_no_settings_to_compare(planted):
    assert "settings.noise_seed_2" not in planted.factors
    ranges = EvidenceContract(planted).get_modifier_ranges()["settings.rescale"]
    assert (ranges.limits.type, ranges.lowest_seen, ranges.highest_seen) == ("number", 0.0, 0.7)


def test_values_of_several_types_are_compared_too(store, tmp_path):
    manager = FeedbackManager(store, rater="alice")
    for prompt in range(6):
        with RunRecorder(store.root, run_id=f"run-{prompt}") as run:
            for variant, tile in enumerate([64, 64.0, "auto"]):
                image = samples.png(f"{prompt} {variant}".encode())
                run.record_variant(prompt=f"prompt {prompt}", images=[image], settings={"tile": tile})
        for variant in range(3):
            manager.record_feedback(f"run-{prompt}", f"{variant}/0", 5 if variant == 2 else 2)
    DatasetBuilder(store).build_learning_dataset(tmp_path / "ds")
    evidence = build_evidence(read_evidence_table(Dataset(tmp_path / "ds")), "tile")
    assert [(one.value, one.image_count) for one in evidence.values] == [("auto", 6), (64.0, 12)]
    assert (evidence.gains[0].value, evidence.gains[0].other) == ("auto", 64.0)
