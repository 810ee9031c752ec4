"""Maker: the program that made an image, as exports name it, and what kind of source that is. Pure."""

from dataclasses import dataclass
from typing import Final

from stablenew.formats.documents.run_metadata import Source

_VOCABULARY: Final = "http://cv.iptc.org/newscodes/digitalsourcetype"
_MODELLESS: Final = frozenset({"sketch"})


@dataclass(frozen=True, slots=True)
class Maker:
    """The program that made an image."""

    name: str
    version: str | None = None

    @property
    def digital_source_type(self) -> str:
        """The kind of source, as the IPTC's vocabulary `digitalsourcetype` names it."""
        return f"{_VOCABULARY}/{'algorithmicMedia' if self.name in _MODELLESS else 'trainedAlgorithmicMedia'}"


def maker_of(source: Source) -> Maker:
    """The engine of a run; where it has none, the program that recorded itself."""
    if source.engine is not None:
        return Maker(source.engine, source.engine_version)
    return Maker(source.name, source.version)
