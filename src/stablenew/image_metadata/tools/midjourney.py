"""Midjourney: the prompt with its options and the id of the job as one text, the description of a PNG."""

import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation, Tool
from stablenew.image_metadata.settings import build_settings

_LONGEST: Final = 20_000
_JOB: Final = re.compile(r"\s{0,9}\bJob ID: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$")
_OPTION: Final = re.compile(r"(?:^|\s)(?:--|\u2014)([a-z]{1,20})(?=\s|$)")
_NAMES: Final = {"v": "version", "ar": "aspect", "s": "stylize", "c": "chaos", "q": "quality", "w": "weird"}
"""Options that have a short name too."""
_PLACES: Final = ("Description", "ImageDescription")


def read_midjourney(evidence: Evidence) -> Generation | None:
    """What an image of Midjourney says."""
    for text in evidence.iter_texts(_PLACES):
        job = _JOB.search(text[:_LONGEST])
        if job:
            return _read(text[: job.start()], job[1], evidence)
    return None


def _read(command: str, job: str, evidence: Evidence) -> Generation:
    begin = _OPTION.search(command)
    options = dict(_iter_options(command[begin.start() :] if begin else ""))
    negative = options.pop("no", None)
    version = options.pop("version", None) or (f"niji {options['niji']}" if options.get("niji") else None)
    return Generation(
        tool=Tool.MIDJOURNEY,
        tool_version=version,
        prompt=(command[: begin.start()] if begin else command).strip(),
        negative_prompt=negative,
        settings=build_settings(options | ({"model": f"Midjourney {version}"} if version else {}) | {"Job ID": job}),
        made_at=_made_at(evidence.text("Creation Time")),
    )


def _iter_options(text: str) -> Iterator[tuple[str, str]]:
    found = list(_OPTION.finditer(text))
    for at, option in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(text)
        yield _NAMES.get(option[1], option[1]), text[option.end() : end].strip()


def _made_at(text: str | None) -> str | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC).isoformat() if text else None
    except (ValueError, TypeError, OverflowError):
        return None
