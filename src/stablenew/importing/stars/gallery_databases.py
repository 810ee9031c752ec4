"""The databases of galleries: what each calls its tables, and what its marks mean here."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from stablenew.formats.strict_json import parse_loose_json
from stablenew.importing.stars.database_copy import ForeignDatabase
from stablenew.importing.stars.foreign_opinion import (
    PICK,
    REJECT,
    ForeignOpinion,
    from_seconds,
    from_text,
    from_ticks,
)

DIFFUSION_TOOLKIT: Final = "diffusion-toolkit"
INFINITE_IMAGE_BROWSING: Final = "infinite-image-browsing"
IMAGES_BROWSER: Final = "images-browser"
SMART_GALLERY: Final = "smart-gallery"
MAJOOR: Final = "majoor"
INVOKEAI: Final = "invokeai"
_STAR_TAG: Final = re.compile(
    r"(?:star|stars|rating|rated)[ _:-]?([1-5])|([1-5])[ _-]?(?:star|stars|\u2605)|(\u2605{1,5})\u2606{0,4}",
    re.IGNORECASE,
)
_STATUS_FLAGS: Final = {"approved": PICK, "select": PICK, "rejected": REJECT}
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_SHA512: Final = re.compile(r"[0-9a-fA-F]{128}")
_MOST_STARS: Final = 5


def read_diffusion_toolkit(database: ForeignDatabase) -> Iterator[ForeignOpinion]:
    """Ratings of 1 to 10, of which two make a star; favourites, those to be deleted, tags."""
    tags = _tags_by_image(database, "Tag", "ImageTag", ("ImageId", "TagId", "Id", "Name"))
    columns = (
        "Id",
        "Path",
        "Rating",
        "Favorite",
        "ForDeletion",
        "NSFW",
        "CustomTags",
        "Hash",
        "FileSize",
        "TouchedDate",
    )
    for row in database.select("Image", columns):
        rating = row["Rating"]
        named = [*tags[row["Id"]], *_split(row["CustomTags"]), *(["nsfw"] if row["NSFW"] else [])]
        yield ForeignOpinion(
            path=str(row["Path"]),
            via=DIFFUSION_TOOLKIT,
            rating=(rating + 1) // 2 if isinstance(rating, int) and 1 <= rating <= 2 * _MOST_STARS else None,
            flag=REJECT if row["ForDeletion"] else PICK if row["Favorite"] else None,
            tags=tuple(dict.fromkeys(named)),
            said_at=from_ticks(row["TouchedDate"]) or from_text(row["TouchedDate"]),
            sha256=_matching(_SHA256, row["Hash"]),
            size_bytes=row["FileSize"] or None,
        )


def read_infinite_image_browsing(database: ForeignDatabase) -> Iterator[ForeignOpinion]:
    """Tags that people gave: `like` is a pick, `star-4` a rating, the others are tags."""
    found: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    sizes: dict[str, int | None] = {}
    created = "image_tag.created_at" if "created_at" in database.columns("image_tag") else "NULL"
    query = (
        f"SELECT image.path, image.size, tag.name, {created} FROM image_tag JOIN tag ON tag.id = image_tag.tag_id "  # noqa: S608
        "JOIN image ON image.id = image_tag.image_id WHERE tag.type = 'custom'"
    )
    for path, size, name, at in database.rows(query):
        found[path].append((str(name), at))
        sizes[path] = size
    for path, named in found.items():
        ratings = [stars for name, _ in named if (stars := stars_of_tag(name))]
        times = [moment for _, at in named if (moment := from_text(at))]
        yield ForeignOpinion(
            path=path,
            via=INFINITE_IMAGE_BROWSING,
            rating=max(ratings) if ratings else None,
            flag=PICK if any(name.casefold() == "like" for name, _ in named) else None,
            tags=tuple(name for name, _ in named if name.casefold() != "like" and not stars_of_tag(name)),
            said_at=max(times) if times else None,
            size_bytes=sizes[path] or None,
        )


def stars_of_tag(name: str) -> int | None:
    """The rating that people mean by a tag such as `star-4` or `4 stars`."""
    match = _STAR_TAG.fullmatch(name.strip())
    if match is None:
        return None
    return int(match[1] or match[2]) if match[1] or match[2] else len(match[3])


def read_images_browser(database: ForeignDatabase) -> Iterator[ForeignOpinion]:
    """The ranking of the images browser of A1111, with SHA-512 of the pixels where it was worked out."""
    hashes = {}
    if database.has("filehash", "file", "hash"):
        hashes = {row["file"]: row["hash"] for row in database.select("filehash", ("file", "hash"))}
    for row in database.select("ranking", ("file", "ranking", "updated")):
        stars = str(row["ranking"]).strip()
        yield ForeignOpinion(
            path=str(row["file"]),
            via=IMAGES_BROWSER,
            rating=int(stars) if stars in {"1", "2", "3", "4", "5"} else None,
            said_at=from_text(row["updated"]),
            pixels_sha512=_matching(_SHA512, hashes.get(row["file"])),
        )


def read_smart_gallery(database: ForeignDatabase) -> Iterator[ForeignOpinion]:
    """Favourites, states and comments; of several raters each is one here too."""
    files = {row["id"]: row for row in database.select("files", ("id", "path", "size", "is_favorite", "mtime"))}
    flags, tags = _states(database)
    own = {
        key: {"flag": flags.get(key) or (PICK if row["is_favorite"] else None), "tags": tuple(tags.get(key, ()))}
        for key, row in files.items()
    }
    ratings = _smart_ratings(database)
    raters = {client for client, _, _, _ in ratings}
    for client, key, stars, at in ratings:
        if key in files:
            is_own = len(raters) == 1
            said = own.pop(key, {}) if is_own else {}
            yield _smart_opinion(files[key], rating=stars, said_at=at, author=None if is_own else client, **said)
    for key, said in own.items():
        yield _smart_opinion(files[key], **said)


def _smart_ratings(database: ForeignDatabase) -> list[tuple[str, str, int, Any]]:
    rows = database.select("file_ratings", ("file_id", "client_uuid", "rating", "created_at"))
    names = {}
    if database.has("users", "user_id", "username"):
        names = {str(row["user_id"]): row["username"] for row in database.select("users", ("user_id", "username"))}
    return [
        (
            names.get(client := str(row["client_uuid"]), client),
            row["file_id"],
            row["rating"],
            from_seconds(row["created_at"]),
        )
        for row in rows
        if row["rating"] in range(1, _MOST_STARS + 1)
    ]


def _states(database: ForeignDatabase) -> tuple[dict[str, str], dict[str, list[str]]]:
    flags: dict[str, str] = {}
    tags: dict[str, list[str]] = defaultdict(list)
    if not database.has("collection_files", "collection_id", "file_id"):
        return flags, tags
    query = "SELECT file_id, name FROM collection_files JOIN collections ON collections.id = collection_id"
    for key, name in database.rows(query):
        flag = _STATUS_FLAGS.get(str(name).casefold())
        if flag is None:
            tags[key].append(str(name))
        else:
            flags[key] = flag
    return flags, tags


def _smart_opinion(row: dict[str, Any], **said: Any) -> ForeignOpinion:
    return ForeignOpinion(path=str(row["path"]), via=SMART_GALLERY, size_bytes=row["size"] or None, **said)


def read_majoor(database: ForeignDatabase) -> Iterator[ForeignOpinion]:
    """Ratings and tags of the asset manager inside ComfyUI; 0 is its word for unrated."""
    tags = _tags_by_image(database, "tags", "asset_tags", ("asset_id", "tag_id", "id", "name"))
    said = {row["asset_id"]: row for row in database.select("asset_metadata", ("asset_id", "rating", "tags"))}
    columns = ("id", "filepath", "size", "content_hash", "hash_algo", "updated_at")
    for row in database.select("assets", columns):
        given = said.get(row["id"], {"rating": None, "tags": None})
        rating = given["rating"]
        is_sha256 = row["hash_algo"] in (None, "sha256")
        yield ForeignOpinion(
            path=str(row["filepath"]),
            via=MAJOOR,
            rating=rating if rating in range(1, _MOST_STARS + 1) else None,
            tags=tuple(dict.fromkeys([*tags[row["id"]], *_split(given["tags"])])),
            said_at=from_text(row["updated_at"]),
            sha256=_matching(_SHA256, row["content_hash"]) if is_sha256 else None,
            size_bytes=row["size"] or None,
        )


def read_invokeai(database: ForeignDatabase) -> Iterator[ForeignOpinion]:
    """Its star, which an image has or not: a pick. The files lie in a folder beside that of the database."""
    folder = database.path.absolute().parent.parent / "outputs" / "images"
    for row in database.select("images", ("image_name", "starred", "updated_at", "image_subfolder"), "starred = 1"):
        path = folder / str(row["image_subfolder"] or "") / str(row["image_name"])
        yield ForeignOpinion(path=str(path), via=INVOKEAI, flag=PICK, said_at=from_text(row["updated_at"]))


def _tags_by_image(
    database: ForeignDatabase, tags: str, joining: str, names: tuple[str, str, str, str]
) -> dict[Any, list[str]]:
    """Tags that stand in a table of their own, joined with the images by a third."""
    image, tag, identity, name = names
    found: dict[Any, list[str]] = defaultdict(list)
    if database.has(tags, identity, name) and database.has(joining, image, tag):
        query = f'SELECT j."{image}", t."{name}" FROM "{joining}" j JOIN "{tags}" t ON t."{identity}" = j."{tag}"'  # noqa: S608
        for key, text in database.rows(query):
            found[key].append(str(text))
    return found


def _split(text: object) -> list[str]:
    """Tags in one text: a JSON list, or with commas between them."""
    if not isinstance(text, str) or not text.strip():
        return []
    try:
        value = parse_loose_json(text)
    except ValueError:
        value = text.split(",")
    return [str(tag).strip() for tag in value if str(tag).strip()] if isinstance(value, list) else []


def _matching(pattern: re.Pattern[str], text: object) -> str | None:
    return text.lower() if isinstance(text, str) and pattern.fullmatch(text) else None
