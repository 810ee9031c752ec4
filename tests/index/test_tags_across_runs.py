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

words = st.lists(
    st.tuples(
        st.sampled_from(RUNS),
        st.fixed_dictionaries(
            {
                "clock": st.integers(0, 3).map("2026-11-22T08:00:0{}.000Z-0000".format),
                "rater": st.sampled_from(("me", "bob")),
                "tag": st.sampled_from(TAGS),
                "present": st.booleans(),
            }
        ),
    ),
    max_size=8,
)


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
    event = build_event(op="tag", replica="other", image_id=image, **word)
    with (store.root / run_id / "feedback.other.jsonl").open("ab") as file:
        file.write(encode_json(event.to_dict()) + b"\n")


def expected_tags(store, image):
    """The tags by the specification, from nothing but the events."""
    events = [event for run_id in RUNS for event in FeedbackLog(store.root / run_id).read().events]
    opinions = fold_opinions(sorted(events, key=lambda event: (event.clock, event.id)))
    return sorted({tag for (about, _), said in opinions.items() if about == image for tag in said.get("tags", ())})


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
    expected = expected_tags(store, image)
    ((row,)) = history.find_images().rows
    assert row["tags"] == expected
    for tag in TAGS:
        assert history.count_images(f"tag:{tag}") == (tag in expected)
    assert [facet[:2] for facet in sorted(history.image_facets(names=["tag"])["tag"])] == [(tag, 1) for tag in expected]


@given(words, st.permutations(RUNS), st.booleans())
def test_the_last_word_about_a_tag_counts_in_whichever_run_it_was_said(world, said, order, is_told_at_once):
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
