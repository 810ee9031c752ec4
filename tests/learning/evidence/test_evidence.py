"""Evidence finds what is true, says how sure it is, and names what speaks against believing it."""

import numpy as np
import pyarrow as pa
import pytest

from stablenew.errors import ConfigError
from stablenew.learning.evidence import evidence
from stablenew.learning.evidence.evidence import build_evidence, to_json
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.evidence.setting_factors import SETTINGS, find_setting, hash_codes
from stablenew.learning.learning_contract import EvidenceContract
from tests.learning.simulated_user import VALUES, User, build_images


def rows(*groups):
    """Rated images from (settings, prompts, stars) groups: for each prompt one image with each of the stars."""
    return [
        (f"run-{number}-{prompt}", prompt, {"model": "m", "sampler": "Euler a", "cfg_scale": 7.0} | settings, star)
        for number, (settings, prompts, stars) in enumerate(groups)
        for prompt in prompts
        for star in stars
    ]


def table(*groups, tags=(), preferences=()):
    return build_evidence_table(build_images(rows(*groups), tags), preferences)


def test_values_have_counts_stars_means_and_runs():
    some, few = ({"cfg_scale": 5.0}, range(6), [2, 3]), ({"cfg_scale": 9.0}, range(3), [5])
    found = build_evidence(table(some, few), "cfg_scale")
    best, other = found.values
    assert (best.value, best.image_count, best.stars) == (9.0, 3, [0, 0, 0, 0, 0, 3])
    assert (other.value, other.image_count, other.stars, other.raw_mean) == (5.0, 12, [0, 0, 6, 6, 0, 0], 2.5)
    assert best.run_ids == ("run-1-0", "run-1-1", "run-1-2")
    assert best.mean.low < best.mean.estimate < best.mean.high
    assert found.warnings == ["fewer than 10 rated images: 9"]


def test_of_many_values_with_few_images_some_are_named():
    found = build_evidence(table(*[({"cfg_scale": 1.0 + one}, [0], [3]) for one in range(14)]), "cfg_scale")
    assert found.warnings[0].startswith("fewer than 10 rated images: 1, 2, ")
    assert found.warnings[0].endswith(", 12 and 2 more")


def test_no_interval_goes_beyond_the_stars_there_are():
    found = build_evidence(table(({"cfg_scale": 5.0}, [1], [5]), ({"cfg_scale": 9.0}, [1], [0])), "cfg_scale")
    for value in found.values:
        assert 0 <= value.mean.low < value.mean.estimate < value.mean.high <= 5
    for comparison in found.comparisons:
        assert -5 <= comparison.difference.interval.low < comparison.difference.interval.high <= 5


def test_only_images_that_are_alike_in_all_else_are_compared():
    found = build_evidence(
        table(
            ({"sampler": "DDIM"}, range(8), [4]),
            ({"sampler": "Heun"}, range(8), [2, 3]),
            ({"sampler": "LMS", "cfg_scale": 9.0}, range(8), [5]),
            ({"sampler": "UniPC"}, range(50, 58), [5]),
        ),
        "sampler",
    )
    (one, other) = found.comparisons
    assert {one.value, one.other} == {"DDIM", "Heun"}
    gain = one if one.value == "DDIM" else other
    assert gain.difference.interval.estimate == 1.5
    assert (gain.difference.place_count, gain.kind, gain.is_enough) == (8, "observational", True)
    assert len(gain.run_ids) == 16


@pytest.mark.parametrize(
    ("loras", "is_alike"),
    [
        ([("a", 1.0), ("b", 0.5)], True),
        ([("b", 0.5), ("a", 1.0)], False),
        ([("a", 0.5), ("b", 1.0)], False),
        ([("a", 1.0)], False),
        ([], False),
        (None, False),
    ],
)
def test_images_with_other_loras_are_not_alike(loras, is_alike):
    images = build_images(rows(({"cfg_scale": 5.0}, range(8), [2]), ({"cfg_scale": 9.0}, range(8), [4])))
    place = images.schema.get_field_index("loras")
    given = [
        None if one is None else [{"name": name, "weight": weight} for name, weight in one]
        for one in [[("a", 1.0), ("b", 0.5)]] * 8 + [loras] * 8
    ]
    kind = images.schema.field(place)
    found = build_evidence_table(images.set_column(place, kind, pa.array(given, kind.type)))
    assert bool(build_evidence(found, "cfg_scale").comparisons) == is_alike


def test_what_a_plan_varied_counts_apart():
    images = pa.concat_tables(
        [
            build_images(rows(({"cfg_scale": 5.0}, range(6), [2]), ({"cfg_scale": 9.0}, range(6), [4])), ["plan:abc"]),
            build_images(rows(({"cfg_scale": 5.0}, range(6), [4]), ({"cfg_scale": 9.0}, range(6), [3])), ["other"]),
        ]
    )
    found = build_evidence(build_evidence_table(images), "cfg_scale")
    gains = {one.kind: one.difference.interval.estimate for one in found.comparisons if one.value == 9.0}
    assert gains == {"controlled": 2.0, "observational": -1.0}
    assert [one.controlled_count for one in found.values] == [6, 6]
    (proposal,) = EvidenceContract(build_evidence_table(images)).propose_new_defaults(current={"cfg_scale": 5.0})
    assert (proposal.proposed, proposal.kind) == (9.0, "controlled")


