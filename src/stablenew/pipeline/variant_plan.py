"""VariantPlan: which variants a run makes, worked out one at a time.

Modes, over the combinations of a prompt's axes:

- `fanout`: every combination in order, the last axis fastest.
- `sequential`: each prompt takes the next combination in turn, and begins again after the last.
- `random`: each prompt takes combinations at random, none twice; sweeps take part in the draw.

`combination_limit` is the most combinations one prompt takes (`fanout`: all, otherwise one, when it is not given).
In `fanout` and `sequential` each combination runs with every value of the sweeps. `limit` is the most variants of the
whole plan; in `random` without a `combination_limit` each prompt draws as many as it takes to reach it.
With `draws_seeds` each prompt has one seed, drawn from `seed`, for all its variants: they differ in nothing else then.
"""

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Self, overload

from stablenew.errors import ConfigError
from stablenew.formats.documents.run_metadata import PlanSummary
from stablenew.formats.json_safe import json_safe
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.prompt_pack import Prompt, PromptPack
from stablenew.pipeline.randomizer import (
    SWEEP,
    Axis,
    apply_choices,
    axes_in_use,
    count_combinations,
    in_order,
    permute,
    pick_combination,
    standard_sweeps,
)

SEED: Final = "txt2img.seed"
SEED_BITS: Final = 32
FANOUT: Final = "fanout"
SEQUENTIAL: Final = "sequential"
RANDOM: Final = "random"
MODES: Final = {
    "fanout": FANOUT,
    "grid": FANOUT,
    "all": FANOUT,
    "sequential": SEQUENTIAL,
    "rotate": SEQUENTIAL,
    "round_robin": SEQUENTIAL,
    "random": RANDOM,
    "per_prompt": RANDOM,
}
"""Every name a mode is known by."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant, ready to run."""

    index: int
    total: int
    mode: str
    prompt: Prompt
    """With every choice put in."""
    label: str
    overrides: Mapping[str, JsonValue]
    """Settings by dotted name."""


@dataclass(frozen=True, slots=True)
class _Block:
    """The variants of one prompt."""

    prompt_number: int
    axes: tuple[Axis, ...]
    combinations: int
    picks: int
    sweeps: int
    """Variants that each pick runs as."""


