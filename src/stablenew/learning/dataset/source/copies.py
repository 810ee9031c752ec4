"""Images that stand in several rows of a dataset: which rows these are, and what people said of them in all their runs.

An image is its digest. Each place of it keeps a row; the rows agree in what people said. Where a query chose the runs,
others may hold an image too: what was said there counts, though they have no row.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.event_fields import EventFields
from stablenew.learning.dataset.columns import COPIES_SCHEMA, IMAGES_SCHEMA, whole
from stablenew.learning.dataset.source.opinion_table import (
    RunOpinions,
    build_feedback_columns,
    fold_run_opinions,
    read_run_events,
)
from stablenew.learning.dataset.source.run_source import LeftOut, RunSource
from stablenew.learning.dataset.split import keys_of

PLACE_COLUMNS: Final = ("run_id", "image_id")

Rows = npt.NDArray[np.int64]


class Place(NamedTuple):
    """A row of an image that has, or had in the last build, several places."""

    row: int
    run_id: str
    image_id: str
    copy_of: str | None = None


@dataclass(frozen=True)
class SharedFeedback:
    """What the rows of such images say in one part, in place of what is said in their own runs alone."""

    rows: Rows
    columns: dict[str, pa.Array]
    """Feedback columns and `copy_of`, an entry for each of `rows`."""

    @property
    def digest(self) -> str:
        """Equal for equal rows; empty for none."""
        if not len(self.rows):
            return ""
        values = {name: column.to_pylist() for name, column in sorted(self.columns.items())}
        return digest_bytes(repr((self.rows.tolist(), values)).encode())


def find_repeated(keys: Sequence[npt.NDArray[np.uint64]], elsewhere: AbstractSet[str]) -> list[Rows]:
    """For each part the rows whose key is that of another row, too, or of an image that other runs hold."""
    together = np.concatenate([np.empty(0, np.uint64), *keys, *[keys_of(pa.array(sorted(elsewhere), pa.string()))] * 2])
    together.sort()
    repeated = np.unique(together[1:][together[1:] == together[:-1]])
    return [np.flatnonzero(np.isin(part, repeated)) if len(repeated) else np.empty(0, np.int64) for part in keys]


def build_copies(found: Iterable[tuple[int, Rows, pa.Table]], elsewhere: AbstractSet[str]) -> pa.Table:
    """`COPIES_SCHEMA`, from the rows of each part that may be such, in order, and their `PLACE_COLUMNS`.

    `elsewhere` are the images that other runs hold.
    """
    columns = [
        pa.table({"part": np.full(len(rows), part), "row": rows} | _places(table)) for part, rows, table in found
    ]
    if not columns:
        return COPIES_SCHEMA.empty_table()
    joined = pa.concat_tables(columns).combine_chunks()
    codes = whole(joined["image_id"].dictionary_encode()).indices.to_numpy(zero_copy_only=False)
    _, first_of = np.unique(codes, return_index=True)
    firsts = first_of[codes]
    copy_of = whole(joined["run_id"]).take(pa.array(firsts, mask=firsts == np.arange(len(codes))))
    is_several = pa.array(np.bincount(codes)[codes] > 1 if len(codes) else np.empty(0, bool))
    is_elsewhere = pc.is_in(whole(joined["image_id"]), pa.array(elsewhere, pa.string()))
    return joined.append_column("copy_of", copy_of).filter(pc.or_(is_several, is_elsewhere)).cast(COPIES_SCHEMA)


def _places(table: pa.Table) -> dict[str, pa.Array]:
    return {name: pc.cast(whole(table[name]), pa.string()) for name in PLACE_COLUMNS}


def find_pairs(copies: pa.Table) -> set[tuple[str, str]]:
    """Run and image id of each row of `COPIES_SCHEMA`."""
    return set(zip(copies["run_id"].to_pylist(), copies["image_id"].to_pylist(), strict=True))


def places_by_part(copies: pa.Table) -> dict[int, list[Place]]:
    """The rows of `COPIES_SCHEMA` by part."""
    found: dict[int, list[Place]] = defaultdict(list)
    for row in copies.to_pylist():
        found[row.pop("part")].append(Place(**row))
    return found


@dataclass
class SharedOpinions:
    """What people said of images in several runs; the feedback of a run is read when it is first needed."""

    source: RunSource
    runs_of: Mapping[str, Sequence[str]]
    """The runs that hold each image with several places and have feedback, sorted."""
    feedback_digests: Mapping[str, str]
    """The digest of the feedback of these runs."""
    _events: dict[str, dict[str, list[EventFields]]] = field(default_factory=dict)
    """By run and image; retractions by the event that they retract."""

    @classmethod
    def of_copies(
        cls,
        source: RunSource,
        copies: pa.Table,
        feedback_digests: Mapping[str, str],
        elsewhere: Mapping[str, AbstractSet[str]],
    ) -> "SharedOpinions":
        """For the images of `COPIES_SCHEMA`, given the digest of the feedback of each of their runs that has any.

        `elsewhere` are the other runs that hold images, by image.
        """
        runs: dict[str, set[str]] = defaultdict(set)
        pairs = find_pairs(copies)
        others = set().union(*(elsewhere.get(image_id, ()) for _, image_id in pairs))
        read = {run_id: events for run_id in others if (events := _read_events(source, run_id))}
        digests = {**feedback_digests, **{run_id: _digest_events(events) for run_id, events in read.items()}}
        for run_id, image_id in pairs:
            runs[image_id].update({run_id, *elsewhere.get(image_id, ())} & digests.keys())
        return cls(source, {image_id: sorted(run_ids) for image_id, run_ids in runs.items()}, digests, read)

    def heard(self, elsewhere: Mapping[str, AbstractSet[str]]) -> bytes:
        """What runs that are not in the dataset say of its images: equal for equal feedback, empty for none."""
        lines = [
            f"{image_id} {run_id} {self.feedback_digests[run_id]}\n"
            for image_id, run_ids in sorted(self.runs_of.items())
            for run_id in run_ids
            if run_id in elsewhere.get(image_id, ())
        ]
        return "".join(lines).encode()

    def digest(self, places: Sequence[Place]) -> str:
        """Changes when these places do, or the feedback of a run that holds one of their images; empty for none."""
        heard = {run_id for place in places for run_id in self.runs_of[place.image_id]}
        lines = [*map(repr, places), *(f"{run_id} {self.feedback_digests[run_id]}" for run_id in sorted(heard))]
        return digest_bytes("\n".join(lines).encode()) if lines else ""

    def build(self, places: Sequence[Place]) -> SharedFeedback:
        """What is said of the images at these places of one part, in all their runs."""
        folded = [(row, self._fold(place), place.image_id) for row, place in enumerate(places)]
        judged = [said for said in folded if said[2] in said[1].subjects]
        columns = build_feedback_columns(judged, len(places))
        columns["copy_of"] = pa.array([place.copy_of for place in places], IMAGES_SCHEMA.field("copy_of").type)
        return SharedFeedback(np.array([place.row for place in places], np.int64), columns)

    def _fold(self, place: Place) -> RunOpinions:
        found: dict[str, EventFields] = {}
        for run_id in self.runs_of.get(place.image_id, (place.run_id,)):
            events = self._events_of(run_id)
            about = events.get(place.image_id, ())
            found |= {event.id: event for event in about}
            found |= {event.id: event for target in about for event in events.get(target.id, ())}
        return fold_run_opinions(sorted(found.values(), key=lambda event: (event.clock, event.id)))

    def _events_of(self, run_id: str) -> dict[str, list[EventFields]]:
        if run_id not in self._events:
            self._events[run_id] = _read_events(self.source, run_id)
        return self._events[run_id]


def _read_events(source: RunSource, run_id: str) -> dict[str, list[EventFields]]:
    """The events of a run by what they are about."""
    run = source.read(run_id)
    by_subject: dict[str, list[EventFields]] = defaultdict(list)
    for event in () if isinstance(run, LeftOut) else read_run_events(run)[0]:
        for subject in _subjects_of(event):
            by_subject[subject].append(event)
    return by_subject


def _digest_events(by_subject: Mapping[str, Iterable[EventFields]]) -> str:
    ids = {event.id for events in by_subject.values() for event in events}
    return digest_bytes("\n".join(sorted(ids)).encode())


def _subjects_of(event: EventFields) -> set[Any]:
    """The images that an event is about, and the events that it retracts."""
    return {event.image_id, event.winner, event.loser, event.digest, *(event.event_ids or ())} - {None}
