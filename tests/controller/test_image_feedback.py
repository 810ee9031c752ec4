"""What was said of an image counts in all its runs, and a run that was just moved away hides none of the others."""

import shutil

import pytest
from PIL import Image

from stablenew import FeedbackManager, JobHistory, RunRecorder, RunStore
from stablenew.controller.light_table.albums import in_album_order, plan_move
from stablenew.controller.light_table.copies import Copies
from stablenew.controller.light_table.image_feedback import ImageFeedback
from stablenew.controller.light_table.trash import TrashCan
from stablenew.formats.documents.feedback_input import FeedbackInput


class Table:
    """A store with two runs of one image each, and a third that holds both."""

    def __init__(self, root):
        self.root = root
        self.pictures = [Image.new("RGB", (8, 6), colour) for colour in ("teal", "plum")]
        self.runs = [self.record(picture) for picture in self.pictures]
        self.runs.append(self.record(*self.pictures))
        self.store = RunStore(root)
        self.history = JobHistory(root, rater="me")
        self.feedback = FeedbackManager(self.store, rater="me", replica="desk-1")
        self.digests = [output.digest for _, output in self.store.open(self.runs[2]).iter_outputs()]

    def record(self, *pictures):
        with RunRecorder(self.root) as run:
            for picture in pictures:
                run.log(picture, prompt="harbour")
        return run.run_id

    def say(self, run, image, rater="me", **fields):
        given = FeedbackInput.build(run_id=self.runs[run], image_id=self.digests[image], **fields)
        self.feedback.record_many([given], rater=rater)

    def refresh(self):
        self.history.refresh(is_patient=True)

    def move_away(self, run):
        """As another program does; history does not look again."""
        shutil.move(self.root / self.runs[run], self.root.parent / "elsewhere")


@pytest.fixture
def table(tmp_path):
    table = Table(tmp_path / "runs")
    yield table
    table.history.close()


def test_the_last_word_of_each_rater_counts_in_whichever_run_it_was_said(table):
    table.say(0, 0, rating=2, tags=["sky"])
    table.say(2, 0, rating=4, flag="pick")
    table.say(0, 0, "bob", rating=5)
    opinions = ImageFeedback(table.feedback).opinions(table.digests[:1], table.runs)
    opinion = opinions["me"]
    assert (opinion["rating"], opinion["flag"], opinion["tags"], opinions["bob"]["rating"]) == (4, "pick", ["sky"], 5)
    assert ImageFeedback(table.feedback).opinions(table.digests[1:], table.runs) == {}


def test_what_was_taken_back_stands_nowhere_and_is_still_an_event(table):
    table.say(0, 0, rating=2)
    table.feedback.undo(table.runs[0])
    feedback = ImageFeedback(table.feedback)
    assert list(feedback.standing(table.digests, table.runs)) == []
    assert [event.op for event in feedback.events(table.runs[0])] == ["rate", "retract"]


def test_a_run_is_read_once_and_one_that_is_gone_says_nothing(table):
    table.say(0, 0, rating=2)
    feedback = ImageFeedback(table.feedback)
    assert feedback.events("no-such-run") is None
    assert feedback.opinions(table.digests, ["no-such-run", *table.runs])["me"]["rating"] == 2
    table.say(0, 0, rating=3)
    assert feedback.opinions(table.digests, table.runs)["me"]["rating"] == 2
    assert ImageFeedback(table.feedback).opinions(table.digests, table.runs)["me"]["rating"] == 3


def test_an_album_keeps_its_order_when_a_run_of_it_was_moved_away(table):
    for run, image in ((2, 1), (2, 0), (0, 0)):
        table.say(run, image, tags=["album:Best"])
    table.refresh()
    query = table.history.parse("album:Best")
    before = in_album_order(table.history, table.feedback, query).images.tolist()
    table.move_away(1)
    assert in_album_order(table.history, table.feedback, query).images.tolist() == before
    (place,) = plan_move(table.history, table.feedback, query, [table.digests[1]], table.digests[0], is_after=True)
    table.feedback.record_places([place._replace(run_id=table.runs[2])])
    assert in_album_order(table.history, table.feedback, query).images.tolist() == before[::-1]


def test_copies_are_described_and_judged_by_the_runs_that_are_here(table):
    table.refresh()
    copies = Copies(table.store, table.history, table.feedback)
    tag = copies.confirm(*table.digests)
    table.refresh()
    table.move_away(0)
    table.move_away_again = table.root / table.runs[2]
    table.move_away_again.rename(table.root.parent / "elsewhere too")
    assert copies.describe(table.digests[1])["run_id"] == table.runs[1]
    (table.root.parent / "elsewhere").rename(table.root / table.runs[0])
    copies.take_back(*table.digests)
    assert tag not in table.feedback.opinions(table.runs[1]).get((table.digests[1], "me"), {}).get("tags", [])


def test_an_image_stays_in_the_trash_by_its_owner_s_last_word(table):
    table.say(0, 0, trashed=True)
    table.say(2, 0, "bob", rating=5)
    table.say(0, 0, "bob", rating=1)
    table.refresh()
    (image,) = TrashCan(table.store, table.history, table.feedback).iter_images()
    assert (image.trashed_by, image.kept_for) == (("me",), ())  # bob changed his mind, in another run
    table.say(2, 0, trashed=False)
    report = TrashCan(table.store, table.history, table.feedback).empty([image])
    assert report.removed == []
    assert "feedback changed meanwhile" in report.problems[0]


def test_nothing_is_removed_while_the_feedback_of_a_run_cannot_be_read(table, monkeypatch):
    table.say(0, 0, trashed=True)
    table.refresh()
    trash = TrashCan(table.store, table.history, table.feedback)
    (image,), kept = trash.choose()
    assert kept == []

    def fail(run_id):
        if run_id == table.runs[2]:
            raise PermissionError(13, "Permission denied", run_id)
        return FeedbackManager.read(table.feedback, run_id)

    monkeypatch.setattr(table.feedback, "read", fail)  # root may read everything
    chosen, (stays,) = trash.choose()
    assert (chosen, stays.kept_for) == ([], (f"feedback of run {table.runs[2]} cannot be read",))
    assert trash.empty([image]).removed == []
