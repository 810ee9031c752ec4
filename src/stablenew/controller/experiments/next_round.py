"""The next experiment as a learning plan: one prompt, one seed, and each of the proposed settings as a preset."""

from collections.abc import Mapping, Sequence
from typing import Final

from stablenew.controller.experiments.plan_controller import build_plan
from stablenew.errors import ConfigError
from stablenew.formats.documents.learning_plan import LearningPlan
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.strict_json import JsonValue
from stablenew.learning.next_experiment import NextExperiment
from stablenew.pipeline.prompt_pack import Prompt

_FIRST_SEED: Final = 1_000
_FIXED_STAGE: Final = "txt2img."


def build_round(
    experiment: NextExperiment,
    prompts: Sequence[Prompt] = (),
    overrides: Mapping[str, JsonValue] | None = None,
    engine: str | None = None,
) -> LearningPlan:
    """The plan of one round. Each round takes the next of the prompts and another seed.

    `prompts` are by default those of the rated images. What is not tuned is as most rated images had it, unless
    `overrides` says otherwise.

    Raises:
        ConfigError: there is no prompt, nothing new to make, or a setting does not fit.
    """
    known = list(prompts) or [Prompt(positive, negative) for positive, negative in experiment.prompts]
    if not known:
        raise ConfigError("no image is rated yet: name a prompt with --prompt TEXT")
    round_number = experiment.rating_count // max(1, len(experiment.settings) + len(experiment.rate_first))
    fixed = {name: value for name, value in experiment.fixed.items() if name.startswith(_FIXED_STAGE)}
    presets = {
        ", ".join(f"{name.partition('.')[2]} {value}" for name, value in settings.items()): dict(settings)
        for settings in experiment.settings
    }
    return build_plan(
        f"round {round_number + 1}",
        PipelineConfig().with_overrides(fixed | dict(overrides or {})),
        [known[round_number % len(known)]],
        presets=list(presets.items()),
        seeds=[_FIRST_SEED + round_number],
        engine=engine,
    )
