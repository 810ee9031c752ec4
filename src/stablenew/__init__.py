"""StableNew: the flight recorder and learning groundwork for image generation with Stable Diffusion.

Names are imported when they are first used, so that `import stablenew` costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stablenew.app_config import AppConfig
    from stablenew.controller.app_controller import AppController
    from stablenew.controller.pipeline_controller import PipelineController
    from stablenew.engines.engine import CancelToken, Engine, EngineImage, EngineInfo, StageRequest, StageResult
    from stablenew.engines.engine_registry import open_engine
    from stablenew.engines.sketch import SketchEngine
    from stablenew.errors import StableNewError
    from stablenew.formats.dataset_ledger import DatasetLedger
    from stablenew.formats.feedback import Feedback, FeedbackEvent, merge_feedback
    from stablenew.formats.job_summary import JobSummary
    from stablenew.formats.learning_plan import LearningPlan, LearningRunResult, LearningRunStep
    from stablenew.formats.learning_record import LearningRecord
    from stablenew.formats.output_reference import OutputReference
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.formats.pipeline_result import PipelineRunResult, VariantResult
    from stablenew.formats.run_metadata import RunMetadata
    from stablenew.formats.stage_event import StageEvent
    from stablenew.index.job_history import JobHistory
    from stablenew.index.run_watcher import RunWatcher
    from stablenew.learning.dataset_builder import DatasetBuilder
    from stablenew.learning.dataset_reader import Dataset
    from stablenew.learning.evidence import build_evidence
    from stablenew.learning.learning_contract import EvidenceContract, LearningContract, open_contract
    from stablenew.learning.learning_log import LearningLog
    from stablenew.learning.learning_runner import LearningRunner
    from stablenew.learning.llm_package import package_for_llm
    from stablenew.learning.split_plan import SplitPlan
    from stablenew.pipeline.pipeline_runner import PipelineRunner
    from stablenew.pipeline.prompt_pack import Prompt, PromptPack, read_prompt_pack
    from stablenew.pipeline.randomizer import Axis, parse_randomization
    from stablenew.pipeline.variant_plan import Variant, VariantPlan
    from stablenew.recording.feedback_manager import FeedbackManager
    from stablenew.recording.learning_record_builder import LearningContext, build_learning_record
    from stablenew.recording.learning_record_writer import InMemoryLearningRecordWriter, LearningRecordWriter
    from stablenew.recording.pipeline_recorder import record_pipeline
    from stablenew.recording.ratings_store import RatingsStore
    from stablenew.recording.run_recorder import RunRecorder
    from stablenew.store.finding import Finding, VerifyReport
    from stablenew.store.run import Run
    from stablenew.store.run_store import RunStore
    from stablenew.store.run_verifier import RunVerifier
    from stablenew.store.store_merge import merge_stores

__version__ = "0.1.0"

_HOMES = {
    "AppConfig": "app_config",
    "AppController": "controller.app_controller",
    "Axis": "pipeline.randomizer",
    "CancelToken": "engines.engine",
    "Dataset": "learning.dataset_reader",
    "DatasetBuilder": "learning.dataset_builder",
    "DatasetLedger": "formats.dataset_ledger",
    "Engine": "engines.engine",
    "EngineImage": "engines.engine",
    "EngineInfo": "engines.engine",
    "EvidenceContract": "learning.learning_contract",
    "Feedback": "formats.feedback",
    "FeedbackEvent": "formats.feedback",
    "FeedbackManager": "recording.feedback_manager",
    "Finding": "store.finding",
    "InMemoryLearningRecordWriter": "recording.learning_record_writer",
    "JobHistory": "index.job_history",
    "JobSummary": "formats.job_summary",
    "LearningContext": "recording.learning_record_builder",
    "LearningContract": "learning.learning_contract",
    "LearningLog": "learning.learning_log",
    "LearningPlan": "formats.learning_plan",
    "LearningRecord": "formats.learning_record",
    "LearningRecordWriter": "recording.learning_record_writer",
    "LearningRunResult": "formats.learning_plan",
    "LearningRunStep": "formats.learning_plan",
    "LearningRunner": "learning.learning_runner",
    "OutputReference": "formats.output_reference",
    "PipelineConfig": "formats.pipeline_config",
    "PipelineController": "controller.pipeline_controller",
    "PipelineRunResult": "formats.pipeline_result",
    "PipelineRunner": "pipeline.pipeline_runner",
    "Prompt": "pipeline.prompt_pack",
    "PromptPack": "pipeline.prompt_pack",
    "RatingsStore": "recording.ratings_store",
    "Run": "store.run",
    "RunMetadata": "formats.run_metadata",
    "RunRecorder": "recording.run_recorder",
    "RunStore": "store.run_store",
    "RunVerifier": "store.run_verifier",
    "RunWatcher": "index.run_watcher",
    "SketchEngine": "engines.sketch",
    "SplitPlan": "learning.split_plan",
    "StableNewError": "errors",
    "StageEvent": "formats.stage_event",
    "StageRequest": "engines.engine",
    "StageResult": "engines.engine",
    "Variant": "pipeline.variant_plan",
    "VariantPlan": "pipeline.variant_plan",
    "VariantResult": "formats.pipeline_result",
    "VerifyReport": "store.finding",
    "build_evidence": "learning.evidence",
    "build_learning_record": "recording.learning_record_builder",
    "merge_feedback": "formats.feedback",
    "merge_stores": "store.store_merge",
    "open_contract": "learning.learning_contract",
    "open_engine": "engines.engine_registry",
    "package_for_llm": "learning.llm_package",
    "parse_randomization": "pipeline.randomizer",
    "read_prompt_pack": "pipeline.prompt_pack",
    "record_pipeline": "recording.pipeline_recorder",
}
"""Module of each public name."""

__all__ = [
    "AppConfig",
    "AppController",
    "Axis",
    "CancelToken",
    "Dataset",
    "DatasetBuilder",
    "DatasetLedger",
    "Engine",
    "EngineImage",
    "EngineInfo",
    "EvidenceContract",
    "Feedback",
    "FeedbackEvent",
    "FeedbackManager",
    "Finding",
    "InMemoryLearningRecordWriter",
    "JobHistory",
    "JobSummary",
    "LearningContext",
    "LearningContract",
    "LearningLog",
    "LearningPlan",
    "LearningRecord",
    "LearningRecordWriter",
    "LearningRunResult",
    "LearningRunStep",
    "LearningRunner",
    "OutputReference",
    "PipelineConfig",
    "PipelineController",
    "PipelineRunResult",
    "PipelineRunner",
    "Prompt",
    "PromptPack",
    "RatingsStore",
    "Run",
    "RunMetadata",
    "RunRecorder",
    "RunStore",
    "RunVerifier",
    "RunWatcher",
    "SketchEngine",
    "SplitPlan",
    "StableNewError",
    "StageEvent",
    "StageRequest",
    "StageResult",
    "Variant",
    "VariantPlan",
    "VariantResult",
    "VerifyReport",
    "__version__",
    "build_evidence",
    "build_learning_record",
    "merge_feedback",
    "merge_stores",
    "open_contract",
    "open_engine",
    "package_for_llm",
    "parse_randomization",
    "read_prompt_pack",
    "record_pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
