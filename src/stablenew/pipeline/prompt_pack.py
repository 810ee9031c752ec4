"""Prompt packs: StableNew's `.txt`/`.json` twins, and TSV.

TXT: slots separated by a blank line; `#` comments; lines of text; a line that is only `<embedding:name>`,
`(<embedding:name>:0.87)` or `<lora:name:0.65>`; `neg:` lines. JSON: the same slots as data, with matrix values and
preset settings. TSV: positive, tab, negative. Where both twins are there, the file that was named gives the prompts and
the JSON gives matrix and preset.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from stablenew.errors import FormatError, PromptPackError
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.stage_event import STAGES
from stablenew.formats.pipeline_config import settings_from_preset
from stablenew.formats.prompt_text import find_embeddings, find_loras
from stablenew.formats.strict_json import JsonValue, parse_json
from stablenew.pipeline.randomizer import MATRIX, WILDCARD, Axis, in_order, parse_randomization

MAX_PACK_BYTES: Final = 16 * 1024 * 1024
_SUFFIXES: Final = (".json", ".txt", ".tsv")
_PACK_KEYS: Final = frozenset({"pack_data", "preset_data", "slots", "matrix", "randomization"})
_WILDCARD = re.compile(r"__([A-Za-z0-9][A-Za-z0-9 /_-]*?)__")
_SLOT = re.compile(r"\[\[([^\[\]]+)\]\]")
_NEGATIVE = re.compile(r"\Aneg(?:ative)?\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, its tokens still in it until a variant puts choices in their place."""

    positive: str
    negative: str = ""
    prompt_id: str | None = None

    def with_text(self, positive: str, negative: str) -> "Prompt":
        """The same prompt with other words."""
        return replace(self, positive=positive, negative=negative)

    @property
    def loras(self) -> tuple[tuple[str, float | None], ...]:
        """Name and weight of every LoRA the positive prompt calls."""
        return tuple(find_loras(self.positive))

    @property
    def embeddings(self) -> tuple[str, ...]:
        """Names of the embeddings in either prompt, each once."""
        return tuple(find_embeddings(f"{self.positive}\n{self.negative}"))


@dataclass(frozen=True, slots=True)
class PromptPack:
    """Prompts that belong together, what varies in them, and the settings they were made for."""

    id: str
    name: str
    prompts: tuple[Prompt, ...]
    axes: tuple[Axis, ...] = ()
    mode: str = "fanout"
    combination_limit: int | None = None
    preset: Mapping[str, JsonValue] = field(default_factory=dict)
    """Stage → settings, under our names; what no name of ours fits is under `extra`."""
    digest: str | None = None
    """Over the bytes of the file that was named."""


def read_prompt_pack(path: Path | str) -> PromptPack:
    """The pack in a `.txt`, `.json` or `.tsv` file; without an extension, the first of json, txt, tsv that is there.

    Raises:
        PromptPackError: no such file, or it cannot be read; the message names file and line.
    """
    source = _find_file(Path(path))
    data = _read_bytes(source)
    twin = source.with_suffix(".json")
    document = _parse_document(source, data) if source == twin else _read_twin(twin)
    prompts = _read_prompts(source, data, document)
    if not prompts:
        raise PromptPackError(f"{source}: expected at least one prompt, found none")
    pack_data = _mapping(document.get("pack_data", document), twin, "pack_data")
    matrix = _mapping(pack_data.get("matrix") or {}, twin, "matrix")
    is_matrix_on = bool(matrix.get("enabled", True))
    axes = (*_matrix_axes(matrix, twin), *_randomization_axes(document, pack_data))
    return PromptPack(
        id=source.stem,
        name=str(pack_data.get("name") or source.stem),
        prompts=tuple(
            Prompt(positive, negative, f"{source.stem}/{index}") for index, (positive, negative) in enumerate(prompts)
        ),
        axes=in_order((*axes, *_wildcard_files(source, prompts, axes))),
        mode=str(matrix.get("mode") or "fanout") if is_matrix_on else "fanout",
        combination_limit=_limit(matrix, twin) if is_matrix_on else None,
        preset=_read_preset(_mapping(document.get("preset_data") or {}, twin, "preset_data"), twin),
        digest=digest_bytes(data),
    )


