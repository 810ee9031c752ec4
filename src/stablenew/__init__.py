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
    from stablenew.formats.documents.dataset_ledger import DatasetLedger
    from stablenew.formats.documents.feedback import Feedback, FeedbackEvent, merge_feedback
    from stablenew.formats.documents.job_summary import JobSummary
    from stablenew.formats.documents.learning_plan import LearningPlan, LearningRunResult, LearningRunStep
    from stablenew.formats.documents.learning_record import LearningRecord
    from stablenew.formats.documents.output_reference import OutputReference
    from stablenew.formats.documents.pipeline_result import PipelineRunResult, VariantResult
    from stablenew.formats.documents.run_metadata import RunMetadata
    from stablenew.formats.documents.stage_event import StageEvent
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.index.job_history import JobHistory
    from stablenew.index.run_watcher import RunWatcher
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.dataset.split_plan import SplitPlan
    from stablenew.learning.dataset_builder import DatasetBuilder
    from stablenew.learning.evidence.evidence import build_evidence
    from stablenew.learning.evidence.learning_package import package_for_llm
    from stablenew.learning.learning_contract import EvidenceContract, LearningContract, open_contract
    from stablenew.learning.learning_log import LearningLog
    from stablenew.learning.learning_runner import LearningRunner
    from stablenew.pipeline.diffusers_recorder import record_pipeline
    from stablenew.pipeline.pipeline_runner import PipelineRunner
    from stablenew.pipeline.prompt_pack import Prompt, PromptPack, read_prompt_pack
    from stablenew.pipeline.randomizer import Axis, parse_randomization
    from stablenew.pipeline.run_options import RunOptions
    from stablenew.pipeline.variant_plan import Variant, VariantPlan
    from stablenew.recording.feedback_manager import FeedbackManager
    from stablenew.recording.function_recorder import record
    from stablenew.recording.learning_record_builder import LearningContext, build_learning_record
    from stablenew.recording.learning_record_writer import InMemoryLearningRecordWriter, LearningRecordWriter
    from stablenew.recording.ratings_store import RatingsStore
    from stablenew.recording.run_recorder import RunRecorder
    from stablenew.store.run import Run
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.store_merge import merge_stores
    from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
    from stablenew.store.upkeep.verifying.verify_report import Finding, VerifyReport

__version__ = "0.2.0"

_HOMES = {
    "AppConfig": "app_config",
    "AppController": "controller.app_controller",
    "Axis": "pipeline.randomizer",
    "CancelToken": "engines.engine",
    "Dataset": "learning.dataset.reader",
    "DatasetBuilder": "learning.dataset_builder",
    "DatasetLedger": "formats.documents.dataset_ledger",
    "Engine": "engines.engine",
    "EngineImage": "engines.engine",
    "EngineInfo": "engines.engine",
    "EvidenceContract": "learning.learning_contract",
    "Feedback": "formats.documents.feedback",
    "FeedbackEvent": "formats.documents.feedback",
    "FeedbackManager": "recording.feedback_manager",
    "Finding": "store.upkeep.verifying.verify_report",
    "InMemoryLearningRecordWriter": "recording.learning_record_writer",
    "JobHistory": "index.job_history",
    "JobSummary": "formats.documents.job_summary",
    "LearningContext": "recording.learning_record_builder",
    "LearningContract": "learning.learning_contract",
    "LearningLog": "learning.learning_log",
    "LearningPlan": "formats.documents.learning_plan",
    "LearningRecord": "formats.documents.learning_record",
    "LearningRecordWriter": "recording.learning_record_writer",
    "LearningRunResult": "formats.documents.learning_plan",
    "LearningRunStep": "formats.documents.learning_plan",
    "LearningRunner": "learning.learning_runner",
    "OutputReference": "formats.documents.output_reference",
    "PipelineConfig": "formats.pipeline_config",
    "PipelineController": "controller.pipeline_controller",
    "PipelineRunResult": "formats.documents.pipeline_result",
    "PipelineRunner": "pipeline.pipeline_runner",
    "Prompt": "pipeline.prompt_pack",
    "PromptPack": "pipeline.prompt_pack",
    "RatingsStore": "recording.ratings_store",
    "Run": "store.run",
    "RunMetadata": "formats.documents.run_metadata",
    "RunOptions": "pipeline.run_options",
    "RunRecorder": "recording.run_recorder",
    "RunStore": "store.run_store",
    "RunVerifier": "store.upkeep.verifying.run_verifier",
    "RunWatcher": "index.run_watcher",
    "SketchEngine": "engines.sketch",
    "SplitPlan": "learning.dataset.split_plan",
    "StableNewError": "errors",
    "StageEvent": "formats.documents.stage_event",
    "StageRequest": "engines.engine",
    "StageResult": "engines.engine",
    "Variant": "pipeline.variant_plan",
    "VariantPlan": "pipeline.variant_plan",
    "VariantResult": "formats.documents.pipeline_result",
    "VerifyReport": "store.upkeep.verifying.verify_report",
    "build_evidence": "learning.evidence.evidence",
    "build_learning_record": "recording.learning_record_builder",
    "merge_feedback": "formats.documents.feedback",
    "merge_stores": "store.upkeep.store_merge",
    "open_contract": "learning.learning_contract",
    "open_engine": "engines.engine_registry",
    "package_for_llm": "learning.evidence.learning_package",
    "parse_randomization": "pipeline.randomizer",
    "read_prompt_pack": "pipeline.prompt_pack",
    "record": "recording.function_recorder",
    "record_pipeline": "pipeline.diffusers_recorder",
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
    "RunOptions",
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
    "record",
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
