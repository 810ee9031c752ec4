"""LearningPlan: an experiment on purpose. What is varied, over which prompts and seeds; saved before it begins.

A plan is a file of its own and no part of a run folder. Its runs carry its id as a tag, so what of it is done can
always be told from the runs alone, whatever was killed in between.
"""

from collections.abc import Iterator
from itertools import product
from typing import ClassVar, Literal, NamedTuple

from stablenew.errors import InvalidDocument
from stablenew.formats.digest import digest_json
from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Document,
    Extensions,
    JsonObject,
    Name,
    SafeJson,
    SchemaVersion,
    Seed,
    Slug,
    Timestamp,
    WireModel,
)
from stablenew.formats.strict_json import JsonValue

SWEEP = "sweep"
GRID = "grid"
PRESETS = "presets"
METHODS = (SWEEP, GRID, PRESETS)
PLAN_TAG = "plan:"
STEP_TAG = "plan-step:"


class PlannedPrompt(WireModel):
    """A prompt of the plan."""

    positive: str
    negative: str | None = None
    prompt_id: Name | None = None


class PlannedAxis(WireModel):
    """A setting that is varied, by dotted name, and its values in order."""

    name: Name
    values: Array[SafeJson]


class PlannedPreset(WireModel):
    """Settings that are compared as a whole."""

    name: Name
    overrides: JsonObject


class PlanCell(NamedTuple):
    """One of the things that a plan compares."""

    number: int
    label: str
    overrides: dict[str, JsonValue]


class LearningRunStep(NamedTuple):
    """One run of a plan: a prompt and a seed, with every cell as a variant."""

    number: int
    prompt: PlannedPrompt
    seed: int
    tags: tuple[str, ...]


class LearningRunResult(NamedTuple):
    """What came of a step."""

    step: int
    run_id: str
    status: str
    """Of the run: `completed`, `partial`, `failed`, `cancelled`, or what its state says while it has no seal."""


class LearningPlan(Document):
    """A plan, whole: with it the experiment can be run again anywhere."""

    KIND: ClassVar[str] = "stablenew.learning_plan"

    kind: Literal["stablenew.learning_plan"] = "stablenew.learning_plan"
    schema_version: SchemaVersion = SCHEMA_VERSION
    name: Name
    created_at: Timestamp
    method: Slug
    """`sweep` over one setting, `grid` over two, or `presets`."""
    config: JsonObject
    """Everything that is not varied: a pipeline config."""
    prompts: Array[PlannedPrompt]
    seeds: Array[Seed]
    axes: Array[PlannedAxis]
    presets: Array[PlannedPreset]
    engine: str | None = None
    ext: Extensions | None = None
    """Extensions under reverse-DNS keys."""

    def check(self) -> None:
        """Do nothing, if the plan compares something as its method says.

        Raises:
            InvalidDocument: it does not; a schema cannot say that.
        """
        axes = {SWEEP: 1, GRID: 2, PRESETS: 0}.get(self.method)
        if axes is None:
            raise InvalidDocument(f"no method {self.method!r} of a plan; there are {', '.join(METHODS)}")
        if self.method == PRESETS and self.axes:
            raise InvalidDocument(f"expected presets to have no axes, found {len(self.axes)}")
        if self.method != PRESETS and (len(self.axes) != axes or self.presets):
            raise InvalidDocument(
                f"expected a {self.method} to have {axes} axes and no presets, "
                f"found {len(self.axes)} axes and {len(self.presets)} presets"
            )
        if len(self.cells) < 2:
            raise InvalidDocument("a plan compares two things or more")
        if not self.prompts or not self.seeds:
            raise InvalidDocument("a plan needs a prompt and a seed")

    @property
    def plan_id(self) -> str:
        """12 hex digits over everything in the plan: another plan, another id."""
        return digest_json(self.to_dict())[7:19]

    @property
    def tag(self) -> str:
        """The tag of all its runs."""
        return f"{PLAN_TAG}{self.plan_id}"

    @property
    def cells(self) -> tuple[PlanCell, ...]:
        """What is compared, in order; the last axis is the fastest."""
        return tuple(PlanCell(index, *cell) for index, cell in enumerate(self._iter_cells()))

    def _iter_cells(self) -> Iterator[tuple[str, dict[str, JsonValue]]]:
        for preset in self.presets:
            yield f"preset={preset.name}", dict(preset.overrides)
        if self.axes:
            for values in product(*(axis.values for axis in self.axes)):
                overrides = {axis.name: value for axis, value in zip(self.axes, values, strict=True)}
                yield "; ".join(f"{name}={value}" for name, value in overrides.items()), overrides

    @property
    def steps(self) -> tuple[LearningRunStep, ...]:
        """The runs that it takes, in order."""
        pairs = product(self.prompts, self.seeds)
        return tuple(
            LearningRunStep(index, prompt, seed, (self.tag, f"{STEP_TAG}{index}"))
            for index, (prompt, seed) in enumerate(pairs)
        )


def step_of(tags: "tuple[str, ...]") -> int | None:
    """The step that a run with these tags belongs to."""
    for tag in tags:
        number = tag.removeprefix(STEP_TAG)
        if tag.startswith(STEP_TAG) and number.isascii() and number.isdigit():
            return int(number)
    return None
