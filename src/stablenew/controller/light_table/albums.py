"""Albums: the images that have a tag `album:NAME`, in the order in which they were put in.

When an image was put in is the clock of the event that gave it the tag, so the order merges like the tag itself: it is
the same on every machine that has the same events. Taken out and put in again, an image is the last.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from stablenew.errors import ConfigError
from stablenew.formats.documents.feedback_fold import standing_tags
from stablenew.formats.query_language import Pattern, Query, match_any
from stablenew.index.index_schema import ALBUM_PREFIX

if TYPE_CHECKING:
    from stablenew.index.job_history import ImageSnapshot, JobHistory
    from stablenew.recording.feedback_manager import FeedbackManager

ALBUM_ORDER: Final = "album"
"""The order of images for which `in_album_order` is."""
_LAST: Final = "~"


def find_album(query: Query) -> Callable[[str], bool] | None:
    """Whether a name is one of the albums that a query asks for; None where it asks for none."""
    conditions = [found for found in query.conditions if found.field == "album" and not found.is_negated]
    patterns = [value for condition in conditions for value in condition.values if isinstance(value, Pattern)]
    return match_any(patterns) if patterns else None


def in_album_order(
    history: "JobHistory", feedback: "FeedbackManager", query: Query, *, is_stacked: bool = False
) -> "ImageSnapshot":
    """The images of an album that a query finds, first the one that was put in first.

    Raises:
        ConfigError: the query asks for no album.
    """
    is_asked = find_album(query)
    if is_asked is None:
        raise ConfigError("the order of an album needs a search for one, such as album:Best")
    found = history.image_snapshot(query, sort="oldest", is_stacked=is_stacked)
    clocks = _put_in_at(history, feedback, found.images.tolist(), is_asked)
    order = np.array(sorted(range(len(clocks)), key=clocks.__getitem__), np.intp)
    sizes = found.stack_sizes
    return found._replace(
        images=found.images[order],
        aspect_ratios=found.aspect_ratios[order],
        is_rated=found.is_rated[order],
        stack_sizes=None if sizes is None else sizes[order],
    )


def _put_in_at(
    history: "JobHistory", feedback: "FeedbackManager", images: Sequence[int], is_asked: Callable[[str], bool]
) -> list[str]:
    """When each image was put in by whoever was first; at the end where that is not known yet."""
    clocks: dict[str, str] = {}
    rows = {row["id"]: row for row in history.image_rows(images)}
    for run_id in dict.fromkeys(place["run_id"] for row in rows.values() for place in row["places"]):
        for event in standing_tags(feedback.read(run_id).events):
            tag = event.tag or ""
            if event.image_id and tag.startswith(ALBUM_PREFIX) and is_asked(tag.removeprefix(ALBUM_PREFIX)):
                clocks[event.image_id] = min(event.clock, clocks.get(event.image_id, _LAST))
    return [clocks.get(rows[image]["digest"], _LAST) if image in rows else _LAST for image in images]
