"""AppController: what the command line and the web page call. It wires the parts together and has no logic of its own.

Parts are loaded when they are first used, so that a quick command stays quick.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew.app_config import AppConfig
from stablenew.controller.job_news import JOB_COMPLETED, RATING_CHANGED, JobAnnouncer, JobNews
from stablenew.controller.lazy_part import LazyPart
from stablenew.recording.side_channel import Hook, SideChannel

if TYPE_CHECKING:
    from stablenew.controller.datasets import Datasets
    from stablenew.controller.job_runner import Job, JobRunner
    from stablenew.controller.saved_views import SavedViews
    from stablenew.engines.engine import Engine
    from stablenew.formats.documents.feedback import Feedback, FeedbackEvent
    from stablenew.formats.documents.feedback_input import ComparisonInput, FeedbackInput
    from stablenew.formats.documents.pipeline_result import PipelineRunResult
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.importing.folder_imports import FolderImports
    from stablenew.index.job_history import JobHistory
    from stablenew.index.run_watcher import RunWatcher
    from stablenew.learning.learning_log import LearningLog
    from stablenew.pipeline.prompt_pack import PromptPack
    from stablenew.pipeline.recorded_plan import Plan
    from stablenew.pipeline.reproduction.comparison import Reproduction
    from stablenew.pipeline.rerun_engine import EngineChoice
    from stablenew.pipeline.run_options import RunOptions
    from stablenew.recording.feedback_manager import FeedbackManager, TagPlace
    from stablenew.store.run import Run
    from stablenew.store.run_description import RunSurvey
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.run_repair import RepairReport
    from stablenew.store.upkeep.verifying.verify_report import VerifyReport


class AppController:
    """One store with everything that is done with it. Threads may share it."""

    def __init__(
        self, app_config: AppConfig | None = None, *, runs_dir: Path | str | None = None, rater: str | None = None
    ) -> None:
        self.app_config = app_config or AppConfig()
        self.root = Path(runs_dir or self.app_config.get("runs_dir"))
        self._rater = rater
        self.guard = threading.RLock()
        self._progress_hook: Hook[Job] = Hook("a listener to the progress of runs")
        self._announcer = JobAnnouncer(lambda: self.history)
        self._rating_channel = SideChannel("saving a rating that came before its run")

    @LazyPart
    def run_store(self) -> "RunStore":
        """The run folders."""
        from stablenew.store.run_store import RunStore

        return RunStore(self.root)

    @LazyPart
    def history(self) -> "JobHistory":
        """The runs as jobs, from the index."""
        from stablenew.index.job_history import JobHistory

        rater = self._rater or self.app_config.get("rater") or None
        return JobHistory(self.root, recent_jobs=self.app_config.get("recent_jobs"), rater=rater)

    @LazyPart
    def feedback(self) -> "FeedbackManager":
        """Feedback on the runs, given as the rater of this controller, or of the settings."""
        return self.feedback_of(self._rater)

    def feedback_of(self, rater: str | None) -> "FeedbackManager":
        """Feedback on the runs, given as `rater`; None is the rater of the settings."""
        from stablenew.recording.feedback_manager import FeedbackManager

        return FeedbackManager(self.run_store, rater=rater or self.app_config.get("rater") or None)

    def forget_rater(self) -> None:
        """Give feedback as the rater that the settings name now."""
        vars(self).pop("feedback", None)
        if "history" in vars(self):
            self.history.rater = self.feedback.rater

    @LazyPart
    def views(self) -> "SavedViews":
        """Searches that were given a name."""
        from stablenew.controller.saved_views import FILE_NAME, SavedViews

        return SavedViews(self.app_config.path.with_name(FILE_NAME))

    @LazyPart
    def imports(self) -> "FolderImports":
        """Folders of images to take in, and those that are watched."""
        from stablenew.importing.folder_imports import FolderImports

        return FolderImports(self.run_store)

    @LazyPart
    def datasets(self) -> "Datasets":
        """The datasets of the runs, and what they teach."""
        from stablenew.controller.datasets import Datasets

        return Datasets(self.run_store, lambda: self.history)

    @LazyPart
    def learning_log(self) -> "LearningLog":
        """Every record of every run."""
        from stablenew.learning.learning_log import LearningLog

        return LearningLog(self.run_store)

    @LazyPart
    def jobs(self) -> "JobRunner":
        """Runs in the background, one after the other."""
        from stablenew.controller.job_runner import JobRunner

        return JobRunner(self.run_pipeline, on_change=self._progress_hook.emit, on_end=self._on_job_ended)

    def stop_imports(self) -> None:
        """End the watches of folders, if any was ever started."""
        if "imports" in vars(self):
            self.imports.stop()

    def build_watcher(self) -> "RunWatcher":
        """A watcher that keeps the index in step while it runs."""
        from stablenew.index.run_watcher import RunWatcher

        return RunWatcher(self.root)

    def open_engine(self, name: str | None = None, url: str | None = None) -> "Engine":
        """The engine of this name, or the one the settings name; the address in the settings is that of their engine.

        Raises:
            UnknownEngine, ConfigError: see `engine_registry.open_engine`.
        """
        from stablenew.engines.engine_registry import open_engine

        configured = self.app_config.get("engine")
        name = name or configured
        return open_engine(name, url=url or (name == configured and self.app_config.get("engine_url")) or None)

    def choose_engine_again(self, run: "Run", engine: str | None = None, url: str | None = None) -> "EngineChoice":
        """The engine that runs `run` again, asked whether it is there; see `pipeline.rerun_engine`.

        Raises:
            ConfigError, EngineError: it is not known or not there; nothing was started.
        """
        from stablenew.pipeline.rerun_engine import check_engine, choose_engine_again

        known_url = self.app_config.get("engine_url") or None
        choice = choose_engine_again(run.metadata, engine=engine, url=url, known_url=known_url)
        check_engine(choice, run.run_id)
        return choice

    def reproduction_of(self, run: "Run") -> "Reproduction | None":
        """What `run` proved about the run that it repeats, if it repeats one that is here."""
        from stablenew.pipeline.reproduction.run_facts import reproduction_of

        return reproduction_of(self.run_store, run)

    def run_pipeline(
        self,
        config: "PipelineConfig | None" = None,
        *,
        pack: "PromptPack | None" = None,
        plan: "Plan | None" = None,
        engine: str | None = None,
        url: str | None = None,
        options: "RunOptions | None" = None,
    ) -> "PipelineRunResult":
        """Run a pipeline with the engine of this name; see `PipelineController.run`."""
        from stablenew.controller.pipeline_controller import PipelineController

        controller = PipelineController(self.app_config, engine=self.open_engine(engine, url), runs_dir=self.root)
        result = controller.run(config, pack=pack, plan=plan, options=options)
        if result.run_path is not None:
            self.on_job_completed(result.run_id)
        return result

    def _on_job_ended(self, job: "Job") -> None:
        """A run that was not recorded is no job of history, but whoever waits for it is told of its end."""
        if not job.is_recorded:
            self._announcer.announce_unrecorded(job.run_id)

    def stop_jobs(self) -> None:
        """Stop the runs in the background, if any was ever started; they are sealed as cancelled."""
        if "jobs" in vars(self):
            self.jobs.stop()

    def iter_verify(
        self, names: Iterable[str] = (), *, deep: bool = False
    ) -> "Iterator[tuple[VerifyReport, int, int]]":
        """Verify runs, all when no names are given: each report, with how many are done, of how many.

        Raises:
            RunNotFound, AmbiguousRun: a name means no run.
        """
        from stablenew.store.upkeep.verifying.verifier_pool import iter_reports

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

    def subscribe(self, listener: Callable[[JobNews], object], *, only_ends: bool = False) -> None:
        """Call `listener` with news about jobs from now on, or only of their ends; if it raises, that is logged."""
        self._announcer.subscribe(listener, only_ends=only_ends)

    def subscribe_progress(self, listener: "Callable[[Job], object]") -> None:
        """Call `listener` with every step of the runs in the background; if it raises, that is logged."""
        self._progress_hook.subscribe(listener)

    def on_job_completed(self, job: "str | PipelineRunResult") -> None:
        """A run has ended: history shows it and listeners are told. The learning log reads the run folders itself.

        `job` is its id or its result. Ratings that came before the run are saved with it now.
        """
        job_id = job if isinstance(job, str) else job.run_id
        self._rating_channel.call(self._save_early_ratings, job_id)
        self._announcer.announce(JOB_COMPLETED, [job_id])

    def _save_early_ratings(self, job_id: str) -> None:
        from stablenew.recording.ratings_store import EarlyRatings

        EarlyRatings(self.run_store).save_with(job_id, self.feedback)

    def on_rating_changed(self, job_id: str, rating: int | None) -> None:
        """Somebody rated a whole job: the rating is saved, history shows it and listeners are told.

        Raises:
            RunNotFound: there is no such job.
            InvalidDocument: the rating is out of range; nothing is written.
        """
        self.feedback.record_feedback(job_id, None, rating)
        self._announcer.announce(RATING_CHANGED, [job_id])

    def record_feedback(self, batch: "Sequence[FeedbackInput]", *, rater: str | None = None) -> "list[Feedback]":
        """Record feedback on many images at once; see `FeedbackManager.record_many`. Listeners are told."""
        documents = self.feedback.record_many(batch, rater=rater)
        self._announcer.announce(RATING_CHANGED, dict.fromkeys(item.run_id for item in batch))
        return documents

    def record_comparisons(self, batch: "Sequence[ComparisonInput]", *, rater: str | None = None) -> "list[Feedback]":
        """Record comparisons of images of any runs; see `FeedbackManager.record_comparisons`. Listeners are told."""
        documents = self.feedback.record_comparisons(batch, rater=rater)
        self._announcer.announce(RATING_CHANGED, dict.fromkeys(document.run_id for document in documents))
        return documents

    def record_places(
        self, places: "Sequence[TagPlace]", *, act: str | None = None, rater: str | None = None
    ) -> "list[Feedback]":
        """Record where images stand in an album; see `FeedbackManager.record_places`. Listeners are told."""
        documents = self.feedback.record_places(places, act=act, rater=rater)
        self._announcer.announce(RATING_CHANGED, dict.fromkeys(place.run_id for place in places))
        return documents

    def undo_feedback(
        self, run_ids: Iterable[str], *, act: str | None = None, rater: str | None = None
    ) -> "list[FeedbackEvent]":
        """Undo the rater's latest act on each run, or the one called `act`; returns the events that no longer count.

        See `FeedbackManager.undo`. Listeners are told of the runs that changed.
        """
        undone = {run_id: self.feedback.undo(run_id, rater=rater, act=act) for run_id in run_ids}
        return self._announce_changed(undone)

    def redo_feedback(
        self, run_ids: Iterable[str], *, act: str | None = None, as_act: str | None = None, rater: str | None = None
    ) -> "list[FeedbackEvent]":
        """Redo what the last undo on each run took back; returns the new events. See `FeedbackManager.redo`."""
        redone = {run_id: self.feedback.redo(run_id, rater=rater, act=act, as_act=as_act) for run_id in run_ids}
        return self._announce_changed(redone)

    def _announce_changed(self, events: "dict[str, list[FeedbackEvent]]") -> "list[FeedbackEvent]":
        self._announcer.announce(RATING_CHANGED, [run_id for run_id, changed in events.items() if changed])
        return [event for changed in events.values() for event in changed]
