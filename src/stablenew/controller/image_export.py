"""Copying images out of a store, to a folder or a zip file, under names made from what is known of them."""

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from stablenew.errors import ConfigError, StableNewError
from stablenew.exporting.caption_export import build_caption
from stablenew.exporting.image_places import ImagePlaces
from stablenew.exporting.xmp_packet import build_packet, opinion_of
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.digest import short_digest
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.settings import SETTINGS
from stablenew.index.asking.image_rows import compared_settings
from stablenew.store.run_store import RunStore

Image = Mapping[str, Any]
"""An image as `JobHistory.find_images` returns it."""
Progress = Callable[[int, int], None]
MAX_NAME: Final = 120
"""Characters of a file name, without its ending."""
_FIELD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)(?::([0-9]{1,3}))?\}")
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200b-\u200f\u202a-\u202e\u2066-\u2069]+')
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass
class ExportReport:
    """What an export did."""

    names: list[str] = field(default_factory=list)
    """The files it wrote, without sidecars."""
    problems: list[str] = field(default_factory=list)
    """Why some images could not be copied."""


def export_images(
    store: RunStore,
    images: Sequence[Image],
    target: Path | IO[bytes],
    template: str,
    *,
    sidecar: bool = False,
    xmp: bool = False,
    captions: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> ExportReport:
    """Copy images, byte for byte, to a folder or (`*.zip`, or an open file) a zip; nothing that exists is overwritten.

    `template` may name `{n}` (the number of the image among these), `{date}`, `{time}`, `{prompt:40}` (at most 40
    characters), `{stars}`, `{run}`, `{digest}` and any setting. Names that occur twice get a number. With `sidecar` a
    JSON file beside each image holds what is known of it, with `xmp` an XMP packet what was said of it, with `captions`
    a text its prompt as trainers read it.

    Raises:
        ConfigError: the template has a field that no image has, or `target` is a file that is there already.
    """
    _check_template(template, images)
    report, places = ExportReport(), ImagePlaces(store)
    used: set[str] = set()
    with _open_target(target) as write:
        for done, image in enumerate(images, start=1):
            try:
                data, output = places.read(image)
            except (StableNewError, OSError) as error:
                report.problems.append(f"{image['run_id']} {image['name']}: {error}")
                continue
            ending = _ending_of(output)
            name = _free_name(build_name(template, image, f"{done:0{len(str(len(images)))}}"), ending, used)
            write(f"{name}{ending}", data)
            if sidecar:
                write(f"{name}.json", json.dumps(image, ensure_ascii=False, indent=2).encode())
            if xmp:
                write(f"{name}.xmp", build_packet(opinion_of(image), SYSTEM_CLOCK.timestamp()).encode())
            if captions:
                write(f"{name}.txt", build_caption(image["prompt"] or "").encode())
            report.names.append(f"{name}{ending}")
            progress(done, len(images))
    return report


def build_name(template: str, image: Image, number: str = "1") -> str:
    """The name of an image's file, safe on every file system; `number` is its place among those that are copied."""
    values = _values(image) | {"n": number}

    def fill(match: re.Match[str]) -> str:
        text = " ".join(str(values.get(match[1], "")).split())
        return text[: int(match[2])] if match[2] else text

    name = _UNSAFE.sub("_", _FIELD.sub(fill, template))[:MAX_NAME].strip(" .")
    return f"_{name}" if not name or _RESERVED.fullmatch(name) else name


def _values(image: Image) -> dict[str, Any]:
    created = image["created_at"] or ""
    rating = image["rating"]
    return compared_settings(image) | {
        "date": created[:10],
        "time": created[11:19].replace(":", ""),
        "prompt": image["prompt"] or "",
        "stars": "" if rating is None else int(rating + 0.5),
        "run": image["run_id"],
        "name": image["name"].replace("/", "-"),
        "digest": short_digest(image["digest"]),
        "stage": image["stage"],
    }


_ALWAYS: Final = frozenset({"seed", *(setting.name for setting in SETTINGS if setting.has_facet)})
"""Settings that a template may name even where no image has them."""


def _check_template(template: str, images: Iterable[Image]) -> None:
    if "{" in _FIELD.sub("", template):
        raise ConfigError(f"expected fields such as {{date}} or {{prompt:40}} in {template!r}")
    named = [match[1] for match in _FIELD.finditer(template)]
    known = {"n", *_ALWAYS}.union(*map(_values, images))
    unknown = [name for name in named if name not in known]
    if unknown and images:
        raise ConfigError(f"no image has a {unknown[0]!r}; there are {', '.join(sorted(known))}")


def _ending_of(output: OutputReference) -> str:
    return Path(output.origin.name if output.origin else output.path_in_run).suffix


def _free_name(name: str, ending: str, used: set[str]) -> str:
    """`name`, with a number where it is taken; case does not matter, because on some file systems it does not."""
    number, free = 1, name
    while f"{free}{ending}".casefold() in used:
        number += 1
        free = f"{name}-{number}"
    used.add(f"{free}{ending}".casefold())
    return free


@contextmanager
def _open_target(target: Path | IO[bytes]) -> Iterator[Callable[[str, bytes], None]]:
    """A function that writes a file into a folder or a new zip file."""
    if not isinstance(target, Path):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            yield archive.writestr
        return
    if target.suffix.lower() != ".zip":
        target.mkdir(parents=True, exist_ok=True)
        yield lambda name, data: _write_new(target / name, data)
        return
    try:
        file = target.open("xb")
    except FileExistsError:
        raise ConfigError(f"{target} is there already") from None
    with file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # images do not compress
        yield archive.writestr


def _write_new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        if path.read_bytes() != data:
            raise ConfigError(f"{path} is there already, with other content") from None
