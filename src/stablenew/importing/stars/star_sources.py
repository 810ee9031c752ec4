"""Which program a source of stars is of, told by what is in it and never by its name."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from stablenew.errors import ConfigError
from stablenew.importing.stars import gallery_databases as galleries
from stablenew.importing.stars.database_copy import ForeignDatabase, is_database, open_copy
from stablenew.importing.stars.files_with_stars import read_eagle, read_eagle_list, read_folder, read_sidecar
from stablenew.importing.stars.foreign_opinion import ForeignOpinion

_Reader: TypeAlias = Callable[[ForeignDatabase], Iterator[ForeignOpinion]]
_DATABASES: Final[tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...], _Reader], ...]] = (
    (
        galleries.DIFFUSION_TOOLKIT,
        (("Image", ("Path", "Rating", "Favorite", "ForDeletion")),),
        galleries.read_diffusion_toolkit,
    ),
    (
        galleries.INFINITE_IMAGE_BROWSING,
        (("image", ("path",)), ("tag", ("name", "type")), ("image_tag", ("image_id", "tag_id"))),
        galleries.read_infinite_image_browsing,
    ),
    (galleries.IMAGES_BROWSER, (("ranking", ("file", "ranking")),), galleries.read_images_browser),
    (
        galleries.SMART_GALLERY,
        (("files", ("id", "path", "is_favorite")), ("file_ratings", ("file_id", "rating"))),
        galleries.read_smart_gallery,
    ),
    (
        galleries.MAJOOR,
        (("assets", ("id", "filepath")), ("asset_metadata", ("asset_id", "rating"))),
        galleries.read_majoor,
    ),
    (galleries.INVOKEAI, (("images", ("image_name", "starred")),), galleries.read_invokeai),
)
"""The program, tables that only it has, its reader."""
_USUAL: Final = (
    "databases/invokeai.db",
    "wib.sqlite3",
    "iib.db",
    "diffusion-toolkit.db",
    "_mjr_index/assets.sqlite",
    ".sqlite_cache/gallery_cache.sqlite",
    "gallery_cache.sqlite",
)
"""Where programs keep their database in a folder of theirs."""


def read_stars(source: Path) -> Iterator[ForeignOpinion]:
    """What a source says: a database, a folder of sidecars and images, one sidecar, a file of JSON.

    Raises:
        ConfigError: it is not there, or of no program that is known.
    """
    if source.is_dir():
        database = next((source / name for name in _USUAL if is_database(source / name)), None)
        yield from read_stars(database) if database else read_folder(source)
    elif is_database(source):
        yield from _read_database(source)
    elif source.suffix.lower() == ".xmp":
        yield from read_sidecar(source)
    elif source.name == "metadata.json" and source.parent.suffix == ".info":
        yield from read_eagle(source)
    elif source.suffix.lower() == ".json":
        yield from read_eagle_list(source)
    elif not source.exists():
        raise ConfigError(f"there is nothing at {source}")
    else:
        raise ConfigError(
            f"{source} is not a known source of stars: expected a folder, an .xmp or .json file, or the database "
            f"of {', '.join(name for name, _, _ in _DATABASES)}"
        )


def _read_database(path: Path) -> Iterator[ForeignOpinion]:
    with open_copy(path) as database:
        for _, tables, reader in _DATABASES:
            if all(database.has(table, *columns) for table, columns in tables):
                yield from reader(database)
                return
        raise ConfigError(
            f"{path} is a database of another program; known are {', '.join(name for name, _, _ in _DATABASES)}"
        )
