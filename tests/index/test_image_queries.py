"""What a maker of pictures asks for, image by image."""

import json
import shutil

import pytest

from stablenew import FeedbackManager, JobHistory, RunStore
from stablenew.errors import ConfigError, InvalidQuery
from stablenew.formats.documents.feedback import build_event
from stablenew.recording.image_content import build_image
from stablenew.store.feedback.feedback_log import FeedbackLog
from tests import samples


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture
def history(store):
    history = JobHistory(store.root, rater="me")
    yield history
    history.close()


def add_run(store, run_id, *variants, contents=None, **fields):
    """A sealed run with an image for each dict of settings; returns the digests."""
    writer = store.create(samples.metadata(run_id, **fields))
    digests = []
    for index, settings in enumerate(variants):
        content = contents[index] if contents else f"{run_id} {index}"
        prompt = settings.pop("prompt", "harbour")
        size = {"width": settings.pop("image_width", 8), "height": settings.pop("image_height", 6)}
        image = build_image(samples.png(content.encode(), **size), variant=index, stage="txt2img", number=0)
        writer.write_output(image.data, variant=index, stage="txt2img", number=0, media_type="image/png")
        output = image.reference.model_copy(update={"role": "final"})
        made = settings.pop("made", None)
        given = {"prompt": {"positive": prompt}, "requested": settings, "actual": {}}
        if made is not None:
            given["reconstructed"] = {"tool": "a1111", "reader": "stablenew", "reader_version": "1"}
            given["finished_at"] = made
        writer.append_record(samples.record(run_id, index, [output], **given))
        digests.append(image.reference.digest)
    count = len(variants)
    writer.seal(samples.metadata(run_id, **fields, status="completed", record_count=count, output_count=count))
    return digests


def rate(store, run_id, image, rating, rater="me", **more):
    FeedbackManager(store, rater=rater).record_feedback(run_id, image, rating, **more)


def found(history, query, **options):
    history.refresh(is_patient=True)
    return [row["digest"] for row in history.find_images(query, **options).rows]


def jobs(history, query):
    history.refresh(is_patient=True)
    return [row["run_id"] for row in history.page(query).rows]


def test_five_stars_find_the_images_with_five_stars_and_no_other(store, history):
    three, five, none = add_run(store, "mixed", {"cfg_scale": 5.0}, {"cfg_scale": 7.0}, {"cfg_scale": 9.0})
    rate(store, "mixed", three, 3)
    rate(store, "mixed", five, 5)
    rate(store, "mixed", None, 3)
    assert found(history, "rating:5") == [five]
    assert found(history, "cfg:5") == [three]
    assert found(history, "rating:5 cfg:9") == []
    assert found(history, "unrated:yes") == [none]


def test_the_stars_of_a_job_hide_no_image_s_stars(store, history):
    _, best = add_run(store, "job-three", {}, {})
    rate(store, "job-three", None, 3)
    rate(store, "job-three", best, 5)
    weak, _ = add_run(store, "job-five", {}, {})
    rate(store, "job-five", None, 5)
    rate(store, "job-five", weak, 1)
    assert jobs(history, "rating:>=4") == ["job-three"]
    assert jobs(history, "jobrating:>=4") == ["job-five"]


def test_words_of_different_images_of_a_run_find_nothing_together(store, history):
    prompts = [{"prompt": f"word{number} picture"} for number in range(60)]
    digests = add_run(store, "many", *prompts)
    assert found(history, "word50 word51") == []
    assert found(history, "word50") == [digests[50]]
    assert history.count("word40 word41") == 0


def test_a_rating_is_the_mean_of_what_raters_last_said(store, history):
    (image, _) = add_run(store, "one", {}, {})
    rate(store, "one", image, 1)
    rate(store, "one", image, 5)
    rate(store, "one", image, 4, rater="alice")
    assert found(history, "rating:5") == found(history, "rating:4.5") == [image]
    assert found(history, "rating:4") == found(history, "rating:>4.5") == []
    assert found(history, "mine:5") == [image]
    assert found(history, "mine:4") == []
    assert found(history, "rater:alice") == [image]
    (row,) = history.find_images("rater:alice").rows
    assert (row["rating"], row["rater_count"], row["mine"]) == (4.5, 2, 5)


def test_unrated_by_oneself_is_not_unrated(store, history):
    first, second = add_run(store, "two", {}, {})
    rate(store, "two", first, 4, rater="alice")
    assert set(found(history, "unrated:mine")) == {first, second}
    assert found(history, "unrated:yes") == [second]


