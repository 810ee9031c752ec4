"""RunRecorder: record your own pipeline, whatever makes the images.

::

    with RunRecorder("runs", config={"steps": 30}) as run:
        for prompt in prompts:
            run.log(make_image(prompt), prompt=prompt, steps=30)
"""

import atexit
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from stablenew.disk.locks import ThreadLock
from stablenew.errors import InvalidDocument, RunExists
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import Closure
from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.formats.run_id import check_run_id, new_run_id
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.images.image_input import ImageLike
from stablenew.recording.new_run import RunDescription, build_source
from stablenew.recording.odd_values import OddValues, as_text, read_count
from stablenew.recording.recording_session import RecordingSession
from stablenew.recording.side_channel import (
    SideChannel,
    attempt,
    describe,
    log_error,
    log_warning,
    print_place_once,
)
from stablenew.recording.variant_record import DEFAULT_STAGE, BuiltVariant, VariantInput, build_variant
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore

_SHARED_FIELDS = ("source", "correlation", "one_click_action", "learning_tags", "config_digest")
"""Fields that every record repeats from its run."""


class RunRecorder:
    """One run of a pipeline that is not ours. Leaving the `with` block seals it.

    Recording is a side channel: whatever is wrong with a disk, an image or an argument, the block goes on. What does
    not fit is kept as text in the record, and what cannot be recorded at all is counted in the run's metadata and
    logged on leaving the block. With `strict=True` both raise at once instead. An exception of the block itself seals
    the run as failed (Ctrl-C: as cancelled) and is raised on.
    """

    def __init__(
        self,
        runs: RunStore | Path | str = "runs",
        *,
        config: Mapping[str, JsonValue] | None = None,
        name: str = "StableNew",
        engine: str | None = None,
        engine_version: str | None = None,
        packs: Sequence[Mapping[str, JsonValue]] = (),
        one_click_action: str | None = None,
        learning_tags: Sequence[str] = (),
        correlation: Mapping[str, JsonValue] | None = None,
        run_id: str | None = None,
        total: int | None = None,
        strict: bool = False,
        quiet: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`quiet` leaves out the line that says where to look at the run, which is printed on a terminal only."""
        self._strict = strict
        self._store = self._choose_store(runs)
        self._options: dict[str, Any] = {
            "config": {} if config is None else config,
            "packs": packs,
            "one_click_action": one_click_action,
            "learning_tags": learning_tags,
            "correlation": {} if correlation is None else correlation,
        }
        self._program = {"name": name, "engine": engine, "engine_version": engine_version}
        self._total: int = OddValues().fit("total", total, read_count, 0)
        self._is_quiet = quiet
        self._clock = clock
        self._channel = SideChannel("recording")
        self._guard = ThreadLock()
        self._session: RecordingSession | None = None
        self._was_started = False
        self._next_index = 0
        self._shared: dict[str, JsonValue] = {}
        self.run_id = self._choose_id(run_id)
        """Known from the first moment, also before anything is written."""
        self.closure: Closure | None = None
        """What a rerun depends on, if you know it: recorded at the end."""
        self.run: Run | None = None
        """The run folder: open from `start`, sealed after `finish`; None when it could not be made."""

    def _choose_store(self, runs: Any) -> RunStore:
        if isinstance(runs, RunStore):
            return runs
        store, error = attempt(_store_at, runs)
        if store is not None:
            return store
        if self._strict and error is not None:
            raise error
        store = RunStore("runs")
        log_warning(
            f"expected the path of a folder of runs, found {type(runs).__name__}. "
            f"What follows is recorded in {store.root}."
        )
        return store

    def __deepcopy__(self, _memo: object) -> Self:
        return self  # a copy of settings that hold a recorder records into the same run

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RunRecorder cannot go to another process; make one there, which records a run of its own")

    def _choose_id(self, wanted: str | None) -> str:
        chosen, error = attempt(check_run_id, wanted) if wanted is not None else (None, None)
        if error is not None and self._strict:
            raise error
        run_id = chosen or new_run_id(self._clock.now())
        if error is not None:
            log_warning(f"{error}. What follows is recorded as run {run_id}.")
        return run_id

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("cancelled")
        else:
            self.finish("failed", ErrorInfo(message=as_text(describe(error)), type=type(error).__name__))

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if type(error).__name__ == "CancelledError":  # of asyncio or of any other event loop
            self.finish("cancelled")
        else:
            self.__exit__(kind, error, traceback)

    @property
    def failure(self) -> str | None:
        """Why recording broke off, if it did."""
        return self._channel.summary()

    def start(self) -> None:
        """Make the run folder. A recorder that has recorded a run already begins another one, under an id of its own.

        Where the chosen id is taken, for example by a notebook cell that is run again, the run gets another id as well.
        """
        with self._guard:
            if self._session is not None:
                return
            if self._was_started and self._strict:
                raise RuntimeError(f"this RunRecorder has recorded run {self.run_id}; make a new one for another run")
            if self._was_started:
                self._begin_another("A RunRecorder records one run, and this one has")
            self._was_started = True
            self._session = self._call(self._open_session)
            self.run = self._session.run if self._session else None
        if self.run is not None and not self._is_quiet:
            print_place_once(self._store.root)

    def _begin_another(self, why: str) -> None:
        old, self.run_id = self.run_id, new_run_id(self._clock.now())
        self._next_index = 0
        log_warning(f"{why} recorded run {old}: what follows is recorded as run {self.run_id}.")

    def _open_session(self) -> RecordingSession:
        try:
            return self._new_session()
        except RunExists:
            if self._strict:
                raise
        self._begin_another("Choose another run_id, or none: somebody has")
        return self._new_session()

    def _new_session(self) -> RecordingSession:
        source = build_source(**self._program)  # type: ignore[arg-type]
        description = RunDescription(run_id=self.run_id, source=source, **self._options)
        session = RecordingSession(self._store, description, self._clock).start()
        metadata = session.metadata.to_dict()
        self._shared = {name: metadata[name] for name in ("run_id", *_SHARED_FIELDS) if name in metadata}
        return session

    def record_variant(
        self,
        *,
        prompt: str = "",
        images: ImageLike | Iterable[ImageLike] | None = (),
        negative_prompt: str = "",
        settings: Mapping[str, JsonValue] | None = None,
        actual: Mapping[str, JsonValue] | None = None,
        seeds: Sequence[int] | None = None,
        parents: Sequence[str | None] | None = None,
        stage: str = DEFAULT_STAGE,
        label: str | None = None,
        overrides: Mapping[str, JsonValue] | None = None,
        started_at: str | None = None,
        finished_at: str | None = None,
        duration_seconds: float | None = None,
        status: str | None = None,
        error: str | None = None,
        metrics: Mapping[str, float | Sequence[float]] | Sequence[Mapping[str, float]] | None = None,
        **others: Any,
    ) -> LearningRecord | None:
        """Record one executed variant with its images; when this returns, both survive a power cut.

        `images` are bytes, paths, open files, Pillow images, arrays or tensors, one or many. `settings` are those you
        asked for, `actual` those that ran, under the standard names (`steps`, `sampler`, `cfg_scale`, `seed`, `model`,
        …) or those of other programs (`guidance_scale`); `seeds` has one for each image, and so has `parents`: the
        digest of the output that it was made from. `metrics` are scores such as `{"aesthetic": 6.1}`: of the whole
        variant, or of each image, as `{"aesthetic": [6.1, 5.4]}` or a dict for each. `error` says why it failed.

        Returns the record, or None when it could not be written. What does not fit is in its `odd`.

        Raises:
            InvalidDocument: with `strict`, the first argument that does not fit.
        """
        given = VariantInput(
            prompt=prompt,
            images=images,
            negative_prompt=negative_prompt,
            settings=settings,
            actual=actual,
            seeds=seeds,
            parents=parents,
            stage=stage,
            label=label,
            overrides=overrides,
            started_at=started_at,
            finished_at=finished_at,
            duration_seconds=duration_seconds,
            status=status,
            error=error,
            metrics=metrics,
            others=others,
        )
        with self._guard:
            self._start_late()
            record: LearningRecord | None = self._call(self._record, given)
        return record

    def log(
        self,
        images: ImageLike | Iterable[ImageLike] | None = (),
        *,
        prompt: str = "",
        negative_prompt: str = "",
        metrics: Mapping[str, float | Sequence[float]] | Sequence[Mapping[str, float]] | None = None,
        **settings: Any,
    ) -> LearningRecord | None:
        """Record an image, or several that were made together: `run.log(image, prompt="a lake", steps=30, seed=5)`.

        Every other argument is a setting, under any name; for all else see `record_variant`.
        """
        return self.record_variant(
            prompt=prompt, negative_prompt=negative_prompt, images=images, metrics=metrics, settings=settings
        )

    def _start_late(self) -> None:
        """Start a recorder that is used without `with`, so that nothing is lost, and say how it is meant to be used."""
        if self._session is not None or (self._was_started and self.run is None):
            return
        if self._strict:
            raise RuntimeError("the run is not started, or finished already; use `with RunRecorder(…) as run:`")
        attempt(atexit.register, self.finish)  # not possible while the program ends
        self.start()
        log_warning(
            "record_variant was called outside of `with RunRecorder(…) as run:`. The run is sealed when the program "
            f"ends, or by `run.finish()` (run {self.run_id})."
        )

    def _record(self, given: VariantInput) -> LearningRecord:
        index, self._next_index = self._next_index, self._next_index + 1
        if self._session is None:
            raise RuntimeError(f"run {self.run_id} could not be started, so variant {index} is not recorded")
        self._session.check_process()
        total = max(self._total, index + 1)
        built, failure = attempt(build_variant, given, self._shared, index=index, total=total, clock=self._clock)
        if built is None:
            self._session.note_unrecorded(index, describe(failure) if failure else "it could not be understood")
            raise failure or RuntimeError("no record")
        if self._strict and built.problems:
            raise InvalidDocument(f"record_variant: this does not fit: {'; '.join(built.problems[:3])}")
        return self._keep(self._session, index, built)

    def _keep(self, session: RecordingSession, index: int, built: BuiltVariant) -> LearningRecord:
        for number, reason in built.unreadable.items():
            session.note_unrecorded(index, reason, image=number)
        return session.add_variant(built.record, built.images)

    def note_unrecorded(self, reason: str) -> None:
        """Count a variant that ran, but of which nothing can be recorded; the run is `partial` then."""
        with self._guard:
            index, self._next_index = self._next_index, self._next_index + 1
            if self._session is not None:
                self._session.note_unrecorded(index, reason)

    def finish(self, status: str = "completed", error: ErrorInfo | None = None) -> None:
        """Seal the run. Doing it twice is the same as once. What could not be recorded is logged once."""
        with self._guard:
            session, self._session = self._session, None
            if session is None:
                return
            atexit.unregister(self.finish)
            if (sealed := self._call(session.finish, status, error, self.closure)) is not None:
                self.run = sealed
            self._log_unrecorded(session)

    def _log_unrecorded(self, session: RecordingSession) -> None:
        lost = session.unrecorded
        if lost:
            why = "" if self._channel.failure else f", first: {lost[0].reason}"  # a failure was logged when it came
            log_error(f"{len(lost)} variants or images of run {self.run_id} could not be recorded{why}")

    def _call(self, function: Any, *args: Any) -> Any:
        return function(*args) if self._strict else self._channel.call(function, *args)


def _store_at(runs: Any) -> RunStore:
    """The store in a folder; `~` is the home folder, unless there is a folder of that name."""
    path = Path(os.fsdecode(runs))
    return RunStore(path.expanduser() if path.parts[:1] == ("~",) and not Path("~").exists() else path)