@dataclass(frozen=True)
class VariantPlan(Sequence[Variant]):
    """A sequence of variants. Its length and any element cost the same however many there could be."""

    prompts: tuple[Prompt, ...]
    axes: tuple[Axis, ...] = ()
    sweeps: tuple[Axis, ...] = ()
    mode: str = FANOUT
    limit: int | None = None
    combination_limit: int | None = None
    seed: int = 0
    draws_seeds: bool = False
    _blocks: tuple[_Block, ...] = field(init=False, repr=False, compare=False)
    _ends: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"no mode {self.mode!r} for variants; there are {', '.join(sorted(set(MODES.values())))}")
        for name in ("limit", "combination_limit"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} must be 0 (none) or more, found {getattr(self, name)}")
        object.__setattr__(self, "sweeps", standard_sweeps(self.sweeps))
        for axis in self.sweeps:
            if not axis.values:
                raise ConfigError(f"the sweep over {axis.name} has no values")
        object.__setattr__(self, "mode", MODES[self.mode])
        blocks = tuple(self._build_block(number) for number in range(len(self.prompts)))
        object.__setattr__(self, "_blocks", blocks)
        object.__setattr__(self, "_ends", tuple(accumulate(block.picks * block.sweeps for block in blocks)))

    @classmethod
    def for_pack(
        cls,
        pack: PromptPack,
        *,
        axes: Iterable[Axis] = (),
        sweeps: Iterable[Axis] = (),
        mode: str | None = None,
        limit: int | None = None,
        seed: int = 0,
        draws_seeds: bool = False,
    ) -> Self:
        """The plan a pack asks for; `axes` and `sweeps` come on top, `mode` replaces the pack's."""
        return cls(
            prompts=pack.prompts,
            axes=(*pack.axes, *axes),
            sweeps=tuple(sweeps),
            mode=mode or pack.mode,
            limit=limit,
            combination_limit=pack.combination_limit,
            seed=seed,
            draws_seeds=draws_seeds,
        )

    def _build_block(self, number: int) -> _Block:
        prompt = self.prompts[number]
        axes = axes_in_use((prompt.positive, prompt.negative), in_order(self.axes))
        if self.mode == RANDOM:
            axes += self.sweeps
        combinations = count_combinations(axes)
        picks = min(combinations, self.combination_limit or self._default_picks(combinations))
        sweeps = 1 if self.mode == RANDOM else count_combinations(self.sweeps)
        return _Block(number, axes, combinations, picks, sweeps)

    def _default_picks(self, combinations: int) -> int:
        if self.mode == FANOUT:
            return combinations
        if self.mode == RANDOM and self.limit:
            return -(-self.limit // len(self.prompts))
        return 1

    def __len__(self) -> int:
        total = self._ends[-1] if self._ends else 0
        return min(total, self.limit) if self.limit else total

    @overload
    def __getitem__(self, index: int) -> Variant: ...
    @overload
    def __getitem__(self, index: slice) -> list[Variant]: ...
    def __getitem__(self, index: int | slice) -> Variant | list[Variant]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"variant {index} of {len(self)}")
        number = bisect_right(self._ends, position)
        start = self._ends[number - 1] if number else 0
        return self._build_variant(self._blocks[number], position, position - start)

    def __iter__(self) -> Iterator[Variant]:
        return (self[index] for index in range(len(self)))

    def _build_variant(self, block: _Block, index: int, offset: int) -> Variant:
        pick, sweep = divmod(offset, block.sweeps)
        axes, values = block.axes, pick_combination(block.axes, self._combination(block, pick))
        if self.mode != RANDOM:
            axes, values = axes + self.sweeps, values + pick_combination(self.sweeps, sweep)
        prompt = self.prompts[block.prompt_number]
        overrides: dict[str, JsonValue] = {SEED: self._draw_seed(block.prompt_number)} if self.draws_seeds else {}
        overrides |= {axis.name: value for axis, value in zip(axes, values, strict=True) if axis.kind == SWEEP}
        return Variant(
            index=index,
            total=len(self),
            mode=self.mode,
            prompt=prompt.with_text(
                apply_choices(prompt.positive, axes, values), apply_choices(prompt.negative, axes, values)
            ),
            label="; ".join(axis.label(value) for axis, value in zip(axes, values, strict=True)),
            overrides=overrides,
        )

    def _draw_seed(self, prompt_number: int) -> int:
        return random.Random(f"{self.seed} {prompt_number}").getrandbits(SEED_BITS)  # noqa: S311  # no secret

    def _combination(self, block: _Block, pick: int) -> int:
        if self.mode == SEQUENTIAL:
            return (block.prompt_number * block.picks + pick) % block.combinations
        if self.mode == RANDOM:
            return permute(pick, block.combinations, self.seed + block.prompt_number)
        return pick

    @property
    def combinations(self) -> int:
        """Variants there could be without any limit."""
        per_prompt = count_combinations(self.sweeps) if self.mode != RANDOM else 1
        return sum(block.combinations * per_prompt for block in self._blocks)

    def summary(self) -> PlanSummary:
        """The plan as run metadata holds it."""
        used = {axis.name: axis for block in self._blocks for axis in (*block.axes, *self.sweeps)}
        fields: dict[str, JsonValue] = {
            "mode": self.mode,
            "size": len(self),
            "combinations": self.combinations if self.combinations < 10**64 else None,
            "axes": [{"name": axis.token, "values": json_safe(axis.values)} for axis in used.values()],
        }
        if self.limit:
            fields["limit"] = self.limit
        if self.mode == RANDOM:
            fields["seed"] = self.seed
        return PlanSummary.model_validate(fields)
