"""Albums: the images that have a tag `album:NAME`, in the order in which they were put in, or to which they were moved.

Where an image stands is a text to sort by: the clock of the event that gave it the tag, or what it was given when
somebody moved it. Both are events, so the order merges like the tag itself: it is the same on every machine that has
the same events. Taken out and put in again, an image is the last.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from stablenew.controller.light_table.image_feedback import ImageFeedback
from stablenew.controller.light_table.order_keys import is_order_key, keys_between
from stablenew.errors import ConfigError, OutputNotFound
from stablenew.formats.documents.event_fields import EventFields
from stablenew.formats.documents.feedback_fold import standing_places, standing_tags
from stablenew.formats.query_language import Condition, Pattern, Query, match_any
from stablenew.index.index_schema import ALBUM_PREFIX
from stablenew.recording.feedback_manager import TagPlace

if TYPE_CHECKING:
    from stablenew.index.job_history import ImageSnapshot, JobHistory
    from stablenew.recording.feedback_manager import FeedbackManager

ALBUM_ORDER: Final = "album"
"""The order of images for which `in_album_order` is."""
_LAST: Final = "~"


class _Standing(NamedTuple):
    """Where an image stands in an album, and the tag that says so."""

    key: str
    tag: str
    image_id: str
    run_id: str


class _Said(NamedTuple):
    """Events about albums, by image: who put it in first, as (clock, run, tag), and its places, as (clock, key)."""

    put_in: Mapping[str, tuple[str, str, str]]
    places: Mapping[str, Sequence[tuple[str, str]]]


def find_album(query: Query) -> Callable[[str], bool] | None:
    """Whether a name is one of the albums that a query asks for; None where it asks for none."""
    patterns = [value for condition in _conditions(query) for value in condition.values if isinstance(value, Pattern)]
    return match_any(patterns) if patterns else None


def _conditions(query: Query) -> tuple[Condition, ...]:
    return tuple(found for found in query.conditions if found.field == "album" and not found.is_negated)


def in_album_order(
    history: "JobHistory", feedback: "FeedbackManager", query: Query, *, is_stacked: bool = False
) -> "ImageSnapshot":
    """The images of an album that a query finds, in the album's order.

    Raises:
        ConfigError: the query asks for no album.
    """
    is_asked = _albums_of(query)
    found = history.image_snapshot(query, sort="oldest", is_stacked=is_stacked)
    standings = _standings(history, feedback, found.images.tolist(), is_asked)
    keys = [standing.key if standing else _LAST for standing in standings]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.intp)
    sizes = found.stack_sizes
    return found._replace(
        images=found.images[order],
        aspect_ratios=found.aspect_ratios[order],
        is_rated=found.is_rated[order],
        stack_sizes=None if sizes is None else sizes[order],
    )


def plan_move(
    history: "JobHistory",
    feedback: "FeedbackManager",
    query: Query,
    moved: Sequence[str],
    target: str,
    *,
    is_after: bool = False,
) -> list[TagPlace]:
    """The places that put images of an album, named by their digests, before or after another one of it.

    Whatever else the query asks for, all images of the album count.

    Raises:
        ConfigError: the query asks for no album, or an image is to be moved next to itself.
        OutputNotFound: an image is not in the album.
    """
    is_asked = _albums_of(query)
    images = in_album_order(history, feedback, replace(query, conditions=_conditions(query))).images.tolist()
    standings = [found for found in _standings(history, feedback, images, is_asked) if found is not None]
    known = {found.image_id: found for found in standings}
    if target in moved:
        raise ConfigError("expected another image to move to")
    if missing := [digest for digest in (*moved, target) if digest not in known]:
        raise OutputNotFound(f"image {missing[0]} is not in the album")
    low, high = _room([found.key for found in standings if found.image_id not in moved], known[target].key, is_after)
    keys = keys_between(low, high, len(moved))
    return [
        TagPlace(known[digest].run_id, digest, known[digest].tag, key) for digest, key in zip(moved, keys, strict=True)
    ]


def _room(keys: Iterable[str], target: str, is_after: bool) -> tuple[str, str | None]:
    """The keys between which there is room before or after the one that is the target."""
    if is_after:
        return target, min((key for key in keys if key > target), default=None)
    return max((key for key in keys if key < target), default=""), target


def _albums_of(query: Query) -> Callable[[str], bool]:
    is_asked = find_album(query)
    if is_asked is None:
        raise ConfigError("the order of an album needs a search for one, such as album:Best")
    return is_asked


def _standings(
    history: "JobHistory", feedback: "FeedbackManager", images: Sequence[int], is_asked: Callable[[str], bool]
) -> list[_Standing | None]:
    """Where each image stands, by the place it has or whoever put it in first; None where that is not known yet."""
    rows = {row["id"]: row for row in history.image_rows(images)}
    run_ids = (place["run_id"] for row in rows.values() for place in row["places"])
    said = _read(ImageFeedback(feedback), run_ids, is_asked)
    return [_standing_of(rows[image], said) if image in rows else None for image in images]


def _read(feedback: ImageFeedback, run_ids: Iterable[str], is_asked: Callable[[str], bool]) -> _Said:
    def is_about(event: EventFields) -> bool:
        tag = event.tag or ""
        return bool(event.image_id) and tag.startswith(ALBUM_PREFIX) and is_asked(tag.removeprefix(ALBUM_PREFIX))

    put_in: dict[str, tuple[str, str, str]] = {}
    places: dict[str, list[tuple[str, str]]] = {}
    for run_id in dict.fromkeys(run_ids):
        events = feedback.events(run_id) or ()
        for event in filter(is_about, standing_tags(events)):
            image, entry = event.image_id or "", (event.clock, run_id, event.tag or "")
            put_in[image] = min(entry, put_in.get(image, entry))
        for event in filter(is_about, standing_places(events)):
            if is_order_key(event.text or ""):
                places.setdefault(event.image_id or "", []).append((event.clock, event.text or ""))
    return _Said(put_in, places)


def _standing_of(row: Mapping[str, Any], said: _Said) -> _Standing | None:
    """Where an image stands: opinions of its copies are opinions of it.

    A place that it was given before it was put in, and taken out since, is void.
    """
    files = {row["digest"], *(place["digest"] for place in row["places"])}
    if not (entries := [said.put_in[file] for file in files if file in said.put_in]):
        return None
    clock, run_id, tag = min(entries)
    places = [place for file in files for place in said.places.get(file, ()) if place[0] > clock]
    # What was put in within one millisecond is told apart by the age of its run.
    key = max(places)[1] if places else f"{clock}/{run_id}"
    return _Standing(key, tag, row["digest"], row["run_id"])
