"""What an engine can tell of itself before anything is made: what is there, what will work, and what will not."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """The state of an engine."""

    name: str
    version: str
    facts: dict[str, str] = field(default_factory=dict)
    """What it says of itself, such as the program and the checkpoint that is loaded."""
    names: dict[str, list[str]] = field(default_factory=dict)
    """What it knows: models, samplers, schedulers, upscalers, scripts."""
    problems: list[str] = field(default_factory=list)
    """What will not work, and what to do about it."""


@runtime_checkable
class Checkable(Protocol):
    """An engine that can be asked."""

    def check(self) -> EngineCheck:
        """What is there.

        Raises:
            EngineError: it cannot be reached; the message says what to do.
        """
        ...
