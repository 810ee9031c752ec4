"""Images as rows: the facts of the place that is asked for, and what is said of the picture in all of its places."""

import pytest

from stablenew.index.asking.comparisons import read_comparisons
from stablenew.index.asking.image_rows import MAX_PLACES, read_images, varying_settings
from stablenew.index.asking.job_rows import final_outputs, output_at, read_jobs
from stablenew.index.reading.run_entry import ComparisonEntry
from tests.index.entries import CLOCK, image, opinion, run, score, tag, variant

LATER = CLOCK.replace("2026", "2027")


def keys_of(filled):
    return filled.reader.fetch("SELECT run, position, number FROM place ORDER BY run, position, number")


def rows(filled, rater="me"):
    return read_images(filled.reader, keys_of(filled), rater)


def test_a_row_has_the_facts_of_its_place(filled):
    given = {"steps": 20, "model": "dream", "cfg_scale": 7.5, "seed": 2**64 - 1, "width": 512, "height": 768}
    filled.put(run(1, variant(image(1), number=3, prompt="a quay", negative="fog", others={"s_churn": 0.5}, **given)))
    (row,) = rows(filled)
    assert row["settings"] == given | {"seed": str(2**64 - 1), "s_churn": 0.5, "width": 512, "height": 768}
    assert (row["digest"], row["run_id"], row["name"]) == (image(1), "run-1", "3/0")
    assert (row["prompt"], row["negative"], row["variant"], row["output"]) == ("a quay", "fog", 3, 0)
    assert (row["media_type"], row["stage"], row["path"]) == ("image/png", "txt2img", None)
    assert row["created_at"] == "2027-01-15T08:01:00.000Z"
    assert (row["rating"], row["rater_count"], row["is_trashed"], row["tags"]) == (None, 0, False, [])


@pytest.mark.parametrize(("own", "asked", "shown"), [(640, 512, 640), (512, 512, 512), (None, 512, None)])
def test_an_image_is_shown_with_its_own_size_and_without_one_where_that_is_not_known(filled, own, asked, shown):
    filled.put(run(1, variant(image(1), width=asked, image_width=own)))
    assert rows(filled)[0]["width"] == shown


def test_what_raters_last_said_is_folded(filled):
    said = [
        opinion(image(1), 2, flag="pick"), opinion(image(1), 5, rater="you", flag="reject"),
        opinion(image(1), rater="gone"),
    ]  # fmt: skip
    tags = [tag(image(1), "label:red"), tag(image(1), "keeper"), tag(image(1), "off", is_there=False)]
    scores = [score(image(1), "metric.x", 1.5), score(image(1), "aspect.hands", 3, source="me")]
    filled.put(
        run(1, variant(image(1)), said=said, tags=tags, scores=scores, notes=[(image(1), "me", "n", CLOCK, "hm")]),
        run(2, variant(image(1)), said=[opinion(image(1), 4, at=LATER)]),
    )
    mine, theirs = rows(filled)[0], rows(filled, "you")[0]
    assert (mine["mine"], mine["flag"], theirs["mine"], theirs["flag"]) == (4, "pick", 5, "reject")
    assert mine["ratings"] == {"me": 4, "you": 5}
    assert (mine["rating"], mine["rater_count"], mine["flags"]) == (4.5, 2, ["pick", "reject"])
    assert (mine["tags"], mine["labels"], mine["note_count"]) == (["keeper", "label:red"], ["red"], 1)
    assert mine["metrics"] == {"x": 1.5}


def test_a_row_names_all_places_but_not_more_than_anybody_reads(filled):
    filled.put(*(run(number, variant(image(1))) for number in range(25)))
    first = rows(filled)[0]
    assert len(first["places"]) == MAX_PLACES
    assert [place["run_id"] for place in first["places"][:2]] == ["run-0", "run-1"]


def test_copies_are_one_picture_with_the_places_and_opinions_of_both(filled):
    filled.put(
        run(1, variant(image(1)), tags=[tag(image(1), "copy:a"), tag(image(2), "copy:a")]),
        run(2, variant(image(2)), said=[opinion(image(2), 5)]),
    )
    filled.index.link_pictures()
    first, second = rows(filled)
    assert first["id"] == second["id"]
    assert (first["digest"], second["digest"]) == (image(1), image(2))
    assert first["rating"] == second["rating"] == 5
    assert [place["digest"] for place in first["places"]] == [image(1), image(2)]


