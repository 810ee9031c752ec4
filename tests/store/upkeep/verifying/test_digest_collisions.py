"""Two runs that have one digest for different bytes: nobody takes one image for the other.

No two files of equal XXH3-128 are at hand, so records are written that say so.
"""

import hashlib
import json
import shutil

import pytest

from stablenew import FeedbackManager, JobHistory
from stablenew.cli.main import _run
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.recording.image_content import build_image
from stablenew.store.run_folder import RECORDS
from stablenew.store.upkeep.verifying.digest_collisions import DigestCollisions
from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
from tests.samples import metadata, png, record

OTHER = "f" * 64


def add_run(store, run_id, **said):
    """A run of one image, the same in all runs, whose record says something else of it."""
    data = png(b"the same in all runs")
    writer = store.create(metadata(run_id))
    image = build_image(data, variant=0, stage="txt2img", number=0)
    writer.write_output(data, variant=0, stage="txt2img", number=0, media_type="image/png")
    output = {**image.reference.to_dict(), "sha256": hashlib.sha256(data).hexdigest(), **said}
    writer.append_record(record(run_id, 0, [OutputReference.model_validate(output)]))
    return writer.seal(metadata(run_id, status="completed", record_count=1, output_count=1))


@pytest.fixture
def runs(store):
    """Three runs of one digest: two of the same bytes, and one of other bytes."""
    return add_run(store, "run-a"), add_run(store, "run-b"), add_run(store, "run-c", sha256=OTHER)


def digest_of(run):
    ((_, output),) = run.iter_outputs()
    return output.digest


def test_a_whole_store_is_searched_and_the_later_output_named(store, runs, capsys):
    assert len({digest_of(run) for run in runs}) == 1
    _run(["--runs-dir", str(store.root), "--json", "verify"])
    reports = json.loads(capsys.readouterr().out)["reports"]
    found = [finding for report in reports for finding in report["findings"] if finding["code"] == "digest-collision"]
    ((_, output),) = runs[2].iter_outputs()
    assert [(finding["path"], finding["severity"]) for finding in found] == [(f"run-c/{output.path}", "error")]
    assert "run run-a" in found[0]["message"]


def find_collisions(store):
    collisions = DigestCollisions()
    for run in store.iter_runs():
        collisions.add(RunVerifier(run).verify())
    return collisions.find(store).findings


def test_equal_bytes_in_many_runs_are_no_collision(store):
    for name in ("run-a", "run-b"):
        add_run(store, name)
    assert find_collisions(store) == ()


def test_digests_that_only_begin_alike_are_no_collision(store):
    digest = digest_of(add_run(store, "run-a"))
    path = add_run(store, "run-b", sha256=OTHER).path / RECORDS
    path.write_text(path.read_text().replace(digest, digest[:-1] + ("0" if digest[-1] != "0" else "1")))
    assert find_collisions(store) == ()


def rows(store, query=""):
    history = JobHistory(store.root, rater="anna")
    history.refresh(is_patient=True)
    try:
        return history.find_images(query, limit=10).rows
    finally:
        history.close()


def places(store, query=""):
    return sorted(sorted(place["run_id"] for place in row["places"]) for row in rows(store, query))


def test_history_shows_two_images_and_gives_each_its_own_stars(store, runs):
    assert places(store) == [["run-a", "run-b"], ["run-c"]]
    FeedbackManager(store, rater="anna").record_feedback("run-b", digest_of(runs[1]), 5)
    FeedbackManager(store, rater="anna").record_feedback("run-c", digest_of(runs[2]), 1)
    assert places(store, "rating:5") == [["run-a", "run-b"]]
    assert places(store, "rating:1") == [["run-c"]]


def test_an_image_that_is_gone_from_all_runs_but_one_stays_itself(store, runs):
    assert len(rows(store)) == 2
    shutil.rmtree(runs[0].path)
    assert places(store) == [["run-b"], ["run-c"]]
    shutil.rmtree(runs[1].path)
    assert places(store) == [["run-c"]]
    add_run(store, "run-d")
    assert places(store) == [["run-c"], ["run-d"]]


def test_an_output_of_unknown_sha256_is_one_of_the_two(store):
    add_run(store, "run-a", sha256=None)
    add_run(store, "run-b")
    add_run(store, "run-c", sha256=OTHER)
    assert places(store) in ([["run-a", "run-b"], ["run-c"]], [["run-a", "run-c"], ["run-b"]])
