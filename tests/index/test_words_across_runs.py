"""What is said of one image in several runs: the fold over the events of all of them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew import JobHistory, RunStore
from stablenew.formats.documents.feedback import build_event
from stablenew.formats.documents.feedback_fold import fold_opinions
from stablenew.formats.strict_json import encode_json
from stablenew.index.reconciler import Reconciler
from stablenew.index.run_index import RunIndex
from stablenew.recording.image_content import build_image
from stablenew.store.feedback.feedback_log import FeedbackLog
from tests import samples

RUNS = ("first", "second", "third")
TAGS = ("keeper", "print")

NOTES = ("hands", "light")
WHO = {
    "clock": st.integers(0, 3).map("2026-11-22T08:00:0{}.000Z-0000".format),
    "rater": st.sampled_from(("me", "bob")),
}

one_word = st.one_of(
    st.fixed_dictionaries({**WHO, "op": st.just("tag"), "tag": st.sampled_from(TAGS), "present": st.booleans()}),
    st.fixed_dictionaries(
        {
            **WHO,
            "op": st.just("note"),
            "note_id": st.sampled_from(("main", "second")),
            "text": st.sampled_from((*NOTES, None)),
        }
    ),
    st.fixed_dictionaries(
        {**WHO, "op": st.just("rate"), "aspect": st.just("hands"), "rating": st.sampled_from((1, 2, 5, None))}
    ),
)
words = st.lists(st.tuples(st.sampled_from(RUNS), one_word), max_size=8)


def add_run(store, run_id):
    """A sealed run with an image that all have."""
    writer = store.create(samples.metadata(run_id))
    image = build_image(samples.png(b"the same"), variant=0, stage="txt2img", number=0)
    writer.write_output(image.data, variant=0, stage="txt2img", number=0, media_type="image/png")
    writer.append_record(samples.record(run_id, 0, [image.reference.model_copy(update={"role": "final"})]))
    writer.seal(samples.metadata(run_id, status="completed", record_count=1, output_count=1))
    return image.reference.digest


def say(store, image, run_id, word):
    """An event in the log of a run, as another program would leave it."""
    event = build_event(replica="other", image_id=image, **word)
    with (store.root / run_id / "feedback.other.jsonl").open("ab") as file:
        file.write(encode_json(event.to_dict()) + b"\n")


def expected_opinions(store, image):
    """What each rater thinks of the image by the specification, from nothing but the events."""
    events = [event for run_id in RUNS for event in FeedbackLog(store.root / run_id).read().events]
    opinions = fold_opinions(
        sorted({event.id: event for event in events}.values(), key=lambda one: (one.clock, one.id))
    )
    return [said for (about, _), said in opinions.items() if about == image]


def forget(store, run_id):
    """Remove everything that was said in a run."""
    for path in (store.root / run_id).glob("feedback*"):
        path.unlink()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store whose runs hold one image, the image, a reconciler of its index, and its history."""
    store = RunStore(tmp_path_factory.mktemp("tags") / "runs")
    (image,) = {add_run(store, run_id) for run_id in RUNS}
    with (
        contextlib.closing(JobHistory(store.root)) as history,
        contextlib.closing(RunIndex(history.keeper.path)) as index,
    ):
        yield store, image, Reconciler(index, store.root), history


def check(store, image, history):
    said = expected_opinions(store, image)
    tags = sorted({tag for opinion in said for tag in opinion.get("tags", ())})
    notes = [note["text"] for opinion in said for note in opinion.get("notes", ())]
    stars = [opinion["aspects"]["hands"] for opinion in said if "aspects" in opinion]
    ((row,)) = history.find_images().rows
    assert row["tags"] == tags
    assert row["note_count"] == len(notes)
    for tag in TAGS:
        assert history.count_images(f"tag:{tag}") == (tag in tags)
    for note in NOTES:
        assert history.count_images(f'note:"{note}"') == (note in notes)
    assert history.count_images("noted:yes") == bool(notes)
    mean = sum(stars) / len(stars) if stars else None
    for least in (1, 2, 3, 5):
        assert history.count_images(f"aspect.hands:>={least}") == (mean is not None and mean >= least)
    assert [facet[:2] for facet in sorted(history.image_facets(names=["tag"])["tag"])] == [(tag, 1) for tag in tags]


@given(words, st.permutations(RUNS), st.booleans())
def test_the_last_word_counts_in_whichever_run_it_was_said(world, said, order, is_told_at_once):
    store, image, reconciler, history = world
    for run_id in RUNS:
        forget(store, run_id)
    reconciler.update(RUNS)
    for run_id, word in said:
        say(store, image, run_id, word)
        if is_told_at_once:
            reconciler.update([run_id])
            check(store, image, history)
    reconciler.update(order)
    check(store, image, history)
    forget(store, order[0])
    reconciler.update(order[:1])
    check(store, image, history)
