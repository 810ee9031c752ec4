"""The best settings together, from a table of evidence."""

import numpy as np
import pyarrow as pa
import pytest

from stablenew.errors import ConfigError
from stablenew.learning.evidence.best_settings import (
    FEWEST_IMAGES,
    SettingAnswer,
    build_observations,
    find_best_settings,
)
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.evidence.values_in_use import most_used
from stablenew.learning.learning_contract import TOGETHER, EvidenceContract
from stablenew.learning.surface.preference_model import Gain
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


def tuned_table(count=60, seed=5):
    """Images as rounds of proposals have them: every number another, all made by a plan, CFG scales near 6 liked."""
    chance = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        cfg, sampler = round(float(chance.uniform(3, 12)), 2), str(chance.choice(["Euler a", "DDIM"]))
        stars = 4.5 - abs(cfg - 6) * 0.6 + (sampler == "DDIM") * 0.8 + chance.normal(0, 0.4)
        settings = {"model": "m", "sampler": sampler, "cfg_scale": cfg}
        rows.append((f"run-{number}", number % 4, settings, int(np.clip(round(stars), 0, 5))))
    return build_evidence_table(build_images(rows, ["plan:0123456789ab"]))


def test_what_plans_tried_is_not_what_is_in_use():
    used = most_used(tuned_table())
    assert used["txt2img.cfg_scale"] == 7.0, "the default: no value was used often"
    mixed = [("run", prompt, {"model": "m", "sampler": "Euler a", "cfg_scale": 5.0}, 3) for prompt in range(3)]
    assert most_used(build_evidence_table(build_images(mixed)))["txt2img.cfg_scale"] == 5.0


@pytest.mark.heavy
def test_the_contract_answers_from_the_surface_where_no_images_match():
    contract = EvidenceContract(tuned_table())
    current = {"cfg_scale": 11.0, "sampler": "Euler a"}
    proposals = {proposal.name: proposal for proposal in contract.propose_new_defaults(current=current)}
    cfg = proposals["txt2img.cfg_scale"]
    assert (cfg.kind, cfg.is_supported) == (TOGETHER, True)
    assert cfg.proposed == cfg.together == pytest.approx(6, abs=1)
    assert cfg.gain.low > 0
    assert cfg.difference.startswith("matched pairs alone propose no change: not enough evidence")
    assert proposals["txt2img.sampler"].proposed == "DDIM"
    likely = contract.get_modifier_ranges()
    low, high = likely["txt2img.cfg_scale"].likely_best
    assert 3 <= low <= 6 <= high < 9
    assert likely["txt2img.sampler"].likely_best == ("DDIM",)
    assert likely["txt2img.model"].likely_best == ()


@pytest.mark.parametrize(
    ("proposed", "likely", "is_said"),
    [(9.0, (5.0, 7.0), True), (6.0, (5.0, 7.0), False), ("DDIM", ("Euler",), True), ("DDIM", ("Euler", "DDIM"), False)],
)
def test_a_range_without_the_value_that_pairs_favour_says_why(proposed, likely, is_said):
    answer = SettingAnswer(Gain(1, 0.5, 1.5, 0.99), likely)
    assert answer.holds(proposed) is not is_said


def test_what_is_in_use_was_used_together():
    used = most_used(
        build_evidence_table(
            build_kinds(("a", "soft", 512), *[("b", None, 768), ("b", None, 640)] * 2, *[("a", "soft", 896)] * 2)
        )
    )
    assert (used["txt2img.model"], used["txt2img.vae"], used["txt2img.width"]) == ("b", None, 640)


def build_kinds(*kinds):
    """Rated images of some models, VAEs and widths."""
    return with_kinds(
        [
            ("run", 1, {"model": model, "vae": vae, "width": width, "cfg_scale": 7.0, "sampler": "Euler"}, 3)
            for model, vae, width in kinds
        ]
    )


def with_kinds(rows):
    images = build_images(rows)
    for name in ("vae", "width"):
        column = pa.array([settings[name] for _, _, settings, _ in rows])
        images = images.set_column(images.schema.get_field_index(name), name, column)
    return images


def test_models_and_files_that_never_met_are_not_said_to_be_best_together():
    rng, rows = np.random.default_rng(4), []
    for number in range(90):
        model, vae, size = (("a", "soft", 512), ("b", "sharp", 768), ("b", "soft", 768))[number % 3]
        cfg = float(rng.uniform(3, 12))
        stars = {"a": 3, "b": 1}[model] + (vae == "sharp") + 0.5 * (size == 768) - abs(cfg - 7) / 5
        settings = {"model": model, "vae": vae, "width": size, "cfg_scale": cfg, "sampler": "Euler"}
        rows.append((f"run {number // 4}", number % 5, settings, int(np.clip(round(stars + rng.normal(0, 0.3)), 0, 5))))
    best = find_best_settings(build_evidence_table(with_kinds(rows))).settings
    assert (best["txt2img.model"], best["txt2img.vae"], best["txt2img.width"]) == ("a", "soft", 512)
    assert 5 < best["txt2img.cfg_scale"] < 9
