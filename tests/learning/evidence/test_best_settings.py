"""The best settings together, from a table of evidence."""

import pytest

from stablenew.errors import ConfigError
from stablenew.learning.evidence.best_settings import FEWEST_IMAGES, build_observations, find_best_settings
from stablenew.learning.evidence.evidence_table import build_evidence_table
from tests.learning.simulated_user import User, build_images


def table_of(count, *, spread=0.8, seed=1):
    user = User.from_seed(seed, spread=spread)
    return user, build_evidence_table(build_images(user.work(count)))


@pytest.mark.heavy
def test_settings_of_a_known_taste_are_found_with_what_matters():
    user, table = table_of(200)
    current = {name: min(effects, key=effects.get) for name, effects in user.effects.items()}
    found = find_best_settings(table, current)
    assert found.is_supported
    assert found.gain.low > 0
    liked = sum(user.effects[name][found.settings[f"txt2img.{name}"]] for name in ("model", "sampler"))
    assert liked > sum(max(user.effects[name].values()) for name in ("model", "sampler")) - 0.4
    assert {influence.setting for influence in found.influences} == {
        "txt2img.model", "txt2img.sampler", "txt2img.cfg_scale",
    }  # fmt: skip
    effects = [influence.effect for influence in found.influences]
    assert effects == sorted(effects, reverse=True)
    assert set(found.run_ids) <= set(table.run_ids)
    assert found.image_count == len(table.stars)


@pytest.mark.heavy
def test_too_few_images_and_no_effect_say_so():
    _, few = table_of(FEWEST_IMAGES - 8)
    assert find_best_settings(few).reason.startswith("not enough evidence: ")
    assert find_best_settings(few).gain is None
    _, indifferent = table_of(120, spread=0.0, seed=3)
    found = find_best_settings(indifferent)
    assert not found.is_supported
    assert found.reason.startswith("not enough evidence")


def test_a_setting_that_does_not_exist_is_an_error():
    _, table = table_of(40)
    with pytest.raises(ConfigError, match="did you mean"):
        find_best_settings(table, {"samler": "Euler a"})


def test_comparisons_and_unrated_images_are_observations():
    user = User.from_seed(5)
    images = build_images(user.work(30))
    ids = images["image_id"].to_pylist()
    runs = images["run_id"].to_pylist()
    comparison = {"run_id": runs[0], "winner": ids[0], "loser": ids[0], "outcome": "win"}
    same_run = [comparison, comparison | {"outcome": "both_bad"}]
    observed = build_observations(build_evidence_table(images, same_run))
    assert len(observed.winners) == 0, "an image is not compared with itself, and two bad ones say nothing"
    assert len(observed.stars) == len(images)
