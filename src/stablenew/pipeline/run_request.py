"""RunRequest: what a person asks of a run, as they type it, made into a config and a plan.

The command line and the web page take the same words: `txt2img.steps=30` for a setting, `txt2img.cfg_scale=5,7,9` for a
sweep, `__mood__: calm | stormy` for what varies in the prompt.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stablenew.errors import ConfigError
from stablenew.formats.pipeline_config import RANDOM_SEED, PipelineConfig
from stablenew.formats.strict_json import JsonValue, parse_loose_json
from stablenew.pipeline.prompt_pack import PromptPack, unresolved_tokens
from stablenew.pipeline.randomizer import SWEEP, Axis, parse_randomization, standard_sweeps
from stablenew.pipeline.recorded_plan import Plan, RecordedPlan, config_of
from stablenew.pipeline.variant_plan import SEED, VariantPlan
from stablenew.store.run import Run

LARGEST_UNASKED_PLAN: Final = 1000
"""More variants than this run only when a limit says so."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to change about a pack, or about a run that is run again."""

    settings: Sequence[str] = ()
    """`STAGE.KEY=VALUE`; one turns its stage on."""
    sweeps: Sequence[str] = ()
    """`STAGE.KEY=V,V`."""
    randomize: Sequence[str] = ()
    """`cat => dog | fox`, `__mood__: a | b` or `slot: a | b`."""
    mode: str | None = None
    limit: int | None = None
    seed: int | None = None
    """Of every variant, and of random picks."""
    action: str | None = None
    tags: Sequence[str] = ()


def plan_pack(pack: PromptPack, request: RunRequest) -> tuple[PipelineConfig, VariantPlan]:
    """The pack's preset and plan, with what the request changes. In a sweep each prompt has one seed, drawn here.

    Raises:
        PromptPackError: a line of the randomization has none of the three forms.
        ConfigError: a setting that does not exist or does not fit, an unknown mode, or far too many variants.
    """
    preset = PipelineConfig(**pack.preset, one_click_action=request.action, learning_tags=tuple(request.tags))
    config, sweeps = preset.with_overrides(_overrides(request)), _sweep_axes(request)
    has_seed = config.txt2img.seed != RANDOM_SEED or any(axis.name == SEED for axis in standard_sweeps(sweeps))
    plan = VariantPlan.for_pack(
        pack,
        axes=parse_randomization("\n".join(request.randomize)),
        sweeps=sweeps,
        mode=request.mode,
        limit=request.limit,
        seed=request.seed if request.seed is not None else secrets.randbits(32),
        draws_seeds=bool(sweeps) and not has_seed,
    )
    return config, plan


def plan_again(
    run: Run, request: RunRequest, *, has_new_seeds: bool = False
) -> tuple[PipelineConfig, RecordedPlan, PromptPack | None]:
    """Config and variants of an earlier run, with what the request changes, and its pack, by name.

    Raises:
        ConfigError: it has no variants that could run again, or see `plan_pack`.
        FormatError, OSError: its metadata cannot be read.
    """
    records, _ = run.read_records()
    config = config_of(run.metadata, records).with_overrides(_overrides(request))
    if request.action is not None or request.tags:
        config = config.model_copy(
            update={"one_click_action": request.action, "learning_tags": tuple(request.tags) or config.learning_tags}
        )
    plan = RecordedPlan.from_records(
        records,
        seed=RANDOM_SEED if has_new_seeds and request.seed is None else request.seed,
        sweeps=_sweep_axes(request),
        limit=request.limit,
        parent_run_id=run.run_id,
    )
    if not plan:
        raise ConfigError(f"run {run.run_id} has no variants that could run again")
    return config, plan, _pack_of(run, plan)


def _pack_of(run: Run, plan: RecordedPlan) -> PromptPack | None:
    """The pack that the run names, with the prompts as they were sent: its file may be gone by now."""
    named = run.metadata.packs[:1]
    prompts = tuple(variant.prompt for variant in plan)
    return next((PromptPack(pack.id, pack.name or pack.id, prompts, digest=pack.digest) for pack in named), None)


def check_plan_size(plan: Plan, request: RunRequest) -> None:
    """Refuse to start very many variants by mistake.

    Raises:
        ConfigError: there are more than `LARGEST_UNASKED_PLAN`, and no limit says that they are meant.
    """
    if request.limit is None and len(plan) > LARGEST_UNASKED_PLAN:
        raise ConfigError(
            f"the plan has {len(plan):,} variants; say --limit N, or --mode random --limit N for a sample"
        )


def warnings_about(plan: Plan) -> list[str]:
    """Warnings about what will run although it was probably not meant."""
    tokens = unresolved_tokens(plan.prompts, plan.axes) if isinstance(plan, VariantPlan) else []
    return [f"{token} has no values; it is sent as it stands" for token in tokens]


def _overrides(request: RunRequest) -> dict[str, JsonValue]:
    return parse_assignments(request.settings) | ({} if request.seed is None else {"txt2img.seed": request.seed})


def _sweep_axes(request: RunRequest) -> list[Axis]:
    return [Axis(SWEEP, name, tuple(values)) for name, values in parse_sweeps(request.sweeps)]


def parse_assignments(texts: Sequence[str], *, is_dotted: bool = True) -> dict[str, JsonValue]:
    """Setting and value of each `STAGE.KEY=VALUE`; unless `is_dotted`, the name of a setting may stand alone.

    Raises:
        ConfigError: one is not of that form.
    """
    pairs = (_split_assignment(text, is_dotted=is_dotted) for text in texts)
    return {name: parse_value(value) for name, value in pairs}


def parse_sweeps(sweeps: Sequence[str]) -> list[tuple[str, list[JsonValue]]]:
    """Setting and values of each `STAGE.KEY=V,V`.

    Raises:
        ConfigError: one is not of that form.
    """
    pairs = map(_split_assignment, sweeps)
    return [(name, [parse_value(value) for value in text.split(",") if value.strip()]) for name, text in pairs]


def _split_assignment(text: str, *, is_dotted: bool = True) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or (is_dotted and "." not in name):
        raise ConfigError(f"expected STAGE.KEY=VALUE, such as txt2img.steps=30, found {text!r}")
    return name.strip(), value


def parse_value(text: str) -> JsonValue:
    """A value as JSON where it is (30, 7.5, true, null), else the text itself (Euler a)."""
    text = text.strip()
    try:
        value: JsonValue = parse_loose_json(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text