def test_images_that_are_gone_are_left_out(filled):
    filled.put(run(1, variant(image(1))), run(2, variant(image(2))))
    keys = keys_of(filled)
    filled.remove(1)
    assert [row["digest"] for row in read_images(filled.reader, keys, "me")] == [image(2)]
    assert read_images(filled.reader, [], "me") == []


def test_the_settings_in_which_images_differ_are_named_but_for_seed_and_size(filled):
    given = [{"steps": 20, "seed": 1, "width": 8}, {"steps": 20, "seed": 2, "width": 9}, {"steps": 20, "eta": 0.5}]
    filled.put(run(1, *(variant(image(number), model="a", **own) for number, own in enumerate(given))))
    found = rows(filled)
    assert varying_settings(found[:2]) == []
    assert varying_settings(found) == ["eta"]
    assert varying_settings([]) == []


# Jobs


def test_a_job_has_what_its_run_and_first_variant_say(filled):
    filled.put(
        run(
            1, variant(image(1), model="a", prompt="a quay", seed=5), variant(image(2), model="b", seed=6), rating=4,
            packs=("Sea\0s", "Air\0a"), learning_tags=("plan",), tags=[tag("", "mine"), tag(image(1), "own")],
            action="moody", duration_seconds=1.5, plan_size=9,
        )
    )  # fmt: skip
    number = filled.reader.id_of("run-1")
    (job,) = read_jobs(filled.reader, [number, 12345])
    assert (job["model"], job["prompt"], job["seed"], job["seed_count"]) == ("a", "a quay", 5, 2)
    assert (job["packs"], job["tags"]) == (["Air", "Sea"], ["mine", "own", "plan"])
    assert (job["rating"], job["record_count"], job["output_count"], job["plan_size"]) == (4, 2, 2, 9)
    assert [output["digest"] for output in job["outputs"]] == [image(1), image(2)]
    assert (job["status"], job["state"], job["one_click_action"]) == ("completed", "sealed", "moody")
    assert final_outputs(filled.reader, number) == [], "they lie elsewhere"
    assert output_at(filled.reader, number, 1, 0)["digest"] == image(2)
    assert output_at(filled.reader, number, 2, 0) is None


def test_a_job_without_records_has_none_of_their_facts(filled):
    filled.put(run(1))
    (job,) = read_jobs(filled.reader, [filled.reader.id_of("run-1")])
    assert (job["model"], job["prompt"], job["record_count"], job["outputs"]) == (None, None, 0, [])


# Comparisons


def compared(winner, loser, clock=CLOCK, asked="duel: model", **fields):
    given = {"rater": "me", "outcome": "win", "shown": "left", "repeat": 0}
    event = image(hash((winner, loser, clock)) % 1000)
    return ComparisonEntry(
        event=event, winner=image(winner), loser=image(loser), clock=clock, asked=asked, **given | fields
    )


def test_comparisons_come_oldest_first_by_what_was_asked(filled):
    words = [compared(2, 1, LATER), compared(1, 2), compared(1, 3, asked=None, outcome="tie", shown=None)]
    entry = run(1, variant(image(1), image(2), image(3)))
    filled.put(entry._replace(opinions=entry.opinions._replace(comparisons=tuple(words))))
    ids = {number: filled.id_of(image(number)) for number in (1, 2, 3)}
    found = read_comparisons(filled.reader, "duel: model")
    assert [(row.winner, row.loser) for row in found] == [(ids[1], ids[2]), (ids[2], ids[1])]
    assert (found[0].run_id, found[0].rater, found[0].outcome, found[0].shown) == ("run-1", "me", "win", "left")
    assert len(read_comparisons(filled.reader)) == 3
    assert read_comparisons(filled.reader, "duel: steps") == []
    (tie,) = [row for row in read_comparisons(filled.reader) if row.outcome == "tie"]
    assert (tie.shown, tie.asked) == (None, None)
