"""An image that is in several runs, or in several files with the same pixels, is one observation."""

import numpy as np
import pytest

from stablenew import DatasetBuilder, FeedbackManager, RunStore
from stablenew.formats.documents.feedback_input import ComparisonInput
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.best_settings import build_observations
from stablenew.learning.evidence.evidence import build_evidence
from stablenew.learning.evidence.evidence_table import read_evidence_table, read_images_for_evidence
from stablenew.recording.image_content import build_image
from tests import samples

PROMPTS = 12


def add_run(store, run_id, images):
    """A sealed run; `images` are (content, cfg scale). Returns their digests."""
    writer = store.create(samples.metadata(run_id))
    digests = []
    for number, (content, scale) in enumerate(images):
        image = build_image(samples.png(content.encode()), variant=number, stage="txt2img", number=0)
        writer.write_output(image.data, variant=number, stage="txt2img", number=0, media_type="image/png")
        fields = {
            "prompt": {"positive": f"prompt {number}"},
            "requested": {"cfg_scale": scale, "steps": 20, "sampler": "Euler a", "seed": 7},
        }
        output = image.reference.model_copy(update={"role": "final"})
        writer.append_record(samples.record(run_id, number, [output], **fields))
        digests.append(output.digest)
    count = len(images)
    writer.seal(samples.metadata(run_id, status="completed", record_count=count, output_count=count))
    return digests


@pytest.fixture
def rated(tmp_path):
    """Rated images with two settings, and those of the better one; they were recorded, and nothing else."""
    store = RunStore(tmp_path / "runs")
    manager = FeedbackManager(store, rater="anna")
    low = add_run(store, "a-low", [(f"low {number}", 5.0) for number in range(PROMPTS)])
    high = add_run(store, "b-high", [(f"high {number}", 9.0) for number in range(PROMPTS)])
    for number in range(PROMPTS):
        manager.record_feedback("a-low", low[number], 2 + number % 2)
        manager.record_feedback("b-high", high[number], 4)
    return store, high


def build(store, folder, copies=()):
    DatasetBuilder(store).build_learning_dataset(folder)
    return Dataset(folder, copies=copies)


def facts(table):
    """What evidence and surface are made of."""
    observed = build_observations(table)
    (value,) = (value for value in build_evidence(table, "cfg_scale").values if value.value == 9.0)
    comparison = build_evidence(table, "cfg_scale").comparisons[0]
    return {
        "images": len(table.stars),
        "ratings": sorted(table.rating_stars.tolist()),
        "observed": sorted(observed.stars.tolist()),
        "points": len(observed.points),
        "high": (value.image_count, value.mean),
        "pairs": comparison.difference,
    }


def test_an_image_that_was_recorded_and_imported_counts_once(rated, tmp_path):
    store, high = rated
    before = facts(read_evidence_table(build(store, tmp_path / "before")))
    add_run(store, "z-imported", [(f"high {number}", 9.0) for number in range(PROMPTS)])
    assert facts(read_evidence_table(build(store, tmp_path / "after"))) == before
    FeedbackManager(store, rater="anna").record_feedback("z-imported", high[0], 5)
    after = read_evidence_table(build(store, tmp_path / "later"))
    assert sorted(after.rating_stars.tolist()) == sorted([*before["ratings"][:-1], 5.0]), "the later word counts"


def test_files_with_the_same_pixels_count_once_and_their_stars_together(rated, tmp_path):
    store, high = rated
    before = facts(read_evidence_table(build(store, tmp_path / "before")))
    others = add_run(store, "z-stripped", [(f"stripped {number}", 9.0) for number in range(PROMPTS)])
    manager = FeedbackManager(store, rater="anna")
    manager.record_feedback("z-stripped", others[0], 5)
    manager.record_feedback("b-high", high[1], 1)
    manager.record_feedback("z-stripped", others[1], 4)
    copies = list(zip(high, others, strict=True))
    dataset = build(store, tmp_path / "after", copies)
    table = read_evidence_table(dataset)
    assert len(table.stars) == before["images"]
    assert sorted(table.rating_stars.tolist()) == sorted([*before["ratings"][:-1], 5.0])
    assert len(read_evidence_table(build(store, tmp_path / "apart")).stars) == before["images"] + 2
    assert len(read_images_for_evidence(dataset, most_others=100).others) == 0, "they are rated, in another file"
    assert dataset.digest != build(store, tmp_path / "apart").digest


def test_comparisons_of_copies_and_across_runs_are_those_of_the_one_picture(rated, tmp_path):
    store, high = rated
    imported = add_run(store, "z-imported", [(f"high {number}", 9.0) for number in range(PROMPTS)])
    low = [output.digest for _, output in store.open("a-low").iter_outputs()]
    manager = FeedbackManager(store, rater="anna")
    runs = {"winner_run_id": "z-imported", "loser_run_id": "a-low"}
    manager.record_comparisons([ComparisonInput.build(**runs, winner=imported[0], loser=low[0], outcome="win")])
    table = read_evidence_table(build(store, tmp_path / "ds"))
    observed = build_observations(table)
    assert len(observed.winners) == 1
    images = [table.compared[digest] for digest in (high[0], low[0])]
    assert [*observed.winners, *observed.losers] == images
    assert np.unique(table.compared_prompts).size == PROMPTS