def test_strict_and_mild_raters_are_each_compared_with_themselves():
    images = build_images(rows(({"cfg_scale": 5.0}, range(6), [4]), ({"cfg_scale": 9.0}, range(6), [2])))
    raters = ["mild"] * 6 + ["strict"] * 6
    ratings = [[{"rater": rater, "rating": int(stars), "rated_at": None}] for rater, stars in zip(raters, images["rating"].to_pylist(), strict=True)]  # fmt: skip  # noqa: E501
    place = images.schema.get_field_index("ratings")
    images = images.set_column(place, images.schema.field(place), pa.array(ratings, images.schema.field(place).type))
    assert build_evidence(build_evidence_table(images), "cfg_scale").comparisons == []


def test_a_few_prompts_with_many_seeds_are_told_as_such():
    images = build_images(rows(({"cfg_scale": 5.0}, [0, 1], [2, 2, 3, 2]), ({"cfg_scale": 9.0}, [0, 1], [4, 5, 4, 4])))
    seeds = pa.array([1, 2, 3, 4] * 4, pa.uint64())
    place = images.schema.get_field_index("seed")
    found = build_evidence(build_evidence_table(images.set_column(place, images.schema.field(place), seeds)), "cfg")
    gain = next(one for one in found.comparisons if one.value == 9.0)
    assert (gain.is_of_few_prompts, gain.difference.place_count) == (True, 8)


def test_a_value_that_was_only_used_with_another_is_named():
    together = ({"model": "a", "sampler": "DDIM"}, range(9), [5])
    found = build_evidence(table(together, ({"model": "b", "sampler": "Heun"}, range(9), [1])), "model")
    assert [warning.partition(":")[0] for warning in found.warnings if "only ever" in warning] == [
        "txt2img.model a was only ever used with txt2img.sampler DDIM",
        "txt2img.model b was only ever used with txt2img.sampler Heun",
    ]
    free = build_evidence(table(together, ({"model": "b", "sampler": "DDIM"}, range(9), [1])), "model")
    assert not [warning for warning in free.warnings if "only ever" in warning]


def test_a_setting_with_very_many_values_is_compared_where_they_met_most(monkeypatch):
    monkeypatch.setattr(evidence, "MOST_PAIRS", 2)
    often = [({"cfg_scale": 5.0}, range(6), [2]), ({"cfg_scale": 9.0}, range(6), [4])]
    seldom = [({"cfg_scale": 6.0 + one}, [0, 1][: one + 1], [3]) for one in range(2)]
    found = build_evidence(table(*often, *seldom), "cfg_scale")
    assert len(found.comparisons) == 4
    assert max(one.difference.place_count for one in found.comparisons) == 6
    assert found.warnings[-1] == "compared are the 2 of 6 pairs of values that met most often"


def continuous(prompts=12, count=30):
    """Images of which none has the CFG scale of another: the higher the better."""
    chance = np.random.default_rng(3)
    return [
        (f"run-{prompt}-{one}", prompt, {"model": "m", "sampler": "DDIM", "cfg_scale": round(scale, 4)}, int(scale / 2))
        for prompt in range(prompts)
        for one, scale in enumerate(chance.uniform(1, 10, count).tolist())
    ]


