"""Albums: images in the order in which they were put in, or to which somebody moved them."""

import pytest

from stablenew import FeedbackManager, JobHistory
from stablenew.controller.light_table.albums import find_album, in_album_order, plan_move
from stablenew.errors import ConfigError, OutputNotFound
from tests.controller.light_table_stores import add_images
from tests.samples import fake_clock


class Album:
    """Five images in a store, and what is said of them."""

    def __init__(self, store):
        self.images = add_images(store, "run", *({"steps": number} for number in range(5)))
        self.feedback = FeedbackManager(store, rater="me", clock=fake_clock())
        self.history = JobHistory(store.root, rater="me")

    def put_in(self, *numbers, album="Best"):
        for number in numbers:
            self.feedback.record_feedback("run", self.images[number], tags=[f"album:{album}"])

    def query(self, text="album:Best"):
        self.history.refresh(is_patient=True)
        return self.history.parse(text)

    def order(self, text="album:Best"):
        found = in_album_order(self.history, self.feedback, self.query(text))
        rows = self.history.image_rows(found.images.tolist())
        return [self.images.index(row["digest"]) for row in rows]

    def plan(self, moved, target, **options):
        images = [self.images[number] for number in moved]
        return plan_move(self.history, self.feedback, self.query(), images, self.images[target], **options)


@pytest.fixture
def album(store):
    album = Album(store)
    yield album
    album.history.close()


def test_images_stand_in_the_order_in_which_they_were_put_in(album):
    album.put_in(3, 0, 4, 1)
    assert album.order() == [3, 0, 4, 1]
    album.put_in(2, album="Worst")
    assert album.order("album:Worst") == [2]
    assert album.order("album:Best steps:>2") == [3, 4]


@pytest.mark.parametrize(
    ("moved", "target", "is_after", "expected"),
    [
        ([3], 0, False, [3, 0, 1, 2, 4]), ([0], 4, True, [1, 2, 3, 4, 0]), ([0], 2, True, [1, 2, 0, 3, 4]),
        ([4, 1], 3, False, [0, 2, 4, 1, 3]), ([2], 1, True, [0, 1, 2, 3, 4]), ([0, 1, 2, 3], 4, True, [4, 0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_a_move_puts_images_beside_another_one_in_the_order_in_which_they_were_named(
    album, moved, target, is_after, expected
):
    album.put_in(*range(5))
    places = album.plan(moved, target, is_after=is_after)
    keys = dict.fromkeys(range(5))
    for place in places:
        keys[album.images.index(place.image_id)] = place.key
    assert [place.tag for place in places] == ["album:Best"] * len(moved)
    clocks = {number: keys[number] or clock for number, clock in zip(range(5), put_in_clocks(album), strict=True)}
    assert sorted(range(5), key=clocks.__getitem__) == expected


def put_in_clocks(album):
    """When each image was put in, as the place that it has by that."""
    events = [event for event in album.feedback.read("run").events if event.op == "tag"]
    clocks = {event.image_id: f"{event.clock}/run" for event in events}
    return [clocks[digest] for digest in album.images]


def test_an_image_next_to_itself_or_out_of_the_album_is_refused(album):
    album.put_in(0, 1)
    with pytest.raises(ConfigError, match="expected another image to move to"):
        album.plan([0, 1], 1)
    for moved, target in (([2], 0), ([0], 2)):
        with pytest.raises(OutputNotFound, match=f"image {album.images[2]} is not in the album"):
            album.plan(moved, target)


def test_without_an_album_there_is_no_order_of_one(album):
    album.put_in(0)
    for text in ("", "steps:1", "-album:Best"):
        with pytest.raises(ConfigError, match="such as album:Best"):
            album.order(text)


def test_a_query_names_albums_by_patterns(album):
    assert find_album(album.query("steps:1")) is None
    assert find_album(album.query("-album:Best")) is None
    is_asked = find_album(album.query("album:best,W*"))
    assert [is_asked(name) for name in ("Best", "BEST", "Worst", "Other", "")] == [True, True, True, False, False]
