"""Files that tools write beside their images: text, JSON, and the log of Fooocus. Pure."""

import html
import json
import re
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import unquote

from stablenew.image_metadata.text_decoding import decode_text, decode_utf16

_LONGEST: Final = 16 * 1024 * 1024
_LONGEST_BLOCK: Final = 200_000
_LOG_ROW: Final = re.compile(
    r"<td class=.(?:label|key).>(.{0,200}?)</td>\s{0,20}<td class=.value.>(.{0,20000}?)</td>", re.DOTALL
)
_LOG_COPY: Final = re.compile(r"to_clipboard\(.([^'\")]{2,100000}).\)")
_TAG: Final = re.compile(r"<[^<>]{0,1000}>")
_LOG_PAIR: Final = re.compile(r"([A-Z][A-Za-z0-9]{0,20}(?: [^:<>]{1,200})?): <b>(.{0,20000}?)</b>", re.DOTALL)
"""The log of Fooocus 1 and 2.0 has paragraphs with several values in each, and no table."""
_LORA_ROWS: Final = ("LoRA ", "lora_combined_")
_LORA_NAME: Final = re.compile(r"LoRA \[(.{1,200})\] weight")
_LOG_LABELS: Final = (
    "Prompt", "Negative Prompt", "Resolution", "Guidance Scale", "Base Model", "Refiner Model", "Sampler", "Scheduler",
    "Seed", "Steps", "CLIP Skip", "VAE", "Performance", "Styles", "Version", "Metadata Scheme",
)  # fmt: skip
_LOG_NAMES: Final = {label: label.casefold().replace(" ", "_") for label in _LOG_LABELS}
"""The names of its JSON."""


def sidecar_names(image_name: str) -> tuple[str, ...]:
    """The names that tools give to files beside an image, the most usual first."""
    stem = PurePath(image_name).stem
    return (f"{stem}.txt", f"{stem}.json", f"{stem}.swarm.json", f"{image_name}.txt", f"{image_name}.json", "log.html")


def find_sidecar_text(data: bytes, name: str, image_name: str | None = None) -> str | None:
    """The text of a file beside an image; of a log the part about that image, as JSON. None where it says nothing."""
    data = data[:_LONGEST]
    text = decode_utf16(data) if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else decode_text(data).removeprefix("\ufeff")
    if PurePath(name).suffix.lower() in {".html", ".htm"}:
        return _log_entry(text, image_name) if image_name else None
    return text


def _log_entry(text: str, image_name: str) -> str | None:
    """What Fooocus' log says of one image: its block begins with the name, in which `.` became `_`."""
    begin = text.find(f'id="{image_name.replace(".", "_")}"')
    if begin < 0:
        return None
    end = text.find('<div id="', begin)
    block = text[begin : min(end if end > 0 else len(text), begin + _LONGEST_BLOCK)]
    found = _copied(block) or _rows(block)
    return json.dumps(found, ensure_ascii=False) if found else None


def _copied(block: str) -> dict[str, Any] | None:
    """The JSON that its button copies."""
    match = _LOG_COPY.search(block)
    if match is None:
        return None
    try:
        value = json.loads(unquote(match[1]))
    except (ValueError, RecursionError):
        return None
    return with_plain_names(value) if isinstance(value, dict) else None


def _rows(block: str) -> dict[str, Any]:
    found = list(_LOG_ROW.finditer(block)) or list(_LOG_PAIR.finditer(block))
    rows = {_plain(match[1]): _plain(match[2]) for match in found}
    return with_plain_names(rows)


def with_plain_names(rows: dict[str, Any]) -> dict[str, Any]:
    """Fooocus' values under the names of its JSON, from the labels of its log."""
    loras = [_lora(name, str(value)) for name, value in rows.items() if name.startswith(_LORA_ROWS) and value]
    named = {_LOG_NAMES.get(name, name): value for name, value in rows.items() if not name.startswith(_LORA_ROWS)}
    return named | ({"loras": loras} if loras else {})


def _lora(label: str, text: str) -> list[Any]:
    """`name : weight`; older logs have the name in the label."""
    if named := _LORA_NAME.fullmatch(label):
        text = f"{named[1]}:{text}"
    name, _, weight = text.rpartition(":")
    try:
        return [name.strip(), float(weight)]
    except ValueError:
        return [text.strip(), None]


def _plain(markup: str) -> str:
    return html.unescape(_TAG.sub("", markup.replace("<br/>", "\n").replace("<br>", "\n"))).strip()
