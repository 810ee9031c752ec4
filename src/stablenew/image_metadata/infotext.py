"""The text that the WebUIs write into their images: prompt, negative prompt, and a line of parameters. Pure.

The grammar is that of `modules/infotext_utils.py` in AUTOMATIC1111 and Forge, with what other programs made of it:
JSON that is not quoted (Civitai), templates before the parameters (SD.Next) or behind them (dynamic prompts).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_NEGATIVE: Final = "Negative prompt:"
_TEMPLATES: Final = ("Template:", "Negative Template:")
_KEY: Final = re.compile(r"\s*(\w[\w \-/.]{0,79}):[ \t]*")
_LEAST_PARAMETERS: Final = 3
_KNOWN: Final = {
    "steps",
    "sampler",
    "cfg scale",
    "seed",
    "size",
    "model",
    "model hash",
    "denoising strength",
    "version",
}
_LEAST_KNOWN: Final = 2
_TELLING: Final = {
    "steps": re.compile(r"\d+"),
    "seed": re.compile(r"-?\d+"),
    "cfg scale": re.compile(r"\d+(\.\d+)?"),
    "size": re.compile(r"\d+x\d+"),
    "model hash": re.compile(r"[0-9a-fA-F]{6,64}"),
    "denoising strength": re.compile(r"\d+(\.\d+)?"),
}
"""Of a generation at least one of these is there; prose has colons too, and now and then the word `Model`."""
_INLINE: Final = re.compile(r"\sSteps: \d{1,6},\s")
"""Where the parameters begin when a program took the line breaks away."""
_MOST_PARAMETERS: Final = 1_000
_LOOK_BACK: Final = 64
_LONGEST_LINE: Final = 1024 * 1024
_DECODER: Final = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Infotext:
    """What such a text says."""

    prompt: str
    negative_prompt: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    """In the order of the text; values unquoted, JSON as it stands. Empty when the text has no such line."""
    has_negative: bool = False
    """Whether a negative prompt is mentioned at all."""

    @property
    def is_generation(self) -> bool:
        """Whether the parameters are those of a generation, and not any text with colons."""
        said = {name.casefold(): value for name, value in self.parameters.items()}
        is_told = any(name in said and pattern.fullmatch(said[name]) for name, pattern in _TELLING.items())
        return is_told and len(said.keys() & _KNOWN) >= _LEAST_KNOWN


def parse_infotext(text: str) -> Infotext:
    """What the text says. One without parameters is a prompt, perhaps with a negative one."""
    lines = _restore_lines(text.strip("\0 \t\r\n").replace("\r\n", "\n").split("\n"))
    at, parameters = _find_parameters(lines)
    if at is None:
        at = len(lines)
    parts = _split_texts(lines[:at])
    for line in lines[at + 1 :]:
        if _TEMPLATES[0] not in line and _begins_with_known(line):  # the parameters go on: a program wrapped them
            parameters |= parse_parameters(line)
        parameters |= _trailing_template(line)
    for name in ("Template", "Negative Template"):
        if name in parts:
            parameters.setdefault(name, parts[name])
    return Infotext(parts[""], parts.get(_NEGATIVE, ""), parameters, has_negative=_NEGATIVE in parts)


def parse_parameters(line: str) -> dict[str, str]:
    """The pairs of a line of parameters."""
    return dict(_iter_parameters(line[:_LONGEST_LINE]))


def _restore_lines(lines: list[str]) -> list[str]:
    """The lines, where a program took away the breaks before the parameters and the negative prompt."""
    found = _INLINE.search(lines[-1])
    if found is None:
        return lines
    head, line = lines[-1][: found.start()], lines[-1][found.start() :].strip()
    if _begins_with_known(head) or not Infotext("", "", parse_parameters(line)).is_generation:
        return lines
    prompt, mark, negative = head.partition(f" {_NEGATIVE}")
    texts = [prompt, f"{_NEGATIVE}{negative}"] if mark and len(lines) == 1 else [head]
    return [*lines[:-1], *texts, line]


def _begins_with_known(line: str) -> bool:
    key = _KEY.match(line)
    return key is not None and key[1].strip().casefold() in _KNOWN


def _find_parameters(lines: list[str]) -> tuple[int | None, dict[str, str]]:
    """The last line that is one of parameters: a prompt may have lines that look like it, before."""
    fallback: tuple[int | None, dict[str, str]] = (None, {})
    for at in range(len(lines) - 1, max(-1, len(lines) - 1 - _LOOK_BACK), -1):
        if ":" not in lines[at]:
            continue
        found = parse_parameters(lines[at])
        if lines[at].lstrip().startswith("Steps:") and (len(found) >= _LEAST_PARAMETERS or _is_wrapped(lines[at:])):
            return at, found
        if at == len(lines) - 1 and Infotext("", "", found).is_generation:
            fallback = at, found
    return fallback


def _is_wrapped(lines: list[str]) -> bool:
    """Whether the parameters of a generation begin in the first line and go on in the next ones."""
    return Infotext("", "", parse_parameters(", ".join(_known_lines(lines)))).is_generation


def _known_lines(lines: list[str]) -> Iterator[str]:
    """The lines up to the first that does not begin with a parameter."""
    for line in lines:
        if not _begins_with_known(line):
            return
        yield line.strip().rstrip(",")


def _split_texts(lines: list[str]) -> dict[str, str]:
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in lines:
        bare = line.strip()
        is_negative = bare[: len(_NEGATIVE)].casefold() == _NEGATIVE.casefold()  # some write `Negative Prompt:`
        begins = _NEGATIVE if is_negative else next((t for t in _TEMPLATES if bare.startswith(t)), "")
        # only behind a negative prompt is "Template:" ours; before, it is a prompt that has this word
        if begins == _NEGATIVE or (begins and _NEGATIVE in parts):
            current = begins if begins == _NEGATIVE else begins.removesuffix(":")
            parts.setdefault(current, []).append(bare[len(begins) :].strip())
        else:
            parts[current].append(line)
    return {name: "\n".join(found).strip() for name, found in parts.items()}


def _trailing_template(line: str) -> dict[str, str]:
    for template in _TEMPLATES:
        if line.startswith(template):
            return {template.removesuffix(":"): line.removeprefix(template).strip()}
    return {}


def _iter_parameters(line: str) -> Iterator[tuple[str, str]]:
    at = 0
    may_decode = True
    for _ in range(_MOST_PARAMETERS):
        key = _KEY.match(line, at)
        if key is None:
            comma = line.find(",", at)
            if comma < 0:
                return
            at = comma + 1
            continue
        begin = key.end()
        end = None
        if may_decode and line[begin : begin + 1] in {'"', "[", "{"}:
            end = _end_of_json(line, begin)
            may_decode = end is not None or line[begin] == '"'  # each failure may have cost the whole line
        if end is None:
            comma = line.find(",", begin)
            end = len(line) if comma < 0 else comma
        yield key[1].strip(), _unquote(line[begin:end].strip())
        comma = line.find(",", end)
        if comma < 0:
            return
        at = comma + 1


def _end_of_json(line: str, begin: int) -> int | None:
    try:
        _, end = _DECODER.raw_decode(line, begin)
    except (ValueError, RecursionError):
        return None
    rest = line[end : end + 2].lstrip()
    return int(end) if not rest or rest.startswith(",") else None


def _unquote(value: str) -> str:
    if not (value.startswith('"') and value.endswith('"')):
        return value
    try:
        return str(json.loads(value, strict=False))
    except ValueError:
        return value
