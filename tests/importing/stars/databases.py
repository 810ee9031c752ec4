"""Databases as the programs make them, with their own tables; and stars in each."""

import hashlib
import io
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

from PIL import Image

TICKS_OF_1970 = 621_355_968_000_000_000


def write(path, script, tables):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
        for table, rows in tables.items():
            for row in rows:
                names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
                database.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values()))
        database.commit()
    return path


def diffusion_toolkit(path, stars, *, hashes=None):
    """Ratings of 2, 4 … 10; ticks in local time."""
    offset = datetime.now().astimezone().utcoffset().total_seconds()
    script = """
    CREATE TABLE "Image"("Id" integer primary key autoincrement not null, "RootFolderId" integer, "FolderId" integer,
      "Path" varchar, "FileName" varchar, "Prompt" varchar, "CreatedDate" bigint, "ModifiedDate" bigint,
      "CustomTags" varchar, "Rating" integer, "Favorite" integer, "ForDeletion" integer, "NSFW" integer,
      "Unavailable" integer, "FileSize" bigint, "Hash" varchar, "ViewedDate" bigint, "TouchedDate" bigint);
    CREATE TABLE "Tag"("Id" integer primary key, "Name" varchar);
    CREATE TABLE "ImageTag"("ImageId" integer, "TagId" integer);
    """
    rows = [
        {
            "Path": str(image), "FileName": image.name, "Rating": 2 * rating, "Favorite": 0, "ForDeletion": 0,
            "NSFW": 0, "Hash": (hashes or {}).get(image),
            "TouchedDate": TICKS_OF_1970 + int((1_700_000_000 + offset) * 10_000_000),
        }
        for image, rating in stars.items()
    ]  # fmt: skip
    return write(path, script, {"Image": rows})


def infinite_image_browsing(path, stars):
    script = """
    CREATE TABLE image(id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT UNIQUE, exif TEXT, size INTEGER, date TEXT);
    CREATE TABLE tag(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, score INTEGER, type TEXT, count INTEGER,
      UNIQUE(name, type) ON CONFLICT REPLACE);
    CREATE TABLE image_tag(image_id INTEGER, tag_id INTEGER, created_at TIMESTAMP, PRIMARY KEY (image_id, tag_id));
    """
    tags = [{"id": rating, "name": f"star-{rating}", "score": 0, "type": "custom"} for rating in range(1, 6)]
    tags += [{"id": 6, "name": "like", "score": 0, "type": "custom"}, {"id": 7, "name": "Euler a", "type": "Sampler"}]
    tags += [{"id": 8, "name": "harbour", "score": 0, "type": "custom"}]
    images = [{"id": number, "path": str(image)} for number, image in enumerate(stars, 1)]
    joined = [
        {"image_id": number, "tag_id": tag, "created_at": "2024-03-02 10:00:00"}
        for number, rating in enumerate(stars.values(), 1)
        for tag in (rating, 7, *((6, 8) if rating == 5 else ()))
    ]
    return write(path, script, {"image": images, "tag": tags, "image_tag": joined})


def images_browser(path, stars, *, pixels=None):
    script = """
    CREATE TABLE ranking(file TEXT PRIMARY KEY, name TEXT, ranking TEXT, created TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
      updated TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE filehash(file TEXT PRIMARY KEY, hash TEXT, created TIMESTAMP, updated TIMESTAMP);
    """
    rows = [
        {"file": str(image), "name": image.name, "ranking": str(rating), "updated": "2023-05-06 07:08:09"}
        for image, rating in stars.items()
    ]
    hashes = [{"file": str(image), "hash": found} for image, found in (pixels or {}).items()]
    return write(path, script, {"ranking": rows, "filehash": hashes})


def sha512_of_pixels(data):
    """As that program works it out."""
    return hashlib.sha512(Image.open(io.BytesIO(data)).tobytes()).hexdigest()


def smart_gallery(path, stars):
    script = """
    CREATE TABLE files(id TEXT PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime REAL NOT NULL, name TEXT NOT NULL,
      is_favorite INTEGER DEFAULT 0, size INTEGER DEFAULT 0);
    CREATE TABLE file_ratings(file_id TEXT, client_uuid TEXT, rating INTEGER, created_at REAL,
      PRIMARY KEY (file_id, client_uuid));
    CREATE TABLE collections(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL);
    CREATE TABLE collection_files(collection_id INTEGER, file_id TEXT, added_at REAL);
    """
    key = {image: hashlib.md5(str(image).encode()).hexdigest() for image in stars}
    files = [
        {"id": key[image], "path": str(image), "mtime": 1.0, "name": image.name, "is_favorite": int(rating == 5)}
        for image, rating in stars.items()
    ]
    ratings = [
        {"file_id": key[image], "client_uuid": "1", "rating": rating, "created_at": 1_710_000_000.5}
        for image, rating in stars.items()
    ]
    collections = [{"id": 4, "name": "Rejected", "type": "system_flag"}, {"id": 9, "name": "cover", "type": "user"}]
    rejected = [{"collection_id": 4, "file_id": key[image]} for image, rating in stars.items() if rating == 1]
    tables = {"files": files, "file_ratings": ratings, "collections": collections, "collection_files": rejected}
    return write(path, script, tables)


def majoor(path, stars, *, hashes=None):
    script = """
    CREATE TABLE assets(id INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT NOT NULL, filepath TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, updated_at TIMESTAMP, content_hash TEXT,
      hash_algo TEXT);
    CREATE TABLE asset_metadata(asset_id INTEGER PRIMARY KEY, rating INTEGER DEFAULT 0, tags TEXT DEFAULT '[]');
    """
    assets = [
        {
            "id": number, "filename": image.name, "filepath": str(image), "kind": "image", "size": 0, "mtime": 1,
            "updated_at": "2026-01-02 03:04:05", "content_hash": (hashes or {}).get(image), "hash_algo": "sha256",
        }
        for number, image in enumerate(stars, 1)
    ]  # fmt: skip
    said = [
        {"asset_id": number, "rating": rating, "tags": '["quay"]' if rating == 5 else "[]"}
        for number, rating in enumerate(stars.values(), 1)
    ]
    return write(path, script, {"assets": assets, "asset_metadata": said})


def invokeai(folder, names):
    """Its folder, with its database; the images lie in `outputs/images`."""
    script = """
    CREATE TABLE images(image_name TEXT NOT NULL PRIMARY KEY, image_origin TEXT, image_category TEXT,
      starred BOOLEAN DEFAULT FALSE, updated_at DATETIME NOT NULL, image_subfolder TEXT NOT NULL DEFAULT '');
    """
    rows = [{"image_name": name, "starred": 1, "updated_at": "2025-02-03 04:05:06.789"} for name in names]
    rows.append({"image_name": "unstarred.png", "starred": 0, "updated_at": "2025-02-03 04:05:06.789"})
    return write(folder / "databases" / "invokeai.db", script, {"images": rows})


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def long_ago(path):
    """A file whose times tell that it was written."""
    return path.stat().st_mtime_ns, path.stat().st_size, time.time()


UTC_2023 = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
