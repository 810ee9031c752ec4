"""The texts of one file as detectors ask for them: by key, and as JSON that is parsed once and within a budget."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Final

from stablenew.image_metadata.containers.container import Container, EmbeddedText
from stablenew.image_metadata.text_decoding import parse_json, repair_mojibake

_LONGEST_JSON: Final = 4 * 1024 * 1024
_MOST_JSON: Final = 8 * 1024 * 1024
"""What one file may have parsed: it bounds time and memory. The raw texts are kept whole whatever is derived."""
_MAIN: Final = (
    "parameters", "usercomment", "sidecar", "stealth", "comment", "description", "imagedescription", "xpcomment",
    "aipromptinformation", "metadata",
)  # fmt: skip
"""Where tools put the text that describes the generation, the most telling first."""
_QUOTED_JSON: Final = {'"{', '"['}
"""JSON that was written as a JSON text."""
_COMMENTS: Final = ("usercomment", "comment", "imagedescription")
_CONVERTED: Final = {
    "parameters", "invokeai_metadata", "invokeai_graph", "sd-metadata", "dream", "generation_data", "parameters-json",
    "smproj", "fooocus_scheme",
}  # fmt: skip


class Evidence:
    """What the detectors look at."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._texts: dict[str, list[str]] = {}
        for found in container.texts:
            self._texts.setdefault(found.key.casefold(), []).append(repair_mojibake(found.text))
        self._parsed: dict[str, Any] = {}
        self._budget = _MOST_JSON
        self._unpack_converted()

    def _unpack_converted(self) -> None:
        """Add the texts of a PNG that a converter kept as one JSON object, in the comment of a JPEG or WebP."""
        for value in self.iter_objects([*self.iter_texts(_COMMENTS)]):
            for name, item in value.items():
                if name.casefold() in _CONVERTED and isinstance(item, (str, dict)):
                    text = item if isinstance(item, str) else json.dumps(item)
                    self._texts.setdefault(name.casefold(), []).append(text)

    @property
    def texts(self) -> tuple[EmbeddedText, ...]:
        """Every text with its place, as it was found."""
        return tuple(self.container.texts)

    def text(self, *keys: str) -> str | None:
        """The first text under one of some keys; upper and lower case are the same."""
        return next(self.iter_texts(keys), None)

    def iter_texts(self, keys: Iterable[str]) -> Iterator[str]:
        """Every text under some keys, in their order."""
        for key in keys:
            yield from self._texts.get(key.casefold(), ())

    def iter_main_texts(self) -> Iterator[str]:
        """The texts that may describe a generation as a whole."""
        return iter(self._main_texts)

    def iter_all_texts(self) -> Iterator[str]:
        """Every text, whatever its key."""
        for texts in self._texts.values():
            yield from texts

    def json(self, *keys: str) -> Any:
        """The first JSON under one of some keys; None when there is none."""
        return next((value for text in self.iter_texts(keys) if (value := self.parse(text)) is not None), None)

    def object(self, *keys: str) -> dict[str, Any]:
        """The first JSON object under one of some keys; an empty one when there is none."""
        return next(self.iter_objects(self.iter_texts(keys)), {})

    def iter_objects(self, texts: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The JSON objects among some texts."""
        for text in texts:
            value = self.parse(text)
            if isinstance(value, dict):
                yield value

    def iter_main_objects(self) -> Iterator[dict[str, Any]]:
        """The JSON objects that may describe a generation as a whole."""
        return iter(self._main_objects)

    @cached_property
    def _main_texts(self) -> tuple[str, ...]:
        return tuple(text for key in _MAIN for text in self._texts.get(key, ()))

    @cached_property
    def _main_objects(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.iter_objects(self._main_texts))

    def parse(self, text: str) -> Any:
        """The JSON in a text; None when it is not JSON, or larger than the budget."""
        bare = text.lstrip("\0 \t\r\n\ufeff")
        if bare[:1] not in {"{", "["} and bare[:2] not in _QUOTED_JSON:
            return None
        if text not in self._parsed:
            is_affordable = len(text) <= min(_LONGEST_JSON, self._budget)
            if not is_affordable:
                self.container.report("a JSON text is too large to be understood; it is kept as it is")
            self._budget -= len(text) if is_affordable else 0
            value = parse_json(text) if is_affordable else None
            self._parsed[text] = parse_json(value) if isinstance(value, str) else value
        return self._parsed[text]
