"""Copies: which files are one picture, and which might be. A person decides where the pixels differ.

What a person says is a tag of both images (`copy:` and a digest) or, that they are two pictures, a tag of one that
names the other (`no-copy:`). So it is undone, merged and kept like every tag.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stablenew.controller.light_table.image_feedback import ImageFeedback
from stablenew.errors import ConfigError, OutputNotFound, RunNotFound
from stablenew.formats.digest import short_digest
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.importing.pixel_index import PixelIndex
from stablenew.index.index_schema import COPY_PREFIX

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory
    from stablenew.recording.feedback_manager import FeedbackManager
    from stablenew.store.run import Run
    from stablenew.store.run_store import RunStore

NO_COPY_PREFIX: Final = "no-copy:"


class Picture(NamedTuple):
    """A picture of which there are several files."""

    digests: tuple[str, ...]
    is_confirmed: bool
    """Whether a person said so; otherwise all have the same pixels."""


class Candidate(NamedTuple):
    """Two images that look alike and have not been judged."""

    first: str
    second: str
    bits: int
    """How many bits of 64 differ in what both look like."""


class Copies:
    """The copies of one store, and what the rater of `feedback` says of them."""

    def __init__(self, store: "RunStore", history: "JobHistory", feedback: "FeedbackManager") -> None:
        self._store = store
        self._history = history
        self._feedback = feedback

    def update(self, on_progress: Callable[[int, int], object] = lambda _done, _total: None) -> int:
        """Decode the images that were not looked at yet; how many those were. Stopped, it goes on there next time."""
        with PixelIndex(self._store) as pixels:
            return pixels.update(on_progress)

    def count_missing(self) -> int:
        """How many images were not decoded yet."""
        with PixelIndex(self._store) as pixels:
            return len(set(self._history.digests("type:image*")) - pixels.known())

    def pictures(self) -> list[Picture]:
        """The pictures that history shows once and that are there in several files."""
        with PixelIndex(self._store) as pixels:
            same = list(map(set, pixels.copies()))
        return [
            Picture(tuple(digests), not any(group.issuperset(digests) for group in same))
            for digests in self._history.copies()
        ]

    def candidates(self) -> list[Candidate]:
        """The pairs to look at, those that look most alike first."""
        group_of = {digest: group for group in self._history.copies() for digest in group}
        refused = {frozenset(pair) for pair in self._refused()}
        with PixelIndex(self._store) as pixels:
            alike = [Candidate(*pair) for pair in pixels.alike()]
        found: dict[frozenset[str], Candidate] = {}
        for pair in sorted(alike, key=lambda candidate: (candidate.bits, candidate)):
            first, second = (group_of.get(digest, [digest]) for digest in pair[:2])
            if first == second:
                continue
            # What was said of any two files of the pictures counts for both pictures.
            if not any({short_digest(a), short_digest(b)} in refused for a, b in product(first, second)):
                found.setdefault(frozenset((first[0], second[0])), pair)
        return list(found.values())

    def _refused(self) -> Iterator[tuple[str, str]]:
        for image in self._history.search_images(f"tag:{NO_COPY_PREFIX}*"):
            named = [tag.removeprefix(NO_COPY_PREFIX) for tag in image["tags"] if tag.startswith(NO_COPY_PREFIX)]
            files = {short_digest(place["digest"]) for place in image["places"]}
            yield from ((file, other) for file in files for other in named)

    def describe(self, digest: str) -> dict[str, Any]:
        """What helps to tell a file from its copies: size, place and prompt, as its newest record has them."""
        run = self._newest_run(digest)
        for record, output in run.iter_outputs():
            if output.digest == digest:
                place = output.origin.path if output.origin else output.path
                return {
                    "digest": digest,
                    "run_id": run.run_id,
                    "path": place,
                    "is_in_place": output.origin is not None,
                    "width": output.width,
                    "height": output.height,
                    "size_bytes": output.size_bytes,
                    "media_type": output.media_type,
                    "prompt": record.prompt.positive,
                }
        raise OutputNotFound(f"run {run.run_id} has no output {digest}")

    def _newest_run(self, digest: str) -> "Run":
        """The newest run that holds an image; history may still name some that were moved away just now."""
        for run_id in reversed(self._history.runs_holding(digest)):
            with contextlib.suppress(RunNotFound):
                return self._store.open(run_id)
        raise OutputNotFound(f"no run in {self._store.root} holds {digest}")

    def confirm(self, first: str, second: str) -> str:
        """Say that two images are one picture; the tag that both carry then.

        Raises:
            ConfigError: they are the same image, or history does not have one of them.
        """
        rows = self._both(first, second)
        known = [tag for row in rows for tag in row["tags"] if tag.startswith(COPY_PREFIX)]
        tag = known[0] if known else f"{COPY_PREFIX}{short_digest(min(first, second))}"
        self._say([(first, tag), (second, tag)])
        return tag

    def refuse(self, first: str, second: str) -> str:
        """Say that two images that look alike are two pictures; the tag that says so.

        Raises: see `confirm`.
        """
        self._both(first, second)
        first, second = sorted((first, second))
        tag = f"{NO_COPY_PREFIX}{short_digest(first)}"
        self._say([(second, tag)])
        return tag

    def take_back(self, first: str, second: str) -> None:
        """Forget what was said of two images: they are a candidate again.

        Raises: see `confirm`.
        """
        self._both(first, second)
        feedback = ImageFeedback(self._feedback)
        tags = {digest: self._own_tags(digest, feedback) for digest in (first, second)}
        shared = {tag for tag in tags[first] & tags[second] if tag.startswith(COPY_PREFIX)}
        pairs = ((first, second), (second, first))
        said = {(digest, f"{NO_COPY_PREFIX}{short_digest(other)}") for digest, other in pairs}
        said = {(digest, tag) for digest, tag in said if tag in tags[digest]}
        self._say([*said, *((digest, tag) for digest in (first, second) for tag in shared)], is_taken_back=True)

    def _own_tags(self, digest: str, feedback: ImageFeedback) -> set[str]:
        """The tags that anybody gave to this very file."""
        opinions = feedback.opinions([digest], self._history.runs_holding(digest))
        return {tag for opinion in opinions.values() for tag in opinion.get("tags", ())}

    def _both(self, first: str, second: str) -> list[dict[str, Any]]:
        if first == second:
            raise ConfigError(f"{first} and {second} are the same image")
        rows = [row for digest in (first, second) for row in self._history.find_images(f"digest:{digest}").rows]
        if len(rows) < 2:
            raise ConfigError(f"history does not have both of {first} and {second}")
        return rows

    def _say(self, tags: Sequence[tuple[str, str]], *, is_taken_back: bool = False) -> None:
        field = "remove_tags" if is_taken_back else "tags"
        says = [
            FeedbackInput.build(run_id=self._newest_run(digest).run_id, image_id=digest, **{field: [tag]})
            for digest, tag in tags
        ]
        if says:
            self._feedback.record_many(says)
