"""Where the image tools leave their images, by default: folders to propose to somebody who has just come."""

import fnmatch
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stablenew.disk.network_share import network_share_type
from stablenew.importing.folder_walk import CACHES, IMAGE_ENDINGS

_WEBUI_FOLDERS: Final = ("outputs", "output", "webui/outputs", "log/images")
_TOOLS: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("Forge", ("*forge*",), _WEBUI_FOLDERS),
    ("A1111", ("*stable-diffusion-webui*", "*sd-webui*", "*sd.webui*", "a1111*", "automatic1111*"), _WEBUI_FOLDERS),
    ("SD.Next", ("automatic", "*sdnext*", "sd.next*", "vladmandic*"), ("outputs",)),
    ("ComfyUI", ("*comfyui*",), ("output", "ComfyUI/output")),
    ("InvokeAI", ("*invokeai*", "invoke"), ("outputs",)),
    ("RuinedFooocus", ("*ruinedfooocus*",), ("outputs", "RuinedFooocus/outputs")),
    ("Fooocus", ("*fooocus*",), ("outputs", "Fooocus/outputs")),
    ("SwarmUI", ("*swarmui*",), ("Output", "SwarmUI/Output")),
    ("Stability Matrix", ("*stabilitymatrix*", "stability matrix*"), ("Data/Images", "Images")),
    ("Easy Diffusion", ("stable diffusion ui", "easy*diffusion*"), ("outputs", ".")),
    ("Draw Things", ("draw things*",), (".",)),
)
"""The tool, what its folder is called in small letters, where its images are below. The first that fits names it."""
_PACKAGE_FOLDERS: Final = ("StabilityMatrix/Data/Packages", "Data/Packages", "Packages", "pinokio/api")
"""Folders of programs that install the others, each in a folder of its own."""
_BENEATH_HOME: Final = (
    *("", "AI", "ai", "Apps", "apps", "Applications", "bin", "code", "Desktop", "dev", "Documents", "Downloads"),
    *("git", "github", "Pictures", "Programs", "projects", "sd", "SD", "src", "stable-diffusion", "workspace"),
    *("AppData/Roaming", "AppData/Local", "AppData/Local/Programs", "Library/Application Support", ".local/share"),
)
_SYSTEM_PLACES: Final = ("/", "/opt", "/srv", "/data", "/workspace", "/mnt", "/media", "/Volumes", "/run/media")
_DRIVES: Final = ("mnt", "media", "Volumes")
"""Folders whose folders are other drives; tools may be in those or one below."""
_MOST_OF_A_DRIVE: Final = 20
_LATER: Final = ("Pictures", "Downloads")
"""Where the images of online services end up; proposed last, because much else is there."""
_MOST_COUNTED: Final = 5_000
_COUNT_SECONDS: Final = 0.5
_SEARCH_SECONDS: Final = 5.0
_MOST_ENTRIES: Final = 2_000
"""Of a folder with more entries only the first are looked at: tools are not installed among thousands of others."""


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """A folder that holds images of a tool."""

    path: Path
    tool: str
    """Whose folder it is by its name; empty where it is nobody's."""
    image_count: int
    is_more: bool
    """Whether it was not counted to the end."""


def find_places(home: Path | None = None, others: Iterable[Path] | None = None) -> list[ImagePlace]:
    """The folders of known tools with images in them, most images first; those of online services last.

    Looks one level below the usual places of programs, beneath `home` and in `others` (by default the places of the
    system and its drives). Network shares are not looked at: one that is away would stop everything.
    """
    deadline = time.monotonic() + _SEARCH_SECONDS
    home = home or Path.home()
    found: dict[str, ImagePlace] = {}
    for folder, tool in _candidates(home, _system_places() if others is None else others):
        real = os.path.realpath(folder)
        if time.monotonic() > deadline:
            break
        if real not in found and (place := _look_at(folder, tool)) is not None:
            found[real] = place
    return _without_inner(sorted(found.values(), key=lambda place: (not place.tool, -place.image_count)))


def _candidates(home: Path, others: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    bases = [home / name for name in _BENEATH_HOME]
    packages = [home / name for name in _PACKAGE_FOLDERS]
    for base in (*bases, *packages, *others):
        for folder, tool, inner in _tools_in(base):
            for name in inner:
                yield folder / name, tool
            yield from ((found, named) for name in _PACKAGE_FOLDERS for found, named in _packages_in(folder / name))
    for base in packages:
        yield from _packages_in(base)
    yield from ((home / name, "") for name in _LATER)


def _tools_in(base: Path) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    for name in _folder_names(base):
        folded = name.casefold()
        for tool, patterns, inner in _TOOLS:
            if any(fnmatch.fnmatchcase(folded, pattern) for pattern in patterns):
                yield base / name, tool, inner
                break


def _packages_in(base: Path) -> Iterator[tuple[Path, str]]:
    """The images of programs that another one installed: `api/comfy.git/app/output`."""
    for folder, tool, inner in _tools_in(base):
        for name in inner:
            yield folder / name, tool
            yield folder / "app" / name, tool


def _folder_names(base: Path) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(base) as entries:
            for entry, _ in zip(entries, range(_MOST_ENTRIES), strict=False):
                if entry.is_dir(follow_symlinks=False) and network_share_type(Path(entry.path)) is None:
                    names.append(entry.name)
    except OSError:
        return []
    return sorted(names)


def _look_at(folder: Path, tool: str) -> ImagePlace | None:
    if not folder.is_dir():
        return None
    count, is_more = _count_images(folder)
    return ImagePlace(folder.resolve(), tool, count, is_more) if count else None


def _count_images(folder: Path) -> tuple[int, bool]:
    """How many images lie in a folder, as far as that is quickly said, and whether there may be more."""
    count, deadline = 0, time.monotonic() + _COUNT_SECONDS
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name.casefold() not in CACHES]
        count += sum(os.path.splitext(name)[1].lower() in IMAGE_ENDINGS for name in files)
        if count >= _MOST_COUNTED or time.monotonic() > deadline:
            return count, True
    return count, False


def _without_inner(places: list[ImagePlace]) -> list[ImagePlace]:
    """Each image once: without folders that lie in another one of a tool, and without those that only hold such."""
    named = [place for place in places if place.tool]
    return [
        place
        for place in places
        if not any(place is not other and place.path.is_relative_to(other.path) for other in named)
    ]


def _system_places() -> list[Path]:
    if sys.platform == "win32":
        drives = [Path(f"{letter}:/") for letter in "CDEFGHIJKLMNOPQRSTUVWXYZ" if os.path.isdir(f"{letter}:/")]
        return [drive / name for drive in drives for name in ("", "AI", "StableDiffusion", "stable-diffusion", "Apps")]
    places = [Path(name) for name in _SYSTEM_PLACES]
    mounted = [
        base / name for base in places if base.name in ("mnt", "media", "Volumes") for name in _folder_names(base)
    ]
    return [*places, *mounted, *(folder / name for folder in mounted for name in _folder_names(folder)[:20])]
