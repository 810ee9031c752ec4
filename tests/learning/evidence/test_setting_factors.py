"""Settings as codes, against plain dictionaries."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.learning.dataset.columns import IMAGES_SCHEMA
from stablenew.learning.evidence.setting_factors import (
    MOST_OWN_SETTINGS,
    SETTINGS,
    Factor,
    build_factor,
    build_own_factors,
    encode_column,
    find_setting,
    form_interval,
    hash_codes,
    hash_lists,
    is_number,
    is_of_kind,
    sort_key,
    used_codes,
)

words = st.lists(st.none() | st.sampled_from(["a", "b", "B", "", "ü"]), max_size=12)
numbers = st.lists(st.none() | st.floats(-5, 5, allow_subnormal=False), max_size=12)
LORA_LISTS = IMAGES_SCHEMA.field("loras").type
OWN_LISTS = IMAGES_SCHEMA.field("settings").type


def chunked(values, kind=None):
    """The values as a column in two chunks, the first dictionary of which lacks what comes later."""
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])


def decode(factor):
    return [factor.values[code] for code in factor.codes.tolist()]


def own_factors(*images):
    """The factors of images, each given as the settings of its own."""
    rows = [
        None if own is None else [{"name": name, "value": json.dumps(value)} for name, value in own.items()]
        for own in images
    ]
    return build_own_factors(pa.chunked_array([pa.array(rows, OWN_LISTS)]))


@given(words)
def test_a_factor_holds_each_value_once_in_order_and_gives_every_image_its_own(values):
    factor = build_factor("txt2img.sampler", chunked(values, pa.string()))
    assert decode(factor) == values
    known = sorted({value for value in values if value is not None})
    assert factor.values == known + [None] * (None in values), "what is not known comes last"
    assert factor.is_varied == (len(set(values)) > 1)


@given(numbers)
def test_numbers_are_in_the_order_of_numbers(values):
    factor = build_factor("txt2img.cfg_scale", chunked(values, pa.float64()))
    assert decode(factor) == values
    known = [value for value in factor.values if value is not None]
    assert known == sorted(known)


@given(words)
def test_a_column_that_is_encoded_already_gives_the_same(values):
    plain = chunked(values, pa.string())
    (one, codes), (other, other_codes) = encode_column(plain), encode_column(plain.dictionary_encode())
    assert [one[code] for code in codes] == [other[code] for code in other_codes] == values


@given(st.lists(st.integers(0, 6), max_size=20))
def test_used_codes_are_those_that_occur(codes):
    factor = Factor("x", list("abcdefg"), np.array(codes, np.int32))
    used, places = factor.used
    assert used == sorted(set(codes))
    assert [used[place] for place in places.tolist()] == codes
    assert used_codes(factor.codes)[0] == used


def test_settings_of_ones_own_have_the_values_of_their_json_and_none_where_an_image_lacks_them():
    found = own_factors({"hypertile": True, "grain": 2}, None, {"grain": 0.5}, {})
    assert found.keys() == {"settings.hypertile", "settings.grain"}
    assert decode(found["settings.hypertile"]) == [True, None, None, None]
    assert decode(found["settings.grain"]) == [2, None, 0.5, None]
    assert found["settings.grain"].values == [0.5, 2, None]


def test_seven_and_seven_point_nought_are_one_value_and_true_is_none_of_them():
    (factor,) = own_factors({"x": 7}, {"x": 7.0}, {"x": 1}, {"x": True}, {"x": "7"}).values()
    one, same, *others = factor.codes.tolist()
    assert one == same
    assert len({one, *others}) == 4


def test_whole_numbers_stay_whole_where_all_are():
    (factor,) = own_factors({"x": 3}, {"x": 2}).values()
    assert [(value, type(value)) for value in factor.values] == [(2, int), (3, int)]


def test_values_of_several_types_have_an_order_all_the_same():
    (factor,) = own_factors({"x": "b"}, {"x": 3}, {"x": None}, {"x": "a"}, {"x": 2.5}, {"x": False}).values()
    assert factor.values == [False, 2.5, 3.0, "a", "b", None]
    assert decode(factor) == ["b", 3, None, "a", 2.5, False]


@pytest.mark.parametrize(
    ("name", "is_seed"),
    [
        ("seed", True), ("noise_seed", True), ("Seed 2", True), ("subseed_strength", True), ("seedling", False),
        ("reseeded", False), ("Variation seed", True), ("x" * 247, False), ("x" * 248, True),
    ],
)  # fmt: skip
def test_seeds_and_names_that_no_package_could_hold_are_no_settings(name, is_seed):
    assert (own_factors({name: 1}, {name: 2}) == {}) is is_seed


def test_of_very_many_settings_those_of_most_images_are_looked_at():
    many = {f"n{number:04d}": 1 for number in range(MOST_OWN_SETTINGS + 50)}
    found = own_factors(many, {"n0300": 2}, {"n0301": 2})
    assert len(found) == MOST_OWN_SETTINGS
    assert {"settings.n0300", "settings.n0301"} <= found.keys()


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("txt2img.cfg_scale", "txt2img.cfg_scale"), ("cfg_scale", "txt2img.cfg_scale"), ("cfg", "txt2img.cfg_scale"),
        ("CFG scale", "txt2img.cfg_scale"), ("guidance_scale", "txt2img.cfg_scale"), ("samp", "txt2img.sampler"),
        ("img2img.denoising_strength", "img2img.denoising_strength"), ("grain", "settings.grain"),
        ("settings.grain", "settings.grain"), ("gr", "settings.grain"),
    ],
)  # fmt: skip
def test_a_setting_is_found_by_any_of_its_names(name, dotted):
    assert find_setting(name, ["settings.grain"]) == dotted


@pytest.mark.parametrize(
    ("name", "said"), [("samplr", "did you mean sampler"), ("s", "no setting 's'"), ("qqqq", "there are txt2img.")]
)
def test_a_setting_that_is_not_there_names_those_that_are(name, said):
    with pytest.raises(ConfigError, match=said):
        find_setting(name, ["settings.size_own"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("txt2img.model", True), ("txt2img.vae", True), ("txt2img.width", True), ("txt2img.enable_hr", True),
        ("upscale.factor", True), ("txt2img.batch_size", True), ("txt2img.sampler", False),
        ("txt2img.scheduler", False),
        ("txt2img.cfg_scale", False), ("txt2img.steps", False), ("img2img.sampler", False), ("adetailer.model", True),
    ],
)  # fmt: skip
def test_model_files_stages_and_size_make_an_image_of_another_kind(name, expected):
    assert name in SETTINGS
    assert is_of_kind(name) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5], True), ([], True), ([True, 2], False), (["1"], False), ([None, 1], False),
        ([-1e308, 1e308], False), ([math.inf, 1], False), ([3], True),
    ],
)  # fmt: skip
def test_numbers_form_an_interval_where_its_ends_can_be_subtracted(values, expected):
    assert form_interval(values) is expected


def test_a_truth_value_is_no_number_and_what_is_not_known_comes_last():
    assert [is_number(value) for value in (1, 1.5, True, "1", None)] == [True, True, False, False, False]
    assert sorted(["b", None, 2, "a", 1], key=sort_key) == [1, 2, "a", "b", None]


def test_sums_of_hashes_tell_combinations_apart():
    """Of 20 x 20 x 20 combinations no two have one sum, nor do columns that changed their places."""
    codes = np.arange(20)
    first, second, third = (hash_codes(name, codes) for name in ("a", "b", "c"))
    sums = first[:, None, None] + second[:, None] + third
    assert len(np.unique(sums)) == 8_000
    assert not np.intersect1d(first[:, None] + second, second[:, None] + third).size


def test_a_hash_is_the_same_for_codes_of_any_width():
    assert (hash_codes("a", np.arange(9, dtype=np.int32)) == hash_codes("a", np.arange(9))).all()


lora_lists = st.none() | st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["a", "b"]), "weight": st.sampled_from([0.5, 1.0, None])}),
    max_size=3,
)


@given(st.lists(lora_lists, min_size=1, max_size=8))
def test_lists_have_one_hash_exactly_where_they_are_equal(lists):
    hashes = hash_lists("loras", chunked(lists, LORA_LISTS)).tolist()
    for one, its_hash in zip(lists, hashes, strict=True):
        for other, other_hash in zip(lists, hashes, strict=True):
            assert (its_hash == other_hash) == (one == other)
