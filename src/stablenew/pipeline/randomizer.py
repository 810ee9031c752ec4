"""What can vary in a prompt: search and replace, wildcards, matrix slots; and in the settings: sweeps.

Written as text, one per line::

    person => man | woman        search and replace
    __mood__: calm | stormy      wildcard
    time: dawn | noon            matrix slot, [[time]] in the prompt
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import xxhash

from stablenew.errors import PromptPackError
from stablenew.formats.pipeline_config import standard_setting
from stablenew.formats.strict_json import JsonValue

REPLACE: Final = "replace"
WILDCARD: Final = "wildcard"
MATRIX: Final = "matrix"
SWEEP: Final = "sweep"

_ORDER: Final = {REPLACE: 0, WILDCARD: 1, MATRIX: 2, SWEEP: 3}
_FEISTEL_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies and its values, in order."""

    kind: str
    name: str
    """The text to replace, the wildcard or slot without its marks, or the dotted setting of a sweep."""
    values: tuple[JsonValue, ...]

    @property
    def token(self) -> str:
        """What stands in a prompt for this axis."""
        return {WILDCARD: f"__{self.name}__", MATRIX: f"[[{self.name}]]"}.get(self.kind, self.name)

    def label(self, value: JsonValue) -> str:
        """How a choice is named: `person->woman`, `__mood__=sad`, `[time]=dawn`, `txt2img.cfg_scale=7`."""
        if self.kind == REPLACE:
            return f"{self.name}->{value}"
        shown = {WILDCARD: self.token, MATRIX: f"[{self.name}]"}.get(self.kind, self.name)
        return f"{shown}={value}"


def standard_sweeps(sweeps: Iterable[Axis]) -> tuple[Axis, ...]:
    """Sweeps under the standard names of their settings: a dataset would not know under another what varied.

    Raises:
        ConfigError: there is no such setting.
    """
    return tuple(replace(axis, name=standard_setting(axis.name)) for axis in sweeps)


def parse_randomization(text: str) -> tuple[Axis, ...]:
    """The axes written in `text`, in the order in which they apply: replace, wildcards, matrix.

    Raises:
        PromptPackError: a line has none of the three forms; the message names it.
    """
    axes = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            axes.append(_parse_line(line.strip(), number))
    return in_order(axes)


def _parse_line(line: str, number: int) -> Axis:
    if "=>" in line:
        kind, (name, _, values) = REPLACE, line.partition("=>")
    else:
        kind, (name, _, values) = MATRIX, line.partition(":")
    name = name.strip()
    choices = tuple(value.strip() for value in values.split("|"))
    if not name or not any(choices):
        raise PromptPackError(
            f"randomization line {number}: expected 'search => a | b', '__name__: a | b' or 'name: a | b', "
            f"found {line!r}"
        )
    if kind == MATRIX and len(name) > 4 and name.startswith("__") and name.endswith("__"):
        return Axis(WILDCARD, name[2:-2], choices)
    return Axis(kind, name.removeprefix("[[").removesuffix("]]"), choices)


def in_order(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """The axes in the order in which they apply; those of one kind stay as they are."""
    return tuple(sorted(axes, key=lambda axis: _ORDER[axis.kind]))


def axes_in_use(prompts: Sequence[str], axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """The prompt axes whose token stands in one of `prompts`, or in a value that an earlier axis may put there."""
    texts = list(prompts)
    used = []
    for axis in axes:
        if axis.values and any(axis.token in text for text in texts):
            used.append(axis)
            texts.extend(str(value) for value in axis.values)
    return tuple(used)


def count_combinations(axes: Iterable[Axis]) -> int:
    """How many ways there are to choose one value of each axis; 1 without axes."""
    total = 1
    for axis in axes:
        total *= len(axis.values)
    return total


def pick_combination(axes: Sequence[Axis], index: int) -> tuple[JsonValue, ...]:
    """Combination number `index` from 0; the last axis changes fastest. Nothing else is computed."""
    values = []
    for axis in reversed(axes):
        index, digit = divmod(index, len(axis.values))
        values.append(axis.values[digit])
    return tuple(reversed(values))


def apply_choices(text: str, axes: Sequence[Axis], values: Sequence[JsonValue]) -> str:
    """`text` with every prompt axis put in, in order."""
    for axis, value in zip(axes, values, strict=True):
        if axis.kind != SWEEP:
            text = text.replace(axis.token, str(value))
    return text


def permute(index: int, size: int, seed: int) -> int:
    """Where `index` goes in a shuffle of `range(size)`: every number once, in constant time and memory.

    A four-round Feistel network over the next power of four, walked until it lands inside the range.
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half_bits) - 1
    while True:
        left, right = index >> half_bits, index & mask
        for round_number in range(_FEISTEL_ROUNDS):
            key = xxhash.xxh64_intdigest(f"{seed}:{round_number}:{right}".encode())
            left, right = right, left ^ (key & mask)
        index = left << half_bits | right
        if index < size:
            return index
