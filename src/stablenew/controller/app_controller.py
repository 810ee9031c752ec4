"""AppController: what the command line and the web page call. It wires the parts together and has no logic of its own.

Parts are loaded when they are first used, so that a quick command stays quick.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.app_config import AppConfig

if TYPE_CHECKING:
    from stablenew.controller.insights import RememberedInsights
    from stablenew.controller.job_runner import Job, JobRunner
    from stablenew.controller.saved_views import SavedViews
    from stablenew.engines.engine import CancelToken, Engine
    from stablenew.formats.documents.dataset_ledger import DatasetLedger
    from stablenew.formats.documents.feedback import Feedback
    from stablenew.formats.documents.pipeline_result import PipelineRunResult
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.index.job_history import JobHistory
    from stablenew.index.run_watcher import RunWatcher
    from stablenew.learning.dataset.executor import PartEngine, Progress
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.dataset.source.run_source import RunSource
    from stablenew.learning.dataset.split_plan import SplitPlan
    from stablenew.learning.learning_log import LearningLog
    from stablenew.pipeline.prompt_pack import PromptPack
    from stablenew.pipeline.recorded_plan import Plan
    from stablenew.pipeline.run_hooks import RunEvent
    from stablenew.recording.feedback_input import FeedbackInput
    from stablenew.recording.feedback_manager import FeedbackManager
    from stablenew.store.run import Run
    from stablenew.store.run_description import RunSurvey
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.run_repair import RepairReport
    from stablenew.store.upkeep.verify_report import VerifyReport

JOB_COMPLETED: Final = "job_completed"
RATING_CHANGED: Final = "rating_changed"
_PATIENCE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class JobNews:
    """Something that panels show at once."""

    kind: str
    """`job_completed` or `rating_changed`."""
    run_id: str
    job: dict[str, Any] | None
    """The job as history now has it, in the JSON form of JobSummary; None when history does not have it."""


if TYPE_CHECKING:
    _part = cached_property
else:

    class _part(cached_property):  # noqa: N801  # reads as the decorator it is
        """A part of the controller, made when it is first used; once, also when two threads ask at the same time."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                return self
            with instance.guard:
                return super().__get__(instance, owner)


