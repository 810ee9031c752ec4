"""What a condition of a query finds: images by what was asked, what came out, and what was said."""

from datetime import UTC, datetime, timedelta

import pytest

from stablenew.formats.query_language import parse_query
from stablenew.index.asking.columns.conditions import is_opinion
from tests.index.entries import CLOCK, START_MS, image, opinion, run, score, tag, variant

START = datetime.fromtimestamp(START_MS / 1000, UTC)


def note(digest, text, name="n"):
    return (digest, "me", name, CLOCK, text)


def fitting(filled, text, now=START):
    """The numbers of the images that fit a query."""
    filled.cache.refresh("me")
    places = filled.cache.image_places(parse_query(text, now, filled.reader.family_names()), "oldest")
    numbers = {image(number): number for number in range(100)}
    return sorted(numbers[digest] for digest in filled.digests(places))


@pytest.fixture(scope="module")
def runs(filled_once):
    """Images 0 to 6 in four runs, with something of everything."""
    filled_once.put(
        run(
            0, variant(image(0), prompt="an old harbour", model="a", steps=20, width=512, height=768, loras=("ink",)),
            variant(image(1), prompt="boats", negative="blurry", model="B", steps=30, width=8, height=8),
            packs=("Sea\0sea-1",), tags=(), action="moody",
            said=[opinion(image(0), 4), opinion(image(1), 5, rater="you"), opinion(image(1), 2, flag="pick")],
        ),
        run(
            1, variant(image(2), model="c", seed=2**64 - 1, width=768, height=512, embeddings=("fine",)),
            variant(image(3), model="d", pack="Land\0land-1"), engine="webui", status="failed", rating=3,
            said=[opinion("", 3), opinion("", 1, rater="you", flag="reject")], notes=[note("", "hands wrong")],
        ),
        run(
            2, variant(image(4), model="e", made_ms=START_MS - 86_400_000), variant(image(5), model="f"),
            notes=[note(image(5), "keep this"), note(image(4), None)], scores=[score(image(4), "metric.x", 2.5)],
            trash=[(image(4), CLOCK, True)],
        ),
        run(3, variant(image(6)), variant(prompt="no image"), duration_seconds=7.5),
    )  # fmt: skip
    return filled_once


CASES = [
    ("harbour", [0, 2, 3, 4, 5, 6]),
    ("harb*", [0, 2, 3, 4, 5, 6]),
    ('"old harbour"', [0]),
    ("prompt:boats,old", [0, 1]),
    ("negative:blurry", [1]),
    ("-negative:blurry", [0, 2, 3, 4, 5, 6]),
    ("model:a", [0]),
    ("model:b,C", [1, 2]),
    ("model:a,b,c,d,e", [0, 1, 2, 3, 4]),
    ("-model:*", [6]),
    ("steps:20", [0]),
    ("steps:20..30", [0, 1]),
    ("-steps:20", [1, 2, 3, 4, 5, 6]),
    ("seed:18446744073709551615", [2]),
    ("seed:>5", [2]),
    ("lora:ink", [0]),
    ("embedding:FINE", [2]),
    ("pack:sea", [0, 1]),
    ("pack:sea-1", [0, 1]),
    ("engine:webui", [2, 3]),
    ("source:webui", [2, 3]),
    ("source:stablenew", [0, 1, 2, 3, 4, 5, 6]),
    ("status:failed", [2, 3]),
    ("action:moody", [0, 1]),
    ("status:webui,sketch", []),
    ("action:webui,sketch", []),
    ("type:png", [0, 1, 2, 3, 4, 5, 6]),
    ("stage:img2img", []),
    ("orientation:portrait", [0]),
    ("orientation:landscape,square", [1, 2]),
    ("-orientation:portrait,landscape,square", [3, 4, 5, 6]),
    ("rating:4", [0, 1]),
    ("rating:3.5", [1]),
    ("rating:>3.5", [0]),
    ("mine:2", [1]),
    ("-mine:>=1", [2, 3, 4, 5, 6]),
    ("jobrating:3", [2, 3]),
    ("unrated:no", [0, 1]),
    ("unrated:yes", [2, 3, 4, 5, 6]),
    ("-unrated:yes", [0, 1]),
    ("unrated:mine", [2, 3, 4, 5, 6]),
    ("rater:you", [1, 2, 3]),
    ("flag:pick", [1]),
    ("flag:reject", [2, 3]),
    ("noted:yes", [2, 3, 5]),
    ("noted:no", [0, 1, 4, 6]),
    ("note:hands", [2, 3]),
    ("note:keep", [5]),
    ("is:trashed", [4]),
    ("-is:trashed", [0, 1, 2, 3, 5, 6]),
    ("metric.x:>2", [4]),
    ("-metric.x:>2", [0, 1, 2, 3, 5, 6]),
    ("run:run-1", [2, 3]),
    ("run:*-2", [4, 5]),
    ("variants:1", []),
    ("outputs:1", [6]),
    ("duration:>7", [6]),
    ("steps:20 model:a harbour", [0]),
    ("steps:20 model:b", []),
]


