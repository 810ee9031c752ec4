"""Indexes made of entries, as readers hand them over: no folder of a run stands behind them."""

from functools import cached_property

from stablenew.formats.query_language import Pattern
from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.column_cache import ColumnCache
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.reading.index_rows import build_rows
from stablenew.index.reading.run_entry import (
    ImageOpinion,
    MetadataEntry,
    OpinionEntry,
    OutputEntry,
    RunEntry,
    RunReading,
    ScoreEntry,
    VariantEntry,
)
from stablenew.index.reading.run_rows import RunRows
from stablenew.index.run_index import RunIndex
from stablenew.index.stored_values import unpack_digest
from tests import samples

START_MS = 1_800_000_000_000
CLOCK = "2026-11-22T08:00:00.000Z-0000"


def image(number):
    """The digest of an image."""
    return samples.digest_of(number)


def variant(*images, number=0, prompt="harbour", others=(), **fields):
    """A variant with these images; settings and fields by name, `others` are those without a column."""
    names = [setting.name for setting in INDEXED]
    settings = tuple(fields.pop(name, None) for name in names)
    size = {name: fields.pop(f"image_{name}", None) for name in ("width", "height")}
    entry = {"number": number, "status": "completed", "prompt": prompt, "negative": None, "settings": settings}
    entry |= {"other_settings": tuple(sorted(dict(others).items())), "duration_seconds": None, "loras": ()}
    entry |= {"embeddings": (), "pack": None, "output_sizes": ()}
    outputs = tuple(OutputEntry(None, digest, **size, media_type="image/png", stage="txt2img") for digest in images)
    return VariantEntry(**entry | {"outputs": outputs} | fields)


def opinion(digest, rating=None, *, rater="me", flag=None, at=CLOCK):
    """What a rater thinks of an image; with "" of the whole run."""
    is_empty = rating is None and flag is None
    return ImageOpinion(digest, rater, rating, None if rating is None else at, flag, flag and at, is_empty)


def tag(digest, name, *, rater="me", clock=CLOCK, is_there=True):
    """A tag that a rater gave an image."""
    return (digest, rater, name, clock, is_there)


def score(digest, name, value, *, source="scorer", at="2026-11-22T00:00:00.000Z"):
    """A number that a program or a rater gave an image."""
    return ScoreEntry(digest, name, source, value, at)


def run(number, *variants, said=(), tags=(), notes=(), scores=(), trash=(), rating=None, **fields):
    """The run of that number: each is created a minute after the one before."""
    facts = {"status": "completed", "engine": "sketch", "source": "StableNew", "action": None, "packs": ()}
    facts |= {
        "tags": fields.pop("learning_tags", ()),
        "plan_size": None,
        "record_count": None,
        "duration_seconds": None,
    }
    created = START_MS + number * 60_000
    opinions = OpinionEntry(
        rating=rating, opinions=tuple(said), image_tags=tuple(tags), notes=tuple(notes), trash=tuple(trash),
        scores=tuple(one for one in scores if one.name.startswith("aspect.")),
    )  # fmt: skip
    return RunEntry(
        run_id=f"run-{number}", state="sealed", status=fields.get("status", "completed"), created_ms=created,
        metadata=MetadataEntry(created_ms=created, **facts | fields), variants=variants, opinions=opinions,
        scores=tuple(one for one in scores if one.name.startswith("metric.")), problem=None,
    )  # fmt: skip


class Filled:
    """An index that is filled by hand, and what reads it."""

    def __init__(self, folder):
        self.index = RunIndex(folder / "history.sqlite")
        self.reader = IndexReader(self.index.path)

    def put(self, *runs):
        """Have the index take these runs in."""
        readings = (RunReading(one.run_id, 1, 1, is_hot=False, entry=one) for one in runs)
        return self.index.upsert_runs([build_rows(reading) for reading in readings])

    def remove(self, *numbers):
        """Have the index forget the runs of these numbers."""
        return self.index.upsert_runs([RunRows(f"run-{number}") for number in numbers])

    @cached_property
    def cache(self):
        """The columns, up to date at the first look."""
        cache = ColumnCache(self.reader, "me")
        cache.refresh("me")
        return cache

    @property
    def table(self) -> ColumnTable:
        """The table of the columns."""
        return self.cache.table

    def id_of(self, digest):
        """The index's id of an image."""
        return self.reader.find_images(Pattern(digest))[0]

    def digests(self, places):
        """The images of some rows."""
        known = dict(self.reader.fetch("SELECT id, digest FROM image"))
        return [unpack_digest(known[number]) for number in self.table.rows["image"][places].tolist()]

    def close(self):
        """Close both."""
        self.reader.close()
        self.index.close()
