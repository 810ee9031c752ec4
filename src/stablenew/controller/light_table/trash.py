"""The trash: what is in it, taking things out, and emptying it.

To trash an image is to say something about it, like a star: it is undone and merged, and frees nothing. Emptying frees
the disk of this machine, and only of what its owner trashed. The record stays, and a tombstone in the run's log says
that the bytes were removed on purpose; it removes nothing anywhere else.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.controller.light_table.image_feedback import ImageFeedback
from stablenew.controller.light_table.image_names import find_digest
from stablenew.errors import ConfigError, RunNotFound, StableNewError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock, format_timestamp
from stablenew.formats.digest import PREFIX
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.store.local_state import forget_thumbnails
from stablenew.store.output_access import locate_origin
from stablenew.store.upkeep.output_removal import NotRemoved, RemovableOutput, iter_removable

if TYPE_CHECKING:
    from stablenew.formats.documents.feedback import FeedbackEvent
    from stablenew.index.job_history import JobHistory
    from stablenew.recording.feedback_manager import FeedbackManager
    from stablenew.store.run_store import RunStore

IN_TRASH: Final = "is:trashed"
_GOOD_STARS: Final = 4
_REASON: Final = "trash emptied"
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class TrashedImage:
    """An image in the trash."""

    row: Mapping[str, Any]
    """What history shows of it."""
    run_ids: tuple[str, ...]
    """The runs that hold it."""
    trashed_by: tuple[str, ...]
    trashed_at: str
    """When its owner put it there, or the last who did."""
    is_own: bool
    """Whether the owner of this machine put it there."""
    kept_for: tuple[str, ...] = ()
    """Why it stays when the trash is emptied: what others think of it."""
    held_bytes: int = 0
    """How much of it is on this machine; 0 when nothing is left."""
    is_in_place: bool = False
    """Whether another program's folder holds it."""
    other_files: tuple[str, ...] = ()
    """Digests of files with the same pixels that are not in the trash: they stay."""

    @property
    def digest(self) -> str:
        """The image."""
        return str(self.row["digest"])

    def to_dict(self) -> dict[str, Any]:
        """It in JSON."""
        return {
            "digest": self.digest,
            "run_id": self.row["run_id"],
            "name": self.row["name"],
            "prompt": self.row["prompt"],
            "width": self.row["width"],
            "height": self.row["height"],
            "run_ids": list(self.run_ids),
            "trashed_by": list(self.trashed_by),
            "trashed_at": self.trashed_at,
            "is_own": self.is_own,
            "kept_for": list(self.kept_for),
            "held_bytes": self.held_bytes,
            "is_in_place": self.is_in_place,
            "other_files": list(self.other_files),
        }


@dataclass(slots=True)
class EmptyReport:
    """What emptying the trash did."""

    removed: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    """Why something stayed that was to go."""

    def to_dict(self) -> dict[str, Any]:
        """It in JSON."""
        return {"removed": self.removed, "freed_bytes": self.freed_bytes, "problems": self.problems}