@pytest.mark.parametrize(("query", "expected"), CASES, ids=[query for query, _ in CASES])
def test_a_condition_finds_the_images_for_which_it_holds(runs, query, expected):
    assert fitting(runs, query) == expected


def test_an_image_is_found_by_its_digest(runs):
    assert fitting(runs, f"digest:{image(3)[7:20]}") == [3]
    assert fitting(runs, f"-digest:{image(3)}") == [0, 1, 2, 4, 5, 6]


@pytest.mark.parametrize(
    ("field", "minutes", "expected"),
    [
        ("since", 1, [2, 3, 5, 6]), ("before", 1, [0, 1, 4]), ("since", 0, [0, 1, 2, 3, 5, 6]), ("before", 0, [4]),
        ("since", -1440, [0, 1, 2, 3, 4, 5, 6]), ("before", -1440, []), ("before", 3, [0, 1, 2, 3, 4, 5]),
    ],
)  # fmt: skip
def test_an_image_has_the_time_of_its_run_or_its_own_where_it_is_older(runs, field, minutes, expected):
    moment = (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S")
    assert fitting(runs, f"{field}:{moment}") == expected


def test_a_tag_of_an_image_is_its_own_and_one_of_a_run_that_of_all_its_images(filled):
    tags = [tag(image(0), "keeper"), tag(image(1), "label:red"), tag(image(2), "album:Best")]
    filled.put(
        run(0, variant(image(0), image(1), image(2)), tags=tags, learning_tags=("experiment",)),
        run(1, variant(image(3), image(4)), tags=[tag("", "keeper"), tag(image(3), "gone", is_there=False)]),
    )
    assert fitting(filled, "tag:keeper") == [0, 3, 4]
    assert fitting(filled, "tag:gone") == []
    assert fitting(filled, "label:red,keeper") == [1]
    assert fitting(filled, "album:best") == [2]
    assert fitting(filled, "tag:experiment") == [0, 1, 2]
    assert fitting(filled, "-tag:keeper") == [1, 2]


@pytest.mark.parametrize(("query", "expected"), [("lora:a", [1, 2]), ("lora:a,b", [1, 2, 3]), ("-lora:*", [4])])
def test_a_lora_is_that_of_all_images_of_its_variant_and_of_no_other(filled, query, expected):
    variants = [variant(image(1), image(2), loras=("a",)), variant(image(3), loras=("b",)), variant(image(4))]
    filled.put(run(0, variant(), *variants), run(1, variant()))
    assert fitting(filled, query) == expected


def test_whose_ratings_are_ones_own_may_change(runs):
    assert fitting(runs, "mine:5") == []
    runs.cache.refresh("you")
    places = runs.cache.image_places(parse_query("mine:5", None), "oldest")
    assert runs.digests(places) == [image(1)]


CHANGES = {
    "rating:5": {"said": [opinion(image(9), 5)]},
    "mine:5": {"said": [opinion(image(9), 5)]},
    "flag:pick": {"said": [opinion(image(9), flag="pick")]},
    "rater:me": {"said": [opinion(image(9), 1)]},
    "tag:new": {"tags": [tag(image(9), "new")]},
    "noted:yes": {"notes": [note(image(9), "text")]},
    "note:text": {"notes": [note(image(9), "text")]},
    "is:trashed": {"trash": [(image(9), CLOCK, True)]},
    "metric.x:1": {"scores": [score(image(9), "metric.x", 1)]},
    "jobrating:5": {"rating": 5, "said": [opinion("", 5)]},
}


@pytest.mark.parametrize("query", CHANGES)
def test_what_was_asked_before_is_answered_anew_after_it_was_said(filled, query):
    scored = run(8, variant(image(8)), scores=[score(image(8), "metric.x", 9)])
    filled.put(scored, run(9, variant(image(9))))
    assert fitting(filled, query) == []
    filled.put(run(9, variant(image(9)), **CHANGES[query]))
    assert fitting(filled, query) == [9]
    filled.put(run(9, variant(image(9))))
    assert fitting(filled, query) == []


@pytest.mark.parametrize(
    ("query", "expected"), [("steps:20", [8]), ("harbour", [8]), ("model:a", [8]), ("steps:30", [9])]
)
def test_what_was_asked_before_is_answered_anew_after_a_run_has_changed(filled, query, expected):
    filled.put(run(9, variant(image(9), steps=20, model="a")))
    fitting(filled, query)
    filled.put(run(8, variant(image(8), steps=20, model="a")), run(9, variant(image(9), steps=30, prompt="sea")))
    assert fitting(filled, query) == expected


def test_what_no_opinion_changes_is_not_found_out_again(filled):
    filled.put(run(9, variant(image(9), steps=20)))
    conditions = [parse_query(text, None).conditions[0] for text in ("steps:20", "rating:5")]
    kept = {condition: (fitting(filled, ""), filled.cache._conditions.mask(condition))[1] for condition in conditions}
    filled.put(run(9, variant(image(9), steps=20), said=[opinion(image(9), 5)]))
    filled.cache.refresh("me")
    assert [filled.cache._conditions.mask(condition) is kept[condition] for condition in conditions] == [True, False]
    assert [is_opinion(condition) for condition in conditions] == [False, True]
