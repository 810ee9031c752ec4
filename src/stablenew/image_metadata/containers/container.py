"""What a container reader gives: the texts that a file holds, and the facts of its format."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
"""No text is read beyond this, packed or not; a longer one is cut, and that is reported."""
MAX_TEXTS: Final = 512


@dataclass(frozen=True, slots=True)
class EmbeddedText:
    """One text that a file carries."""

    place: str
    """The part of the file: `png`, `exif`, `xmp`, `comment`, `tags`, `pixels`, `sidecar`."""
    key: str
    """Its keyword or the name of its tag."""
    text: str


@dataclass(slots=True)
class Container:
    """What was found in a file; filled by one reader, then only read."""

    media_type: str = "application/octet-stream"
    width: int | None = None
    height: int | None = None
    has_alpha: bool | None = None
    """None where the format does not say."""
    is_lossless: bool = False
    is_animated: bool = False
    texts: list[EmbeddedText] = field(default_factory=list)
    c2pa: bytes | None = None
    """The first bytes of a C2PA manifest store."""
    rating: int | None = None
    """Stars as XMP or EXIF give them, -1 for rejected."""
    problems: list[str] = field(default_factory=list)
    _room: int = 2 * MAX_TEXT_BYTES

    @property
    def room(self) -> int:
        """How many bytes of text may still be added: what bounds memory whatever a file claims."""
        return self._room

    def add(self, place: str, key: str, text: str) -> None:
        """Keep a text, if it says anything and there is room."""
        if not text.strip("\0 \t\r\n"):
            return
        if len(self.texts) >= MAX_TEXTS or len(text) > self._room:
            self.report(f"{place}:{key} was left out: the file holds too much text")
            return
        self._room -= len(text)
        self.texts.append(EmbeddedText(place, key, text))

    def report(self, problem: str) -> None:
        """Note a problem once."""
        if problem not in self.problems and len(self.problems) < MAX_TEXTS:
            self.problems.append(problem)

    def set_size(self, width: int, height: int) -> None:
        """Keep the size of the image, if it is one."""
        if width > 0 and height > 0:
            self.width, self.height = width, height

    def values(self, key: str, places: Iterable[str] = ()) -> list[str]:
        """Every text of a key, in the order of the file."""
        wanted = set(places)
        return [found.text for found in self.texts if found.key == key and (not wanted or found.place in wanted)]