class AppController:
    """One store with everything that is done with it. Threads may share it."""

    def __init__(
        self, app_config: AppConfig | None = None, *, runs_dir: Path | str | None = None, rater: str | None = None
    ) -> None:
        self.app_config = app_config or AppConfig()
        self.root = Path(runs_dir or self.app_config.get("runs_dir"))
        self._rater = rater
        self.guard = threading.RLock()
        self.on_job_progress: Callable[[Job], object] = lambda _job: None
        """Hears of every step of the runs in the background."""
        self._listeners: list[Callable[[JobNews], object]] = []

    @_part
    def run_store(self) -> "RunStore":
        """The run folders."""
        from stablenew.store.run_store import RunStore

        return RunStore(self.root)

    @_part
    def history(self) -> "JobHistory":
        """The jobs in them, from the index."""
        from stablenew.index.job_history import JobHistory

        return JobHistory(self.root, recent_jobs=self.app_config.get("recent_jobs"))

    @_part
    def feedback(self) -> "FeedbackManager":
        """What people think of them, spoken by the rater of this controller, or of the settings."""
        return self.feedback_of(self._rater)

    def feedback_of(self, rater: str | None) -> "FeedbackManager":
        """The same, spoken by `rater`; None is the one of the settings."""
        from stablenew.recording.feedback_manager import FeedbackManager

        return FeedbackManager(self.run_store, rater=rater or self.app_config.get("rater") or None)

    def forget_rater(self) -> None:
        """Speak with the rater that the settings now name."""
        vars(self).pop("feedback", None)

    @_part
    def views(self) -> "SavedViews":
        """Searches that were given a name."""
        from stablenew.controller.saved_views import FILE_NAME, SavedViews

        return SavedViews(self.app_config.path.with_name(FILE_NAME))

    @_part
    def learning_log(self) -> "LearningLog":
        """Every record of every run."""
        from stablenew.learning.learning_log import LearningLog

        return LearningLog(self.run_store)

    @_part
    def jobs(self) -> "JobRunner":
        """Runs in the background, one after the other."""
        from stablenew.controller.job_runner import JobRunner

        return JobRunner(self.run_pipeline, on_change=self._tell_progress, on_end=self._on_job_ended)

    def build_watcher(self) -> "RunWatcher":
        """A watcher that keeps the index in step while it runs."""
        from stablenew.index.run_watcher import RunWatcher

        return RunWatcher(self.root)

    def open_engine(self, name: str | None = None, url: str | None = None) -> "Engine":
        """The engine of this name, or the one the settings name.

        Raises:
            UnknownEngine, ConfigError: see `engine_registry.open_engine`.
        """
        from stablenew.engines.engine_registry import open_engine

        return open_engine(name or self.app_config.get("engine"), url=url or self.app_config.get("engine_url") or None)

    def run_pipeline(
        self,
        config: "PipelineConfig | None" = None,
        *,
        pack: "PromptPack | None" = None,
        plan: "Plan | None" = None,
        engine: str | None = None,
        url: str | None = None,
        cancel: "CancelToken | None" = None,
        on_event: "Callable[[RunEvent], object] | None" = None,
        wants_previews: bool = False,
        on_variant_error: str = "continue",
        keep_images: bool = True,
        learning: bool | None = None,
    ) -> "PipelineRunResult":
        """Run a pipeline with the engine of this name; see `PipelineController.run`."""
        from stablenew.controller.pipeline_controller import PipelineController

        controller = PipelineController(
            self.app_config,
            engine=self.open_engine(engine, url),
            runs_dir=self.root,
            on_event=on_event,
            wants_previews=wants_previews,
        )
        result = controller.run(
            config,
            pack=pack,
            plan=plan,
            cancel=cancel,
            on_variant_error=on_variant_error,
            keep_images=keep_images,
            learning=learning,
        )
        if result.run_path is not None:
            self.on_job_completed(result.run_id)
        return result

    def _tell_progress(self, job: "Job") -> None:
        self.on_job_progress(job)

    def _on_job_ended(self, job: "Job") -> None:
        """A run of ours that was not recorded is no job of history, but whoever waits for it wants to know."""
        if not job.is_recorded:
            self._tell(JobNews(JOB_COMPLETED, job.run_id, None))

    def iter_verify(
        self, names: Iterable[str] = (), *, deep: bool = False
    ) -> "Iterator[tuple[VerifyReport, int, int]]":
        """Verify runs, all when no names are given: each report, with how many are done, of how many.

        Raises:
            RunNotFound, AmbiguousRun: a name means no run.
        """
        from stablenew.store.upkeep.verifier_pool import iter_reports

        runs = self._runs(names)
        for done, report in enumerate(iter_reports(runs, deep=deep), 1):
            yield report, done, len(runs)

    def iter_survey(self) -> "Iterator[tuple[RunSurvey, int, int]]":
        """What lies in each run folder, with how many are done, of how many."""
        from stablenew.store.run_description import survey_run

        runs = self._runs()
        for done, run in enumerate(runs, 1):
            yield survey_run(run), done, len(runs)

    def _runs(self, names: Iterable[str] = ()) -> "list[Run]":
        return [self.run_store.resolve(name) for name in names] or list(self.run_store.iter_runs())

    def iter_repair(
        self, names: Iterable[str] = (), *, dry_run: bool = False, force: bool = False
    ) -> "Iterator[tuple[RepairReport, int, int]]":
        """Bring runs into order, all when no names are given: each report, with how many are done, of how many.

        See `run_repair.repair_run`; a run that cannot be repaired does not stop the others.

        Raises:
            RunNotFound, AmbiguousRun: a name means no run; nothing was done.
        """
        from stablenew.store.upkeep.run_repair import repair_or_explain

        runs = self._runs(names)
        for done, run in enumerate(runs, 1):
            yield repair_or_explain(run, dry_run=dry_run, force=force), done, len(runs)

    def subscribe(self, listener: Callable[[JobNews], object]) -> None:
        """Call `listener` with each piece of news from now on."""
        self._listeners.append(listener)

    def on_job_completed(self, job_id: str) -> None:
        """A run has ended: history takes it in, panels hear of it. The learning log has it: it reads the folders."""
        self._tell_about(JOB_COMPLETED, job_id)

    def on_rating_changed(self, job_id: str, rating: int | None) -> None:
        """Somebody rated a whole job: that is kept, history takes it in, and panels hear of it.

        Raises:
            RunNotFound: there is no such job.
            InvalidDocument: the rating is none; nothing is written.
        """
        self.feedback.record_feedback(job_id, None, rating)
        self._tell_about(RATING_CHANGED, job_id)

    def record_feedback(self, batch: "Sequence[FeedbackInput]") -> "list[Feedback]":
        """Record feedback on many images at once; see `FeedbackManager.record_many`. History and panels follow."""
        documents = self.feedback.record_many(batch)
        self._tell_about(RATING_CHANGED, *dict.fromkeys(item.run_id for item in batch))
        return documents

    def build_dataset(
        self,
        folder: Path,
        *,
        query: str = "",
        split: "SplitPlan | None" = None,
        formats: Sequence[str] = (),
        source: "RunSource | None" = None,
        engine: "PartEngine | None" = None,
        is_incremental: bool = True,
        progress: "Progress" = lambda _done, _total: None,
    ) -> "DatasetLedger":
        """Build a dataset of the runs that `query` finds; see `DatasetBuilder.build_learning_dataset`.

        `source` is another store than this one, on object storage say; a query cannot look into it.

        Raises:
            ConfigError: a query and a `source`.
        """
        from stablenew.errors import ConfigError
        from stablenew.learning.dataset_builder import DatasetBuilder

        if source is not None and query:
            raise ConfigError("a query looks into the history of this machine, and cannot look into another store")
        run_ids = None
        if query:
            self.history.parse(query)
            self.history.refresh(is_patient=True)
            run_ids = self.history.run_ids(query)
        return DatasetBuilder(source or self.run_store, engine=engine).build_learning_dataset(
            folder,
            run_ids=run_ids,
            query=query,
            split=split,
            formats=formats,
            is_incremental=is_incremental,
            progress=progress,
        )

    def open_dataset(self, query: str = "", *, progress: "Progress" = lambda _done, _total: None) -> "Dataset":
        """A dataset of this store that is kept in the cache folder and brought up to date each time."""
        from stablenew.formats.digest import digest_bytes
        from stablenew.learning.dataset.reader import Dataset
        from stablenew.store.local_state import cache_folder, store_key

        name = f"{store_key(self.root)}-{digest_bytes(query.encode())[-12:]}" if query else store_key(self.root)
        folder = cache_folder() / "datasets" / name
        self.build_dataset(folder, query=query, progress=progress)
        return Dataset(folder)

    def look_at_insights(self, query: str = "", *, progress: "Progress" = lambda _done, _total: None) -> dict[str, Any]:
        """What the ratings of the runs that `query` finds say about settings; see `describe_insights`.

        Raises:
            InvalidQuery: `query` is none.
        """
        return self._insights.describe(self.open_dataset(query, progress=progress))

    @_part
    def _insights(self) -> "RememberedInsights":
        from stablenew.controller.insights import RememberedInsights

        return RememberedInsights()

    def _tell_about(self, kind: str, *job_ids: str) -> None:
        """Without listeners nothing is looked up: history takes changes in when somebody looks."""
        if not self._listeners:
            return
        self.history.refresh()
        for job_id in job_ids:
            self._tell(JobNews(kind, job_id, self._find_job(job_id, is_over=kind == JOB_COMPLETED)))

    def _find_job(self, job_id: str, *, is_over: bool) -> dict[str, Any] | None:
        """The job as history has it; where another thread keeps the index in step, that may take a moment."""
        from stablenew.errors import RunNotFound
        from stablenew.store.run import RUNNING

        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            job = None
            with contextlib.suppress(RunNotFound):
                job = self.history.get(job_id).to_dict()
            is_late = job is None or (is_over and job["state"] == RUNNING)
            if not is_late or time.monotonic() > until:
                return job
            time.sleep(_PAUSE_SECONDS)
            self.history.refresh()

    def _tell(self, news: JobNews) -> None:
        for listener in tuple(self._listeners):
            listener(news)