def _find_file(path: Path) -> Path:
    named = [path] if path.suffix else []
    candidates = [*named, *(path.with_name(f"{path.name}{suffix}") for suffix in _SUFFIXES)]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise PromptPackError(f"no prompt pack at {path}; give a .txt, .json or .tsv file")
    if found.suffix.lower() not in _SUFFIXES:
        raise PromptPackError(f"{found}: expected a .txt, .json or .tsv file")
    return found


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PACK_BYTES + 1)
    except OSError as error:
        raise PromptPackError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_PACK_BYTES:
        raise PromptPackError(f"{path}: expected at most {MAX_PACK_BYTES:,} bytes")
    return data


def _read_text(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")  # editors on Windows like to begin files with a byte order mark
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PromptPackError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from None


def _parse_document(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return _mapping(parse_json(data.removeprefix(b"\xef\xbb\xbf")), path, "the file")
    except FormatError as error:
        raise PromptPackError(f"{path}: {error}") from None


def _read_twin(path: Path) -> dict[str, Any]:
    """What the JSON beside a pack adds to it. A file of that name about something else adds nothing."""
    if not path.is_file():
        return {}
    try:
        document = parse_json(_read_bytes(path).removeprefix(b"\xef\xbb\xbf"))
    except FormatError as error:
        raise PromptPackError(f"{path}: {error}") from None
    return document if isinstance(document, dict) and _PACK_KEYS.intersection(document) else {}


def _mapping(value: JsonValue, path: Path, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PromptPackError(f"{path}: expected {what} to be an object, found {type(value).__name__}")
    return value


def _sequence(value: JsonValue, path: Path, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise PromptPackError(f"{path}: expected {what} to be a list, found {type(value).__name__}")
    return value


def _read_prompts(path: Path, data: bytes, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    match path.suffix.lower():
        case ".json":
            pack_data = _mapping(document.get("pack_data", document), path, "pack_data")
            slots = _sequence(pack_data.get("slots", []), path, "slots")
            pairs = [_read_slot(slot, path, number) for number, slot in enumerate(slots)]
            return [pair for pair in pairs if any(pair)]
        case ".tsv":
            return parse_tsv(_read_text(path, data))
        case _:
            return parse_text(_read_text(path, data))


def parse_text(text: str) -> list[tuple[str, str]]:
    """Positive and negative prompt of every slot of a TXT pack."""
    slots: list[tuple[list[str], list[str]]] = [([], [])]
    for line in (raw.strip() for raw in text.split("\n")):
        if not line:
            slots.append(([], []))
        elif match := _NEGATIVE.match(line):
            slots[-1][1].append(line[match.end() :])
        elif not line.startswith("#"):
            slots[-1][0].append(line)
    return [(_join(positive), _join(negative)) for positive, negative in slots if positive or negative]


def parse_tsv(text: str) -> list[tuple[str, str]]:
    """Positive and negative prompt of every line of a TSV pack."""
    pairs = []
    for line in text.split("\n"):
        positive, _, negative = line.rstrip("\r").partition("\t")
        if positive.strip() and not positive.lstrip().startswith("#"):
            pairs.append((positive.strip(), negative.partition("\t")[0].strip()))
    return pairs


def _read_slot(value: JsonValue, path: Path, number: int) -> tuple[str, str]:
    place = f"slot {number}"
    slot = _mapping(value, path, place)

    def items(name: str) -> list[Any]:
        return _sequence(slot.get(name) or [], path, f"{name} of {place}")

    positive = [
        *(_embedding(item, path, place) for item in items("positive_embeddings")),
        _text(slot, "text", path, place),
        *(_lora(item, path, place) for item in items("loras")),
    ]
    negative = [
        *(_embedding(item, path, place) for item in items("negative_embeddings")),
        _text(slot, "negative", path, place),
    ]
    return _join(positive), _join(negative)


def _text(slot: Mapping[str, Any], name: str, path: Path, place: str) -> str:
    text = slot.get(name) or ""
    if not isinstance(text, str | int | float):
        raise PromptPackError(f"{path}: {place}: expected {name} to be a text, found {type(text).__name__}")
    return str(text)


def _embedding(value: JsonValue, path: Path, place: str) -> str:
    name, weight = _name_and_weight(value, path, place, "an embedding")
    return f"<embedding:{name}>" if weight is None else f"(<embedding:{name}>:{weight})"


def _lora(value: JsonValue, path: Path, place: str) -> str:
    name, weight = _name_and_weight(value, path, place, "a LoRA")
    return f"<lora:{name}:{1 if weight is None else weight}>"


def _name_and_weight(value: JsonValue, path: Path, place: str, what: str) -> tuple[str, JsonValue]:
    """The name of an embedding or a LoRA, and its weight where one is given: `name`, `[name]` or `[name, weight]`."""
    parts = value if isinstance(value, list) else [value]
    name, weight = parts[0] if parts else None, parts[1] if len(parts) == 2 else None
    is_weight = weight is None or (isinstance(weight, int | float | str) and not isinstance(weight, bool))
    if not isinstance(name, str) or not name or len(parts) > 2 or not is_weight:
        raise PromptPackError(f"{path}: {place}: expected {what} as [name, weight], found {str(value)[:60]!r}")
    return name, weight


def _join(parts: Iterable[str]) -> str:
    return ", ".join(part.strip().rstrip(",") for part in parts if part.strip().rstrip(","))


def _matrix_axes(matrix: Mapping[str, Any], path: Path) -> list[Axis]:
    if not matrix.get("enabled", True):
        return []
    axes = []
    for value in _sequence(matrix.get("slots") or [], path, "matrix.slots"):
        slot = _mapping(value, path, "a matrix slot")
        choices = tuple(str(value) for value in _sequence(slot.get("values") or [], path, "values of a matrix slot"))
        if slot.get("name") and choices:
            axes.append(Axis(MATRIX, str(slot["name"]), choices))
    return axes


def _limit(matrix: Mapping[str, Any], path: Path) -> int | None:
    limit = matrix.get("limit") or 0
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise PromptPackError(f"{path}: expected matrix.limit to be 0 or more, found {limit!r}")
    return limit or None


def _randomization_axes(document: Mapping[str, Any], pack_data: Mapping[str, Any]) -> tuple[Axis, ...]:
    """From `randomization`: a text of our three forms, or StableNew's object with a `raw_text` for each kind."""
    preset = document.get("preset_data")
    value = pack_data.get("randomization") or (preset.get("randomization") if isinstance(preset, dict) else None)
    if isinstance(value, str):
        return parse_randomization(value)
    if not isinstance(value, dict) or not value.get("enabled", True):
        return ()
    parts = [value.get(key) for key in ("prompt_sr", "wildcards", "matrix")]
    texts = [str(part.get("raw_text") or "") for part in parts if isinstance(part, dict) and part.get("enabled", True)]
    return parse_randomization("\n".join(texts))


def _wildcard_files(source: Path, prompts: Iterable[tuple[str, str]], axes: Sequence[Axis]) -> list[Axis]:
    """Wildcards that `wildcards/<name>.txt` beside the pack gives values for, one per line."""
    known = {axis.name for axis in axes if axis.kind == WILDCARD}
    found = []
    for name in sorted(_wildcard_names(prompts) - known):
        path = source.parent / "wildcards" / f"{name}.txt"
        if path.is_file() and "/" not in name:
            lines = (line.strip() for line in _read_text(path, _read_bytes(path)).split("\n"))
            found.append(Axis(WILDCARD, name, tuple(line for line in lines if line and not line.startswith("#"))))
    return found


def _wildcard_names(prompts: Iterable[tuple[str, str]]) -> set[str]:
    return {name for pair in prompts for text in pair for name in _WILDCARD.findall(text)}


def unresolved_tokens(prompts: Iterable[Prompt], axes: Iterable[Axis]) -> list[str]:
    """The wildcards and matrix slots in `prompts` that no axis has values for, as they stand there."""
    pairs = [(prompt.positive, prompt.negative) for prompt in prompts]
    slots = {name for pair in pairs for text in pair for name in _SLOT.findall(text)}
    tokens = {f"__{name}__" for name in _wildcard_names(pairs)} | {f"[[{name}]]" for name in slots}
    return sorted(tokens - {axis.token for axis in axes})


def _read_preset(preset: Mapping[str, Any], path: Path) -> dict[str, JsonValue]:
    """The stages that the preset turns on, with their settings under our names."""
    pipeline = _mapping(preset.get("pipeline") or {}, path, "pipeline")
    stages: dict[str, JsonValue] = {}
    for stage in STAGES:
        settings = preset.get(stage)
        if settings is None:
            continue
        settings = _mapping(settings, path, stage)
        if pipeline.get(f"{stage}_enabled", settings.get("enabled", True)):
            stages[stage] = settings_from_preset(stage, settings)
    return stages
