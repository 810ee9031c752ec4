"""Facets, beside counters that go through every image and job; and what they remember between refreshes."""

from collections import Counter

import pytest

from stablenew.formats.query_language import parse_query
from stablenew.index.asking.columns.facets import FACETS, IMAGE_FACETS, OTHER_FACETS
from stablenew.index.asking.orders import IMAGES, JOBS
from tests.index.entries import CLOCK, image, opinion, run, tag, variant

EVERYTHING = parse_query("", None)


def counted(filled, kind, name, text=""):
    filled.cache.refresh("me")
    (found,) = filled.cache.facets(kind, parse_query(text, None, filled.reader.family_names()), [name]).values()
    return [tuple(value) for value in found]


@pytest.mark.parametrize("kind", [IMAGES, JOBS])
@pytest.mark.parametrize("text", ["", "steps:20", "rating:>=3", "-cfg:2"])
@pytest.mark.parametrize(("name", "column"), [("steps", "steps"), ("cfg", "cfg_scale")])
def test_a_value_counts_each_image_or_job_once_that_has_it_anywhere(world, kind, text, name, column):
    query = parse_query(text, None).without(name)
    rows, mask = world.table.rows, world.cache._matching(query.conditions)
    units = rows["run" if kind == JOBS else "image"].tolist()
    values = rows[column].tolist()
    pairs = {(units[row], values[row]) for row in mask.nonzero()[0].tolist() if values[row] == values[row]}
    expected = Counter(value for _, value in pairs)
    found = counted(world, kind, name, text)
    assert dict(found) == {round(value, 5): count for value, count in expected.items()}
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("name", [*IMAGE_FACETS, *OTHER_FACETS, "settings.s_churn"])
@pytest.mark.parametrize("kind", [IMAGES, JOBS])
def test_facets_that_are_counted_together_are_those_that_are_counted_alone(world, kind, name):
    names = [*IMAGE_FACETS, *OTHER_FACETS, "settings.s_churn"]
    query = parse_query("steps:20,25", None)
    assert world.cache.facets(kind, query, names)[name] == world.cache.count_facets(kind, query, [name])[name]


def test_the_usual_facets_are_counted_where_none_are_named(world):
    assert tuple(world.cache.facets(JOBS, EVERYTHING)) == FACETS
    assert tuple(world.cache.facets(IMAGES, EVERYTHING)) == IMAGE_FACETS


@pytest.fixture
def several(filled):
    """Two jobs with four images, and something of everything that can be counted."""
    tags = [tag(image(1), "keeper"), tag(image(1), "label:red"), tag(image(2), "album:Best"), tag(image(3), "keeper")]
    said = [opinion(image(1), 5, flag="pick"), opinion(image(1), 4, rater="you"), opinion(image(2), 2)]
    filled.put(
        run(
            1, variant(image(1), model="A", loras=("ink", "wax"), image_width=8, image_height=8),
            variant(image(2), model="a", others={"s_churn": 2.0}, image_width=8, image_height=9), variant(),
            tags=tags[:3], said=said, packs=("Sea\0sea-1", "Land\0land"), action="moody",
        ),
        run(
            2, variant(image(3), image(1), model="b", loras=("ink",), embeddings=("fine",), others={"s_churn": "auto"}),
            tags=[tags[3], tag("", "whole")], engine=None, source="a1111", status="failed", learning_tags=("plan",),
            said=[opinion("", flag="reject")],
        ),
    )  # fmt: skip
    return filled


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (IMAGES, "model", [("A", 1), ("a", 1), ("b", 2)]),
        (JOBS, "model", [("A", 1), ("a", 1), ("b", 1)]),
        (IMAGES, "lora", [("ink", 2), ("wax", 1)]),
        (JOBS, "lora", [("ink", 2), ("wax", 1)]),
        (IMAGES, "embedding", [("fine", 2)]),
        (IMAGES, "pack", [("Land", 2), ("Sea", 2)]),
        (JOBS, "pack", [("Land", 1), ("Sea", 1)]),
        (IMAGES, "tag", [("plan", 2), ("whole", 2), ("keeper", 2), ("album:Best", 1), ("label:red", 1)]),
        (IMAGES, "label", [("red", 1)]),
        (IMAGES, "album", [("Best", 1)]),
        (JOBS, "album", [("Best", 1)]),
        (IMAGES, "rating", [(2, 1), (5, 1)]),
        (JOBS, "rating", [(5, 2), (2, 1)]),
        (IMAGES, "flag", [("reject", 2), ("pick", 1)]),
        (IMAGES, "rater", [("me", 3), ("you", 1)]),
        (IMAGES, "status", [("completed", 2), ("failed", 2)]),
        (JOBS, "engine", [("sketch", 1)]),
        (JOBS, "source", [("StableNew", 1), ("a1111", 1)]),
        (IMAGES, "action", [("moody", 2)]),
        (IMAGES, "type", [("png", 3)]),
        (IMAGES, "orientation", [("portrait", 1), ("square", 1)]),
        (IMAGES, "settings.s_churn", [("auto", 2), (2.0, 1)]),
        (IMAGES, "steps", []),
    ],
)
def test_a_facet_has_the_values_that_people_see_the_most_frequent_first(several, kind, name, expected):
    found = counted(several, kind, name)
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert [count for _, count in found] == sorted((count for _, count in found), reverse=True)


def test_a_condition_on_a_facet_does_not_apply_to_its_own_counts(several):
    assert counted(several, IMAGES, "lora", "lora:wax") == counted(several, IMAGES, "lora")
    assert counted(several, IMAGES, "model", "lora:wax model:nothing") == [("A", 1)]
    assert counted(several, IMAGES, "embedding", "lora:wax") == [], "one place of the image has to have both"


CHANGES = {
    "rating": {"said": [opinion(image(3), 1)]},
    "flag": {"said": [opinion(image(3), flag="pick")]},
    "rater": {"said": [opinion(image(3), 1, rater="them")]},
    "tag": {"tags": [tag(image(3), "new")]},
    "label": {"tags": [tag(image(3), "label:blue")]},
    "album": {"tags": [tag(image(3), "album:New")]},
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", [IMAGES, JOBS])
def test_counts_follow_what_is_said_later(filled, kind, name):
    filled.put(run(1, variant(image(3))))
    assert counted(filled, kind, name) == []
    filled.put(run(1, variant(image(3)), **CHANGES[name]))
    assert [count for _, count in counted(filled, kind, name)] == [1]
    filled.put(run(1, variant(image(3)), tags=[tag(image(3), "new", is_there=False, clock=CLOCK + "x")]))
    assert counted(filled, kind, name) == []


def test_counts_follow_runs_that_come_change_and_go(filled):
    filled.put(run(1, variant(image(1), steps=20)), run(2, variant(image(2), steps=20)))
    assert counted(filled, IMAGES, "steps") == [(20, 2)]
    filled.put(run(2, variant(image(2), steps=30)), run(3, variant(image(1), steps=30)))
    assert counted(filled, IMAGES, "steps") == [(30, 2), (20, 1)]
    filled.remove(1)
    assert counted(filled, IMAGES, "steps") == [(30, 2)]
    assert counted(filled, JOBS, "steps") == [(30, 2)]
