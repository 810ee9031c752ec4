"""JobRunner: runs in the background, one after the other, with what a page wants to show of them meanwhile."""

import functools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from stablenew.engines.engine import CancelToken, EngineImage
from stablenew.errors import RunNotFound
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.pipeline_result import PipelineRunResult
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.run_id import new_run_id
from stablenew.pipeline.prompt_pack import PromptPack
from stablenew.pipeline.recorded_plan import Plan
from stablenew.pipeline.run_options import (
    STAGE_FINISHED,
    STAGE_PROGRESS,
    VARIANT_FINISHED,
    VARIANT_RECORDED,
    RunEvent,
    RunOptions,
)
from stablenew.recording.side_channel import attempt, describe

WAITING: Final = "waiting"
RUNNING: Final = "running"
_REMEMBERED: Final = 50
_PREVIEWS: Final = 24
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Preview:
    """An image of a run in progress, kept in memory only."""

    image: EngineImage
    variant: int
    digest: str | None
    """The digest that the record will have, once a stage has made the image; None while it is being made."""


@dataclass(slots=True)
class Job:
    """A run in progress, or ended recently. `to_dict` is its JSON form."""

    run_id: str
    label: str
    total: int
    """Variants in the plan."""
    stage_count: int
    is_recorded: bool
    status: str = WAITING
    """`waiting`, `running`, then how the run ended."""
    done: int = 0
    """Number of variants that have ended."""
    recorded: set[int] = field(default_factory=set)
    """Indexes of the variants that are on the disk."""
    stage: str | None = None
    stage_number: int = 0
    fraction: float = 0.0
    """How much of the current stage is done, from 0 to 1."""
    variant_label: str = ""
    error: str | None = None
    started: float | None = None
    ended: float | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    previews: dict[int, Preview] = field(default_factory=dict)
    """The most recent images, by number."""
    preview_count: int = 0
    revision: int = 0
    """Rises with every change, so that a listener that gets two changes in the wrong order knows the later one."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ended is not None

    @property
    def progress(self) -> float:
        """How much of the run is done, from 0 to 1."""
        variant = (self.stage_number + self.fraction) / max(1, self.stage_count)
        return 1.0 if self.is_over else min(1.0, (self.done + min(1.0, variant)) / max(1, self.total))

    @property
    def eta_seconds(self) -> float | None:
        """How long the rest will take at the pace so far; None as long as there is no pace."""
        if self.started is None or self.is_over or self.progress <= 0:
            return None
        elapsed = time.monotonic() - self.started
        return elapsed / self.progress - elapsed

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        elapsed = None if self.started is None else (self.ended or time.monotonic()) - self.started
        eta = self.eta_seconds
        return {
            "run_id": self.run_id,
            "revision": self.revision,
            "label": self.label,
            "status": self.status,
            "is_over": self.is_over,
            "is_recorded": self.is_recorded,
            "is_cancelling": self.cancel.is_cancelled and not self.is_over,
            "total": self.total,
            "done": self.done,
            "stage": self.stage,
            "fraction": round(self.fraction, 3),
            "progress": round(self.progress, 4),
            "variant_label": self.variant_label,
            "elapsed_seconds": None if elapsed is None else round(elapsed, 3),
            "eta_seconds": None if eta is None else round(eta, 1),
            "previews": [
                {"number": number, "digest": preview.digest, "is_recorded": preview.variant in self.recorded}
                for number, preview in sorted(self.previews.items())
            ],
            "error": self.error,
        }


class JobRunner:
    """Runs jobs in a thread of its own; calls `on_change` at every step and `on_end` at every end."""

    def __init__(
        self,
        run_pipeline: Callable[..., PipelineRunResult],
        *,
        on_change: Callable[[Job], object] = lambda _: None,
        on_end: Callable[[Job], object] = lambda _: None,
    ) -> None:
        self._run_pipeline = run_pipeline
        self._on_change = on_change
        self._on_end = on_end
        self._guard = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._waiting: queue.Queue[tuple[Job, Callable[[], PipelineRunResult]] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def start(
        self,
        config: PipelineConfig,
        *,
        plan: Plan,
        pack: PromptPack | None = None,
        engine: str | None = None,
        url: str | None = None,
        learning: bool,
    ) -> Job:
        """Queue a run. Its id is known from now on."""
        run_id = new_run_id(SYSTEM_CLOCK.now())
        label = pack.name if pack is not None else plan[0].prompt.positive[:60]
        job = Job(run_id, label, len(plan), len(config.stages), learning)
        with self._guard:
            self._jobs[run_id] = job
            self._forget_oldest()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="stablenew-jobs", daemon=True)
                self._thread.start()
        config = config.model_copy(update={"run_id": run_id})
        options = RunOptions(
            on_event=functools.partial(self._follow, job),
            wants_previews=True,
            keep_images=False,
            learning=learning,
            cancel=job.cancel,
        )
        fields = {"pack": pack, "plan": plan, "engine": engine, "url": url, "options": options}
        self._waiting.put((job, functools.partial(self._run_pipeline, config, **fields)))
        self._changed(job)
        return job

    def _forget_oldest(self) -> None:
        over = [run_id for run_id, job in self._jobs.items() if job.is_over]
        for run_id in over[: max(0, len(self._jobs) - _REMEMBERED)]:
            del self._jobs[run_id]

    def jobs(self) -> list[Job]:
        """The jobs that wait, run, or ended recently, in the order in which they were queued."""
        with self._guard:
            return list(self._jobs.values())

    def get(self, run_id: str) -> Job:
        """The job with this run id.

        Raises:
            RunNotFound: this program does not run it, or it ended long ago.
        """
        with self._guard:
            if run_id in self._jobs:
                return self._jobs[run_id]
        raise RunNotFound(f"run {run_id} is not one that this program runs now")

    def cancel(self, run_id: str) -> Job:
        """Ask a run to stop; what is finished of it is kept. Raises: see `get`."""
        job = self.get(run_id)
        job.cancel.cancel()
        self._changed(job)
        return job

    def stop(self) -> None:
        """Stop everything and wait until it is recorded, at most ten seconds."""
        for job in self.jobs():
            job.cancel.cancel()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            job, run_pipeline = item
            if job.cancel.is_cancelled:
                self._end(job, "cancelled", None)
            else:
                self._run(job, run_pipeline)

    def _run(self, job: Job, run_pipeline: Callable[[], PipelineRunResult]) -> None:
        job.status, job.started = RUNNING, time.monotonic()
        self._changed(job)
        result, failure = attempt(run_pipeline)
        if result is None:
            self._end(job, "failed", describe(failure) if failure else None)
        else:
            problem = result.error.message if result.error else None
            self._end(job, result.status, result.recording_error or problem)

    def _end(self, job: Job, status: str, error: str | None) -> None:
        job.status, job.error, job.ended = status, error, time.monotonic()
        self._changed(job)
        self._on_end(job)

    def _follow(self, job: Job, event: RunEvent) -> None:
        if event.kind == VARIANT_FINISHED and event.variant is not None:
            job.done, job.stage_number, job.fraction = event.variant + 1, 0, 0.0
        elif event.kind == VARIANT_RECORDED and event.variant is not None:
            job.recorded.add(event.variant)
        elif event.kind == STAGE_FINISHED:
            job.stage_number, job.fraction = job.stage_number + 1, 0.0
        elif event.kind == STAGE_PROGRESS:
            job.fraction = event.fraction or 0.0
        job.stage = event.stage or job.stage
        job.variant_label = event.label if event.label is not None else job.variant_label
        if event.images:
            self._show(job, event)
        self._changed(job)

    def _changed(self, job: Job) -> None:
        job.revision += 1
        self._on_change(job)

    def _show(self, job: Job, event: RunEvent) -> None:
        """Add images; previews of an unfinished image give way to later ones."""
        is_made = event.kind == STAGE_FINISHED
        previews = {number: shown for number, shown in job.previews.items() if shown.digest is not None}
        for image in event.images:
            digest = digest_bytes(image.data) if is_made else None
            previews[job.preview_count] = Preview(image, event.variant or 0, digest)
            job.preview_count += 1
        job.previews = dict(sorted(previews.items())[-_PREVIEWS:])