class TrashCan:
    """The trash of one store, for its owner on this machine: the rater of `feedback`."""

    def __init__(
        self, store: "RunStore", history: "JobHistory", feedback: "FeedbackManager", *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._store = store
        self._history = history
        self._feedback = feedback
        self._clock = clock

    def iter_images(self) -> Iterator[TrashedImage]:
        """Everything in the trash, the newest images first; of a picture in several files those that were put there.

        Its other files go only when somebody says so of them: they may hold more than the pixels that are compared.
        """
        said = ImageFeedback(self._feedback)
        for row in self._history.search_images(IN_TRASH):
            files = {place["digest"]: place for place in reversed(row["places"])}
            if len(files) > 1:
                found = [self._describe({**row, **place, "files": tuple(files)}, said) for place in files.values()]
            else:
                found = [self._describe(row, said)]
            others = tuple(image.digest for image in found if not image.trashed_by)
            yield from (replace(image, other_files=others) for image in found if image.trashed_by)

    def choose(
        self, *, older: str | None = None, all_raters: bool = False, images: Iterable[TrashedImage] | None = None
    ) -> tuple[list[TrashedImage], list[TrashedImage]]:
        """What emptying would remove, and what of the owner's it would keep because of others.

        `images` are those of `iter_images`, where they were read already. `older` is an age such as `30d`: what was
        trashed later stays. With `all_raters` the opinions of others keep nothing.

        Raises:
            ConfigError: `older` is not an age.
        """
        until = None if older is None else format_timestamp(self._clock.now() - parse_age(older))
        found = self.iter_images() if images is None else images
        own = [image for image in found if image.is_own and image.held_bytes]
        due = [image for image in own if until is None or image.trashed_at <= until]
        kept = [image for image in due if image.kept_for and not all_raters]
        return [image for image in due if image not in kept], kept

    def empty(
        self,
        images: Iterable[TrashedImage],
        *,
        all_raters: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> EmptyReport:
        """Remove the bytes of images that `choose` chose. What others picked or rated highly since then stays."""
        report, chosen = EmptyReport(), list(images)
        for done, image in enumerate(chosen, 1):
            try:
                now = self._describe(image.row, ImageFeedback(self._feedback))
                if not now.is_own or (now.kept_for and not all_raters):
                    raise NotRemoved(f"{image.digest} stays: its feedback changed meanwhile")
                report.freed_bytes += self._remove(now)
                report.removed.append(image.digest)
            except (StableNewError, OSError) as error:
                report.problems.append(str(error))
            progress(done, len(chosen))
        return report

    def _remove(self, image: TrashedImage) -> int:
        """Remove an image from all runs of this machine; how many bytes that freed. All are looked at first."""
        found = [
            output
            for run_id in image.run_ids
            for output in iter_removable(self._store.open(run_id), image.digest)
        ]  # fmt: skip
        freed = {output.file_key: output.output.size_bytes for output in found}
        for output in found:
            self._remove_output(output)
        forget_thumbnails(image.digest)
        return sum(freed.values())

    def _remove_output(self, output: RemovableOutput) -> None:
        """The tombstone comes first: after a crash between the two the bytes are still there, and nothing is wrong."""
        run_id, reference = output.run.run_id, output.output
        fields = {"digest": reference.digest, "sha256": output.sha256, "size_bytes": reference.size_bytes}
        event_id = self._feedback.record_removal(run_id, {**fields, "reason": _REASON})
        try:
            output.remove()
        except NotRemoved:
            self._feedback.restore_removed(run_id, reference.digest, event_id=event_id)
            raise

    def add(self, names: Iterable[str]) -> list[str]:
        """Put images into the trash, by their digests or the beginnings of them; returns the digests.

        Raises:
            ConfigError: see `find_digest`; nothing was said.
        """
        digests = [find_digest(self._history, name) for name in names]
        self._feedback.record_many(
            FeedbackInput.build(run_id=self._history.runs_holding(digest)[-1], image_id=digest, trashed=True)
            for digest in digests
        )
        return digests

    def restore(self, images: Iterable[TrashedImage]) -> int:
        """Take images out of the trash, those too whose bytes were removed: a merge may bring them back then."""
        restored = list(images)
        for image in restored:
            for run_id in image.run_ids:
                self._feedback.restore_removed(run_id, image.digest)
        says = [
            FeedbackInput.build(run_id=image.run_ids[0], image_id=image.digest, trashed=False)
            for image in restored
            if image.run_ids
        ]
        if says:
            self._feedback.record_many(says)
        return len(says)

    def find(self, names: Iterable[str]) -> list[TrashedImage]:
        """Images in the trash by the beginnings of their digests.

        Raises:
            ConfigError: a name fits none of them, or several.
        """
        images = list(self.iter_images())
        found = []
        for name in names:
            hexadecimal = name.lower().removeprefix(PREFIX)
            fitting = [image for image in images if hexadecimal and image.digest[7:].startswith(hexadecimal)]
            if len(fitting) != 1:
                what = "no image" if not fitting else f"{len(fitting)} images"
                raise ConfigError(f"{what} in the trash with a digest that begins with {name!r}; see `trash list`")
            found += fitting
        return found

    def _describe(self, row: Mapping[str, Any], said: ImageFeedback) -> TrashedImage:
        digest, owner = str(row["digest"]), self._feedback.rater
        run_ids = tuple(self._runs_holding(digest))
        opinions = said.opinions([digest], run_ids)
        trashed_by = tuple(rater for rater, opinion in opinions.items() if opinion.get("trashed"))
        moments = _latest_trash(said.standing([digest], run_ids))
        held, in_place = self._measure(run_ids, digest)
        return TrashedImage(
            row=row,
            run_ids=run_ids,
            trashed_by=trashed_by,
            trashed_at=(moments[owner] if owner in trashed_by else max(moments.values(), default=""))[:24],
            is_own=owner in trashed_by,
            kept_for=tuple(self._iter_reasons(row, said)),
            held_bytes=held,
            is_in_place=in_place,
        )

    def _runs_holding(self, digest: str) -> Iterator[str]:
        """The runs that hold an image; history may still name some that were moved away just now."""
        for run_id in self._history.runs_holding(digest):
            with contextlib.suppress(RunNotFound):
                yield self._store.open(run_id).run_id

    def _iter_reasons(self, row: Mapping[str, Any], said: ImageFeedback) -> Iterator[str]:
        """Why an image stays: what others think of any file of the picture, or that it is not known what they think."""
        files = row.get("files", (row["digest"],))
        run_ids = {run_id: None for digest in files for run_id in self._runs_holding(digest)}
        for rater, opinion in said.opinions(files, run_ids).items():
            if rater != self._feedback.rater:
                yield from (f"{rater} {liking}" for liking in _likings(opinion))
        yield from (f"feedback of run {run_id} cannot be read" for run_id in run_ids if said.events(run_id) is None)

    def _measure(self, run_ids: Iterable[str], digest: str) -> tuple[int, bool]:
        """The bytes of an image that are on this machine, and whether some are in place."""
        sizes: dict[tuple[int, int], int] = {}
        in_place = False
        for run_id in run_ids:
            for place, is_origin in _iter_places(self._store, run_id, digest):
                status = place.lstat()
                sizes[status.st_dev, status.st_ino] = status.st_size
                in_place = in_place or is_origin
        return sum(sizes.values()), in_place


def without_trash(query: str) -> str:
    """A query that leaves out what is in the trash, unless it asks for it."""
    return query if IN_TRASH in query else f"{query} -{IN_TRASH}".strip()


def parse_age(text: str) -> timedelta:
    """An age such as `30d`, `12h` or `4w`.

    Raises:
        ConfigError: it is none.
    """
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not number.isascii() or not number.isdecimal() or len(number) > 5:
        raise ConfigError(f"expected an age such as 30d, 12h or 4w, found {text!r}")
    return int(number) * unit


def _iter_places(store: "RunStore", run_id: str, digest: str) -> "Iterator[tuple[Path, bool]]":
    """Where the bytes of an image are in a run, and whether that is in place."""
    run = store.open(run_id)
    for _, output in run.iter_outputs():
        if output.digest == digest:
            with contextlib.suppress(OSError, StableNewError):
                place = run.path / output.path_in_run if output.origin is None else locate_origin(run, output.origin)
                place.lstat()
                yield place, output.origin is not None


def _latest_trash(events: "Iterable[FeedbackEvent]") -> dict[str, str]:
    """When each rater last put the image into the trash."""
    moments: dict[str, str] = {}
    for event in events:
        if event.op == "trash" and event.present:
            moments[event.rater] = max(event.clock, moments.get(event.rater, ""))
    return moments


def _likings(opinion: Mapping[str, Any]) -> Iterator[str]:
    if opinion.get("flag") == "pick":
        yield "picked it"
    if (rating := opinion.get("rating", 0)) >= _GOOD_STARS:
        yield f"gave it {rating} stars"
