"""PipelineController: settings, engine, store and subscribers wired together. It knows no user interface."""

from collections.abc import Callable
from pathlib import Path

from stablenew.app_config import AppConfig
from stablenew.engines.engine import Engine
from stablenew.engines.engine_registry import open_engine
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import PipelineRunResult
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.pipeline.pipeline_runner import PipelineRunner
from stablenew.pipeline.prompt_pack import PromptPack
from stablenew.pipeline.recorded_plan import Plan
from stablenew.pipeline.run_options import RunOptions
from stablenew.recording.learning_record_writer import RecordWriter
from stablenew.recording.side_channel import Hook
from stablenew.store.run_store import RunStore


class PipelineController:
    """Runs pipelines with the application's settings.

    Runs are recorded when learning is on: the application's setting, or `learning_enabled` of the run's own config. An
    injected `learning_record_writer` gets the records then as well. With learning off, nothing is written and no
    callback is called.
    """

    def __init__(
        self,
        app_config: AppConfig | None = None,
        *,
        engine: Engine | None = None,
        runs_dir: Path | str | None = None,
        learning_record_writer: RecordWriter | None = None,
        on_learning_record: Callable[[LearningRecord], object] | None = None,
    ) -> None:
        self.app_config = app_config or AppConfig()
        self._engine = engine
        self._runs_dir = Path(runs_dir) if runs_dir is not None else None
        self._writer = learning_record_writer
        self._on_learning_record = on_learning_record
        self._callbacks: Hook[LearningRecord] = Hook("a learning record callback")
        self._callbacks.subscribe(on_learning_record)
        self._last_record: LearningRecord | None = None

    @property
    def engine(self) -> Engine:
        """The engine that was given, or the one the settings name."""
        if self._engine is None:
            self._engine = open_engine(self.app_config.get("engine"), url=self.app_config.get("engine_url") or None)
        return self._engine

    @property
    def run_store(self) -> RunStore:
        """The store that runs are recorded in."""
        return RunStore(self._runs_dir or self.app_config.get("runs_dir"))

    @property
    def learning_enabled(self) -> bool:
        """Whether runs are recorded; setting it keeps it."""
        return self.app_config.learning_enabled

    @learning_enabled.setter
    def learning_enabled(self, value: bool) -> None:
        self.app_config.learning_enabled = value

    @property
    def last_learning_record(self) -> LearningRecord | None:
        """The last record made, for tests."""
        return self._last_record

    def register_learning_record_callback(self, callback: Callable[[LearningRecord], object]) -> None:
        """Call `callback` with each record from now on.

        All callbacks get the same instance; one that raises is logged and the others are called all the same.
        """
        self._callbacks.subscribe(callback)

    def clear_learning_record_callbacks(self) -> None:
        """Forget every callback that was registered; `on_learning_record` stays."""
        self._callbacks.clear()
        self._callbacks.subscribe(self._on_learning_record)

    def run(
        self,
        config: PipelineConfig | None = None,
        *,
        pack: PromptPack | None = None,
        plan: Plan | None = None,
        options: RunOptions | None = None,
    ) -> PipelineRunResult:
        """Run a pipeline; see `PipelineRunner.run`. `options.learning` decides for this run, if it is given."""
        config, options = config or PipelineConfig(), options or RunOptions()
        is_learning = self.learning_enabled or config.learning_enabled if options.learning is None else options.learning
        runner = self._build_runner() if is_learning else PipelineRunner(self.engine)
        return runner.run(config, pack=pack, plan=plan, options=options)

    def get_learning_runner_for_tests(self) -> PipelineRunner:
        """The runner that `run` uses when learning is on: it records, and tells the writer and the callbacks."""
        return self._build_runner()

    def _build_runner(self) -> PipelineRunner:
        return PipelineRunner(
            self.engine,
            run_store=self.run_store,
            learning_record_writer=self._writer,
            on_learning_record=self._on_record,
        )

    def _on_record(self, record: LearningRecord) -> None:
        self._last_record = record
        self._callbacks.emit(record)
