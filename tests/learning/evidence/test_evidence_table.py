"""Rated images as arrays, against what the rows say one by one."""

from collections import defaultdict
from statistics import fmean

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.learning.dataset.columns import IMAGES_SCHEMA
from stablenew.learning.evidence.evidence_table import build_evidence_table, has_plan_tag, image_columns
from stablenew.learning.evidence.setting_factors import hash_codes

images = st.lists(
    st.fixed_dictionaries(
        {
            "prompt": st.sampled_from(["a pier", "a quay"]),
            "negative_prompt": st.sampled_from([None, "fog"]),
            "engine": st.sampled_from(["webui", "comfyui"]),
            "cfg_scale": st.sampled_from([None, 5.0, 7.0]),
            "image_seed": st.sampled_from([None, 1, 2]),
            "learning_tags": st.sampled_from([[], ["plan:0123456789ab"], ["keeper"]]),
            "loras": st.sampled_from([None, [{"name": "ink", "weight": 0.5}]]),
            "ratings": st.dictionaries(st.sampled_from(["anna", "ben"]), st.integers(0, 5)),
        }
    ),
    max_size=12,
)


def image_id(number):
    return f"xxh128:{number:032x}"


def table_of(rows, preferences=(), pictures=None):
    """The table of images, each given by some of its columns; `ratings` by rater."""
    full = []
    for number, row in enumerate(rows):
        said = row.get("ratings", {})
        stars = {"ratings": [{"rater": rater, "rating": star} for rater, star in said.items()]}
        stars["rating"] = fmean(said.values()) if said else None
        full.append(
            {"run_id": f"run-{number % 3}", "image_id": image_id(number), "prompt_family": row.get("prompt")}
            | row
            | stars
        )
    columns = image_columns()
    schema = pa.schema([IMAGES_SCHEMA.field(name) for name in columns])
    filled = [{name: row.get(name) for name in columns} for row in full]
    return build_evidence_table(pa.Table.from_pylist(filled, schema=schema), preferences, pictures or {})


def compare(winner, loser, outcome="win"):
    return {"winner": image_id(winner), "loser": image_id(loser), "outcome": outcome}


@given(images)
def test_arrays_hold_what_the_rated_rows_say(rows):
    table = table_of(rows)
    rated = [(number, row) for number, row in enumerate(rows) if row["ratings"]]
    assert table.rated_rows.tolist() == [number for number, _ in rated]
    assert table.stars.tolist() == pytest.approx([fmean(row["ratings"].values()) for _, row in rated])
    assert [table.run_ids[code] for code in table.runs.tolist()] == [f"run-{number % 3}" for number, _ in rated]
    assert table.is_controlled.tolist() == ["plan:0123456789ab" in row["learning_tags"] for _, row in rated]
    said = [(place, rater, stars) for place, (_, row) in enumerate(rated) for rater, stars in row["ratings"].items()]
    raters = [table.raters[code] for code in table.rating_raters.tolist()]
    assert list(zip(table.rating_images.tolist(), raters, table.rating_stars.tolist(), strict=True)) == said
    cfg = table.factors["txt2img.cfg_scale"]
    assert [cfg.values[code] for code in cfg.codes.tolist()] == [row["cfg_scale"] for _, row in rated]


ALIKE = ("prompt", "negative_prompt", "engine", "cfg_scale", "loras")


@given(images)
def test_images_are_alike_exactly_where_all_but_the_seed_is_equal(rows):
    table = table_of(rows)
    for one, first in zip(rows, table.compared_contexts.tolist(), strict=True):
        for other, second in zip(rows, table.compared_contexts.tolist(), strict=True):
            assert (first == second) == all(one[name] == other[name] for name in ALIKE)
    seeds = table.compared_seeds.tolist()
    assert [seed < 0 for seed in seeds] == [row["image_seed"] is None for row in rows]


@given(images)
def test_groups_are_ratings_of_one_rater_of_images_that_are_alike(rows):
    groups = table_of(rows).groups
    for is_controlled in (False, True):
        for with_seeds in (False, True):
            names = (*ALIKE, "image_seed") if with_seeds else ALIKE
            plain = defaultdict(list)
            for row in rows:
                if ("plan:0123456789ab" in row["learning_tags"]) == is_controlled:
                    for rater, stars in row["ratings"].items():
                        plain[rater, *(str(row[name]) for name in names)].append(stars)
            found = groups[is_controlled, with_seeds]
            shown = sorted(zip(found.counts.tolist(), found.means.tolist(), strict=True))
            expected = sorted((len(stars), fmean(stars)) for stars in plain.values())
            np.testing.assert_allclose(np.array(shown), np.array(expected))


def test_without_a_setting_images_that_differ_in_it_alone_are_alike():
    rows = [
        {"prompt": "a pier", "cfg_scale": scale, "sampler": sampler}
        for scale, sampler in ((5.0, "a"), (7.0, "a"), (7.0, "b"))
    ]
    table = table_of(rows)
    first, second, third = table.compared_contexts_without("txt2img.cfg_scale").tolist()
    assert first == second != third
    assert len(set(table.compared_contexts.tolist())) == 3
    codes = hash_codes("txt2img.cfg_scale", table.compared_codes["txt2img.cfg_scale"])
    assert (table.compared_contexts_without("txt2img.cfg_scale") + codes == table.compared_contexts).all()


def test_comparisons_know_the_rows_of_their_images():
    table = table_of([{"ratings": {"anna": 3}}, {}, {}], [compare(2, 1), compare(0, 9)])
    assert table.compared == {image_id(2): 2, image_id(1): 1, image_id(0): 0}
    assert table.preferences == [compare(2, 1), compare(0, 9)]


def test_a_picture_in_several_files_is_compared_as_the_one_that_stands_for_it():
    pictures = {image_id(7): image_id(1), image_id(1): image_id(1)}
    table = table_of([{}, {}], [compare(7, 0)], pictures)
    assert table.compared == {image_id(7): 1, image_id(0): 0}


def test_the_seed_of_an_image_goes_before_that_of_its_variant():
    rows = [{"image_seed": 5, "seed": 1}, {"image_seed": None, "seed": 5}, {"image_seed": 6, "seed": 5}]
    first, second, third = table_of(rows).compared_seeds.tolist()
    assert first == second != third


def test_raters_agree_as_far_as_they_rated_the_same_images():
    both = {"anna": 2, "ben": 2}
    assert table_of([{"ratings": both}, {"ratings": {"anna": 4, "ben": 4}}]).agreement == 1.0
    assert table_of([{"ratings": {"anna": 2}}, {"ratings": {"ben": 2}}]).agreement is None


def test_settings_of_ones_own_are_found_by_their_names():
    table = table_of([{"settings": [{"name": "grain", "value": "2"}]}])
    assert table.find_setting("grain") == "settings.grain"
    with pytest.raises(ConfigError, match="did you mean grain"):
        table.find_setting("grian")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [([[], None, ["plan:1"], ["my plan:1"], ["a", "plan:1"]], [False, False, True, False, True]), ([], [])],
)
def test_a_plan_leaves_its_tag(tags, expected):
    column = pa.chunked_array([pa.array(tags, pa.list_(pa.string()))])
    assert has_plan_tag(column).tolist() == expected