def test_a_job_with_one_image_has_one_rating(store, history):
    (image,) = add_run(store, "by-job", {})
    (other,) = add_run(store, "by-image", {})
    rate(store, "by-job", None, 4)
    rate(store, "by-image", other, 2)
    assert found(history, "rating:4") == [image]
    assert jobs(history, "jobrating:2") == ["by-image"]
    rate(store, "by-job", image, 1)
    assert jobs(history, "jobrating:4") == []
    assert found(history, "rating:1") == [image]


def test_an_image_of_several_runs_is_one_image_with_the_opinions_of_all(store, history):
    (first, _) = add_run(store, "first", {"steps": 20}, {"steps": 21}, contents=["same", "a"])
    (again, _) = add_run(store, "second", {"steps": 30}, {"steps": 31}, contents=["same", "b"])
    assert first == again
    rate(store, "first", first, 2)
    rate(store, "second", first, 5)
    rate(store, "second", first, 4, rater="alice")
    assert found(history, "rating:4.5") == [first]
    assert found(history, "steps:20..30 rating:>=4") == [first]
    (row,) = history.find_images("rating:4.5").rows
    assert {place["run_id"] for place in row["places"]} == {"first", "second"}
    assert jobs(history, "rating:4.5") == jobs(history, f"digest:{first[7:17]}")
    assert len(jobs(history, "rating:4.5")) == 2


def test_flags_labels_tags_and_notes_are_those_of_images(store, history):
    first, second = add_run(store, "marked", {}, {})
    rate(store, "marked", first, None, flag="pick", tags=["label:red", "keeper", "album:Best"], notes="hands wrong")
    rate(store, "marked", second, 3, aspects={"hands": 5})
    for query in ("flag:pick", "label:red", "album:best", "album:B*", "tag:keeper", 'note:"hands wrong"', "noted:yes"):
        assert found(history, query) == [first], query
        assert found(history, f"-{query}") == [second], query
    assert found(history, "aspect.hands:>=4") == [second]
    assert found(history, "hands:5") == [second]


def test_size_orientation_type_stage_and_source_are_found(store, history):
    portrait, wide = add_run(
        store,
        "sizes",
        {"image_width": 6, "image_height": 8},
        {"image_width": 9},
        source={"name": "my-pipeline", "engine": "fooocus"},
    )
    assert found(history, "orientation:portrait") == found(history, "width:6") == [portrait]
    assert found(history, "orientation:landscape type:png stage:txt2img source:my-*") == [wide]
    assert len(found(history, "source:fooocus")) == 2


def test_settings_under_other_programs_names_are_found_under_any(store, history):
    digests = add_run(store, "own", *({"guidance_scale": 3.0 + step, "num_inference_steps": 20} for step in range(3)))
    for name in ("guidance_scale", "cfg", "cfg_scale", "settings.guidance_scale"):
        assert found(history, f"{name}:4") == [digests[1]], name
    assert len(found(history, "steps:20")) == 3


def test_settings_that_are_in_no_table_are_found_by_their_own_name(store, history):
    digests = add_run(store, "own", {"s_churn": 0.5}, {"s_churn": "auto"}, {"karras": True}, {"Mixed.Name": 12})
    for query, index in (
        ("settings.s_churn:0.5", 0),
        ("s_churn:<1", 0),
        ("s_churn:auto", 1),
        ("karras:true", 2),
        ("settings.mixed.name:12", 3),
    ):
        assert found(history, query) == [digests[index]], query
    with pytest.raises(InvalidQuery, match=r"did you mean settings\.s_churn"):
        history.parse("s_chrun:1")


def write_scores(store, run_id, name, *scores, at="2026-11-22T00:00:00.000Z"):
    batch = {"kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": run_id, "replica": "here"}
    batch |= {
        "scored_at": at,
        "scores": [{"image_id": image, "metric": name, "value": value} for image, value in scores],
    }
    with (store.root / run_id / "metrics.here.jsonl").open("a") as file:
        file.write(json.dumps(batch) + "\n")


def test_scores_are_searched_and_sorted_by_and_the_newest_counts(store, history):
    first, second, third = add_run(store, "scored", {}, {}, {})
    write_scores(store, "scored", "aesthetic", (first, 6.5), (second, 5.0))
    assert found(history, "metric.aesthetic:>6") == found(history, "aesthetic:>6") == [first]
    assert found(history, "", sort="metric.aesthetic") == [first, second, third]
    assert found(history, "", sort="-metric.aesthetic") == [second, first, third]
    write_scores(store, "scored", "aesthetic", (second, 7.0), at="2026-11-23T00:00:00.000Z")
    write_scores(store, "scored", "aesthetic", (second, 1.0), at="2026-11-21T00:00:00.000Z")
    assert found(history, "", sort="metric.aesthetic") == [second, first, third]