def test_very_many_numbers_are_compared_as_ranges():
    images = continuous()
    found = build_evidence(build_evidence_table(build_images(images)), "cfg_scale")
    assert found.warnings == [f"{len(images)} different values, grouped into ranges of about as many images each"]
    assert len(found.values) == 10
    assert {one.image_count for one in found.values} == {len(images) // 10}
    best = found.gains[0]
    assert best.value.low > best.other.low
    assert 10 <= best.difference.place_count <= 12
    exact = build_evidence(build_evidence_table(build_images(images)), "cfg_scale", is_exact=True)
    assert len(exact.values) == len(images)
    assert exact.gains == []


def test_evidence_on_ranges_is_that_of_images_which_had_their_values_from_the_start():
    images = continuous()
    found = build_evidence(build_evidence_table(build_images(images)), "cfg_scale")
    lows = np.array(sorted(one.value.low for one in found.values))
    grouped = [
        (run, prompt, settings | {"cfg_scale": float(lows[lows <= settings["cfg_scale"]].max())}, stars)
        for run, prompt, settings, stars in images
    ]
    same = build_evidence(build_evidence_table(build_images(grouped)), "cfg_scale")
    assert sorted(one.mean.low for one in found.values) == pytest.approx(sorted(one.mean.low for one in same.values))
    told = {(one.value.low, one.other.low): one.difference for one in found.comparisons}
    expected = {(one.value, one.other): one.difference for one in same.comparisons}
    assert told.keys() == expected.keys()
    for pair, difference in told.items():
        assert difference.place_count == expected[pair].place_count
        assert difference.interval == pytest.approx(expected[pair].interval)


def test_preferences_count_where_images_differ_in_this_setting_alone():
    groups = ({"sampler": "DDIM"}, [0, 1], [3]), ({"sampler": "Heun"}, [0, 1], [3]), ({"cfg_scale": 9.0}, [0], [3])
    images = build_images(rows(*groups))
    one_run = images.set_column(0, images.schema.field(0), pa.array(["run"] * len(images)))
    ids = images["image_id"].to_pylist()

    def prefer(winner, loser, outcome="win"):
        return {"run_id": "run", "winner": ids[winner], "loser": ids[loser], "outcome": outcome}

    said = [prefer(0, 2), prefer(0, 2), prefer(1, 3), prefer(3, 1, "tie"), prefer(0, 3), prefer(4, 0)]
    said.append(prefer(0, 2, "both_bad"))
    found = build_evidence(build_evidence_table(one_run, said), "sampler")
    assert (found.preference_count, found.unmatched_preference_count) == (4, 3)
    assert found.preferences["DDIM"].win_rate.estimate > 0.5 > found.preferences["Heun"].win_rate.estimate


def test_two_settings_are_told_in_pairs():
    found = build_evidence(
        table(
            ({"sampler": "DDIM", "cfg_scale": 5.0}, range(9), [1]),
            ({"sampler": "DDIM", "cfg_scale": 9.0}, range(9), [5]),
            ({"sampler": "Heun", "cfg_scale": 5.0}, range(9), [3]),
        ),
        "sampler",
        "cfg_scale",
    )
    assert [one.value for one in found.values] == [["DDIM", 9.0], ["Heun", 5.0], ["DDIM", 5.0]]
    assert found.comparisons == []


def test_nothing_rated_says_so():
    found = build_evidence(table(), "sampler")
    assert (found.values, found.warnings) == ([], ["no image is rated yet"])
    assert EvidenceContract(table()).propose_new_defaults() == []
    assert EvidenceContract(table()).get_current_best_defaults() == {}


def test_evidence_is_plain_json():
    import json

    found = build_evidence(table(({"cfg_scale": 5.0}, range(6), [2]), ({"cfg_scale": 9.0}, range(3), [5])), "cfg_scale")
    document = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert document["values"][0]["mean"].keys() == {"estimate", "low", "high"}


def test_settings_are_found_by_their_names():
    assert find_setting("sampler") == "txt2img.sampler" == find_setting("txt2img.sampler")
    assert find_setting("cfg") == "txt2img.cfg_scale"
    assert "upscale.factor" in SETTINGS
    assert not [name for name in SETTINGS if name.endswith("seed")]
    with pytest.raises(ConfigError, match="did you mean sampler"):
        find_setting("samler")


@pytest.mark.parametrize("seed", range(3))
def test_the_code_of_a_context_is_that_of_all_settings_but_one(seed):
    user = User.from_seed(seed)
    made = user.work(200)
    found = build_evidence_table(build_images(made))
    for name in VALUES:
        contexts = found.contexts - hash_codes(f"txt2img.{name}", found.factors[f"txt2img.{name}"].codes)
        others = [other for other in VALUES if other != name]
        keys = [(prompt, *(settings[other] for other in others)) for _, prompt, settings, _ in made]
        _, codes = np.unique(contexts, return_inverse=True)
        assert len(set(zip(codes.tolist(), keys, strict=True))) == len(set(codes.tolist())) == len(set(keys))


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_simulated_users_get_true_advice_and_intervals_that_hold():
    """A small one of `tools/bench/dataset/simulate.py`: margins are those of chance at its size."""
    better, held, refused, asked = [], [], 0, 0
    for seed in range(40):
        user = User.from_seed(seed)
        found = build_evidence_table(build_images(user.work(300)))
        for one in EvidenceContract(found).propose_new_defaults():
            effects = user.effects[one.name.partition(".")[2]]
            if one.proposed is not None:
                better.append(effects[one.proposed] > effects[one.current])
        for name in VALUES:
            for one in build_evidence(found, name).comparisons:
                interval = one.difference.interval
                truth = user.effects[name][one.value] - user.effects[name][one.other]
                held.append(interval.low <= truth <= interval.high)
        thin = EvidenceContract(build_evidence_table(build_images(user.work(15, sweeps=0)))).propose_new_defaults()
        asked += len(thin)
        refused += sum(not one.is_supported for one in thin)
    assert np.mean(better) >= 0.95
    assert len(better) > 30
    assert 0.92 <= np.mean(held) <= 0.98
    assert refused / asked > 0.95
