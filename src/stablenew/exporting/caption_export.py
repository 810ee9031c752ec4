"""Images with their captions, in the folders that trainers of LoRAs read: `10_harbour/0001.png` and `0001.txt`."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import write_once
from stablenew.errors import ConfigError, StableNewError
from stablenew.exporting.image_places import Image, ImagePlaces

_TAG: Final = re.compile(r"<(?:lora|lyco|hypernet|embedding):[^<>]{0,300}>", re.IGNORECASE)
_WEIGHT: Final = re.compile(r"\(([^()]*?):\s*[-+]?[0-9]*\.?[0-9]+\s*\)")
_BRACKETS: Final = re.compile(r"(?<!\\)[()\[\]]")
_ESCAPED: Final = re.compile(r"\\([()\[\]])")
_CONCEPT: Final = re.compile(r"[\w][\w .-]{0,79}")
_ENDINGS: Final = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/bmp": ".bmp"}
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class CaptionOptions:
    """How folders are named and captions written."""

    concept: str = "images"
    repeats: int = 1
    """How often a trainer takes each image in an epoch; kohya's scripts read it from the folder's name."""
    by_stars: bool = False
    """Whether an image is repeated as often as it has stars, times `repeats`; unrated ones once."""
    trigger: str = ""
    """Words before every caption."""


@dataclass(slots=True)
class CaptionReport:
    """What an export did."""

    folders: Counter[str] = field(default_factory=Counter)
    """Images by the folder."""
    problems: list[str] = field(default_factory=list)
    """Images that are missing, and why."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"folders": dict(sorted(self.folders.items())), "problems": self.problems}


def export_captions(
    places: ImagePlaces,
    images: Sequence[Image],
    folder: Path,
    options: CaptionOptions,
    *,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> CaptionReport:
    """Copy images into folders beneath `folder`, each with a text file of its caption. Nothing is overwritten.

    Raises:
        ConfigError: the concept cannot be the name of a folder, or something is there already.
    """
    if not _CONCEPT.fullmatch(options.concept) or options.concept.endswith((" ", ".")):
        raise ConfigError(f"expected a concept of letters and digits, found {options.concept!r}")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; export into a new folder")
    report = CaptionReport()
    for done, image in enumerate(images, 1):
        try:
            _write(places, image, folder, options, report)
        except (StableNewError, OSError) as error:
            report.problems.append(f"{image['run_id']} {image['name']}: {error}")
        progress(done, len(images))
    return report


def _write(places: ImagePlaces, image: Image, folder: Path, options: CaptionOptions, report: CaptionReport) -> None:
    ending = _ENDINGS.get(image["media_type"])
    if ending is None:
        raise ConfigError(f"trainers do not read {image['media_type']}")
    data, _ = places.read(image)
    name = f"{_repeats(image, options)}_{options.concept}"
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    stem = f"{report.folders[name]:0{_DIGITS}d}-{image['digest'][7:19]}"
    write_once(target / f"{stem}{ending}", data)
    write_once(target / f"{stem}.txt", build_caption(image["prompt"] or "", options.trigger).encode())
    report.folders[name] += 1


def _repeats(image: Image, options: CaptionOptions) -> int:
    rating = image["rating"]
    return options.repeats * max(1, int(rating + 0.5) if options.by_stars and rating is not None else 1)


def build_caption(prompt: str, trigger: str = "") -> str:
    """A prompt as a caption: one line, without LoRA tags, weights and the brackets of emphasis."""
    text = _TAG.sub("", prompt)
    while (plain := _WEIGHT.sub(r"\1", text)) != text:
        text = plain
    text = _ESCAPED.sub(r"\1", _BRACKETS.sub("", text))
    parts = [part.strip() for part in " ".join(text.split()).split(",")]
    return ", ".join(part for part in (trigger.strip(), *parts) if part)