def test_a_name_that_means_two_things_is_asked_about(store, history):
    (image,) = add_run(store, "both", {"sharpness": 3})
    write_scores(store, "both", "sharpness", (image, 0.5))
    history.refresh(is_patient=True)
    with pytest.raises(InvalidQuery, match=r"several meanings: metric\.sharpness, settings\.sharpness"):
        history.parse("sharpness:3")
    assert found(history, "settings.sharpness:3 metric.sharpness:0.5") == [image]


def test_images_cannot_be_sorted_by_what_no_order_is(store, history):
    add_run(store, "any", {})
    for sort in ("size", "metric.beauty"):
        with pytest.raises(ConfigError, match="newest, oldest, best"):
            found(history, "", sort=sort)


def test_a_snapshot_of_images_has_their_shapes_and_stars_and_finds_them_again(store, history):
    portrait, wide = add_run(store, "sizes", {"image_width": 6, "image_height": 8}, {"image_width": 9})
    rate(store, "sizes", wide, 4)
    history.refresh(is_patient=True)
    snapshot = history.image_snapshot(sort="oldest")
    assert snapshot.aspect_ratios.tolist() == [0.75, 1.5]
    assert snapshot.is_rated.tolist() == [False, True]
    assert [row["digest"] for row in history.image_rows(snapshot.images)] == [portrait, wide]
    assert [row["id"] for row in history.image_rows(snapshot.images)] == snapshot.images.tolist()
    assert history.image_rows([10_000]) == []


def test_images_of_a_group_stand_together_where_the_first_of_them_is(store, history):
    prompts = [{"prompt": "boat", "seed": 1}, {"prompt": "hill", "seed": str(2**63 + 1)}]
    prompts.append({"prompt": "boat", "seed": str(2**63)})
    first, hill, boat = add_run(store, "early", *prompts)
    (late,) = add_run(store, "late", {"prompt": "boat", "seed": 1}, created_at="2026-11-23T08:00:00.000Z")
    history.refresh(is_patient=True)

    def grouped(group):
        snapshot = history.image_snapshot(sort="oldest", group=group)
        return [row["digest"] for row in history.image_rows(snapshot.images)], snapshot.group_starts.tolist()

    assert grouped("prompt") == ([first, boat, late, hill], [0, 3])
    assert grouped("seed") == ([first, late, hill, boat], [0, 2, 3])
    assert grouped("job") == grouped("day") == ([first, hill, boat, late], [0, 3])
    with pytest.raises(ConfigError, match="job, prompt, seed, day"):
        history.image_snapshot(group="size")


def test_images_are_sorted_by_any_number_and_the_unrated_first(store, history):
    first, second, third = add_run(
        store, "any", {"steps": 30, "churn": 0.5}, {"steps": 20, "churn": "auto"}, {"steps": 25, "churn": 2}
    )
    rate(store, "any", first, 1)
    assert found(history, "", sort="steps") == found(history, "", sort="num_inference_steps") == [first, third, second]
    assert found(history, "", sort="-steps") == [second, third, first]
    assert found(history, "", sort="settings.churn") == found(history, "", sort="churn") == [third, first, second]
    assert found(history, "", sort="unrated") == [third, second, first]


def test_facets_of_images_count_any_setting_and_what_people_say(store, history):
    first, second, _ = add_run(store, "any", {"churn": 0.5}, {"churn": "auto"}, {"churn": 0.5, "image_height": 8})
    rate(store, "any", first, 4, flag="pick", tags=["label:red", "keeper"])
    rate(store, "any", second, 4, flag="pick")
    history.refresh(is_patient=True)
    facets = history.image_facets(names=["settings.churn", "flag", "label", "orientation", "rater", "tag"])
    counts = {name: dict(values) for name, values in facets.items()}
    assert counts["settings.churn"] == {0.5: 2, "auto": 1}
    assert counts["flag"] == {"pick": 2}
    assert counts["label"] == {"red": 1}
    assert counts["tag"] == {"keeper": 1, "label:red": 1}
    assert counts["orientation"] == {"landscape": 2, "square": 1}
    assert counts["rater"] == {"me": 2}
    assert dict(history.image_facets("churn:auto", names=["flag", "settings.churn"])["settings.churn"]) == {
        0.5: 2,
        "auto": 1,
    }
    with pytest.raises(ConfigError, match=r"settings\.churn"):
        history.image_facets(names=["settings.eta"])


def test_the_last_word_of_a_rater_counts_in_whichever_run_it_was_said(store, history):
    (first, _) = add_run(store, "first", {}, {}, contents=["same", "a"])
    add_run(store, "second", {}, {}, contents=["same", "b"])
    rate(store, "first", first, 4, flag="pick")
    rate(store, "second", first, 2, flag="reject")
    assert found(history, "flag:reject") == found(history, "mine:2") == [first]
    assert found(history, "flag:pick") == found(history, "mine:4") == []
    assert dict(history.image_facets(names=["flag"])["flag"]) == {"reject": 1}
    (row,) = history.find_images("rater:me").rows
    assert (row["flag"], row["flags"], row["mine"]) == ("reject", ["reject"], 2)


