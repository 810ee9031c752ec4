"""Change: one thing in which a run differs from the run that it repeats."""

from dataclasses import dataclass
from typing import Final

from stablenew.formats.strict_json import JsonValue

FILE: Final = "file"
VERSION: Final = "version"
CUSTOM_NODE: Final = "custom_node"
DEVICE: Final = "device"
DTYPE: Final = "dtype"
FLAG: Final = "flag"
SETTING: Final = "setting"
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed."""

    kind: str
    name: str
    before: str | None = None
    """None: it was not there, or nothing said it."""
    after: str | None = None
    is_asked: bool = False
    """Whether somebody asked for the other value."""

    def describe(self) -> str:
        """The change in words."""
        if self.before is None:
            said = f"not there then, {_shorten(self.after)} now"
        elif self.after is None:
            said = f"{_shorten(self.before)} then, not there now"
        else:
            said = f"{_shorten(self.before)} then, {_shorten(self.after)} now"
        return f"{self.name}: {said}{' (as asked)' if self.is_asked else ''}"

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON form."""
        return {
            "kind": self.kind, "name": self.name, "before": self.before, "after": self.after,
            "is_asked": self.is_asked, "text": self.describe(),
        }  # fmt: skip


def _shorten(text: str | None) -> str:
    text = str(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