def test_a_rating_that_is_taken_back_in_another_run_is_gone(store, history):
    (first, _) = add_run(store, "first", {}, {}, contents=["same", "a"])
    add_run(store, "second", {}, {}, contents=["same", "b"])
    rate(store, "first", first, 4, flag="pick")
    history.refresh(is_patient=True)
    assert found(history, "mine:4 flag:pick") == [first]
    events = [{"op": "rate", "image_id": first, "rating": None}, {"op": "flag", "image_id": first, "flag": None}]
    say(store, "second", *events)
    assert found(history, "mine:4") == found(history, "flag:pick") == []
    assert set(found(history, "unrated:yes")) >= {first}


def say(store, run_id, *events):
    """Append events of feedback as any program may."""
    log = FeedbackLog(store.root / run_id)
    clock = "2026-12-2{}T00:00:00.000Z-0000"
    built = [build_event(clock=clock.format(n), replica="here", rater="me", **one) for n, one in enumerate(events)]
    with log.writing() as reading:
        log.append(reading, built)


def test_an_image_in_the_trash_is_found_as_such(store, history):
    first, second = add_run(store, "any", {}, {})
    say(store, "any", {"op": "trash", "image_id": first, "present": True})
    assert found(history, "is:trashed") == [first]
    assert found(history, "-is:trashed") == [second]
    (row,) = history.find_images("is:trashed").rows
    assert row["is_trashed"]


def test_images_that_were_made_before_their_run_are_listed_by_their_own_time(store, history):
    old = {"made": "2025-05-05T10:00:00.000Z"}
    (made, _) = add_run(store, "imported", old, {"made": "2027-01-01T00:00:00.000Z"})
    (recorded,) = add_run(store, "recorded", {}, created_at="2026-11-20T08:00:00.000Z")
    assert found(history, "", sort="oldest")[:2] == [made, recorded]
    assert found(history, "")[1:] == [recorded, made]
    assert found(history, "before:2026-01-01") == [made]
    assert recorded not in found(history, "since:2026-12-31")
    history.refresh(is_patient=True)
    first = history.find_images(limit=1)
    assert [row["created_at"] for row in history.find_images(after=first.next_cursor).rows] == [
        "2026-11-20T08:00:00.000Z",
        "2025-05-05T10:00:00.000Z",
    ]


def test_a_query_still_answers_when_the_newest_images_were_deleted(store, history):
    (kept,) = add_run(store, "kept", {})
    add_run(store, "later", {}, {}, {})
    assert len(found(history, "-flag:reject")) == 4
    shutil.rmtree(store.root / "later")
    assert found(history, "-flag:reject -rating:3") == [kept]
    assert found(history, "", sort="best") == [kept]


def test_a_rating_changes_no_row_but_those_of_opinions(store, history):
    (image, _) = add_run(store, "kept", {}, {})
    history.refresh(is_patient=True)
    before = history.columns.table.rows.count
    rate(store, "kept", image, 4)
    assert found(history, "rating:4") == [image]
    assert history.columns.table.rows.count == before


def test_own_stars_are_found_beside_those_of_images_whose_records_are_lost(store, history):
    (kept,) = add_run(store, "kept", {})
    (lost,) = add_run(store, "lost", {}, created_at="2026-11-29T08:00:00.000Z")
    rate(store, "kept", kept, 5)
    rate(store, "lost", lost, 4, flag="pick")
    say(store, "lost", {"op": "rate", "image_id": lost, "rating": None})
    records = store.root / "lost" / "records.jsonl"
    records.chmod(0o644)
    records.write_bytes(b"")
    assert found(history, "mine:5") == [kept]
    assert found(history, "unrated:mine") == found(history, "mine:4") == []


@pytest.mark.parametrize("sort", ["newest", "oldest", "best", "steps"])
def test_the_first_images_of_a_snapshot_come_with_the_number_of_all(store, history, sort):
    digests = add_run(store, "any", *({"steps": 20 + number % 3} for number in range(7)))
    rate(store, "any", digests[4], 5)
    history.refresh(is_patient=True)
    whole = history.image_snapshot(sort=sort)
    history.columns.forget_queries()
    first = history.image_snapshot(sort=sort, limit=3)
    assert (first.image_count, whole.image_count) == (7, 7)
    assert first.images.tolist() == whole.images.tolist()[:3]
    assert first.is_rated.tolist() == whole.is_rated.tolist()[:3]
