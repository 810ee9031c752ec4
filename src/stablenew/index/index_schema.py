"""The tables of the index. One SQLite file per store, in the user's cache folder.

A row of `place` is an output of a run: an image in one of its places. A row of `image` is an image, which is a digest,
wherever it lies; opinions and scores refer to it. Several images may be one picture, such as copies with the same
pixels: `image.picture` of each but the first is the id of the first, and null for all others. `image.rating` and
`image.is_trashed` fold what all runs that hold a file of the picture say. In `image.digest` the beginning of the
SHA-256 follows, where it is known: a file that has the digest of another one is an image of its own.

Run ids (the integers of this index) sort by time: milliseconds since 1970, then 20 bits of the run id's hash. Words
that repeat (models, samplers, tags) are stored once, in the table `name`, and rows refer to them by id; so are prompts,
found by their hash. The full-text tables hold each distinct prompt once, under its id.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Literal, TypeAlias

from stablenew.formats.settings import FILES, INDEXED, Setting

VERSION: Final = 15
"""A file with another number was made by another version of the program: it is rebuilt."""

MAX_MILLISECONDS: Final = (1 << 42) - 1
HASH_BITS: Final = 20
LARGEST_ID: Final = (1 << 63) - 1
FIELD_PACK: Final = 1
"""The pack of a run, as `<name> NUL <id>`."""
FIELD_OTHER_PACK: Final = 2
"""A pack that is named only in records: searches find it, but it is not shown."""
FIELD_TAG: Final = 3
FIELD_LORA: Final = 4
FIELD_EMBEDDING: Final = 5
NO_POSITION: Final = -1
"""The position of what is said of a whole run."""
NO_IMAGE: Final = 0
"""The image id of the whole run."""
DIGEST_KEY_BYTES: Final = 5
DIGEST_KEY: Final = f"substr(digest, 1, {DIGEST_KEY_BYTES})"
"""What images are found by: the beginnings of digests rarely agree, and an index of them is half as large."""
_RUN_KEY: Final = "substr(run_id, -6)"
RUN_IS: Final = f"{_RUN_KEY} = substr(?1, -6) AND +run_id = ?1"
"""The condition that finds a run by its id. The ends of run ids are random. Without the `+` SQLite would put the
parameter in for `run_id` on the left too, and have nothing to look up."""
LABEL_PREFIX: Final = "label:"
"""A colour label is a tag that begins with this."""
ALBUM_PREFIX: Final = "album:"
TAG_PREFIXES: Final = {"label": LABEL_PREFIX, "album": ALBUM_PREFIX}
"""Fields that are tags with such a beginning."""
COPY_PREFIX: Final = "copy:"
"""Images that carry the same tag with this beginning are one picture, as a person said."""

Row: TypeAlias = tuple[Any, ...]
TextKind: TypeAlias = Literal["word", "prompt", "negative", "note", "image"]
"""What a column refers to by id: a word of `name`, a body of `text`, or a digest."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; with `text` it holds the id of a text, and readers hand over the text itself."""

    name: str
    sql: str = "INTEGER"
    text: TextKind | None = None


class Table:
    """The columns of one table, by name: SQL, the order of a row and the columns of texts all follow from them."""

    def __init__(self, name: str, columns: Iterable[Column], constraint: str = "") -> None:
        self.name = name
        self.columns = tuple(columns)
        self.positions: Final[Mapping[str, int]] = {column.name: place for place, column in enumerate(self.columns)}
        self.texts: Final[Mapping[int, TextKind]] = {
            place: column.text for place, column in enumerate(self.columns) if column.text
        }
        self.image_columns = tuple(column.name for column in self.columns if column.text == "image")
        self._pick = itemgetter(*self.positions)
        declared = [f"{column.name} {column.sql}".strip() for column in self.columns]
        suffix = " WITHOUT ROWID" if constraint else ""
        self.create_sql = f"CREATE TABLE {name}({', '.join([*declared, *filter(None, [constraint])])}){suffix};"
        self.insert_sql = f"INSERT INTO {name} VALUES ({','.join('?' * len(self.columns))})"

    def row(self, values: Mapping[str, Any]) -> Row:
        """`values` in the order of the columns. Raises: KeyError: a column has no value."""
        return self._pick(values)  # type: ignore[no-any-return]

    def row_of(self, *names: str) -> Callable[[Sequence[Any]], Row]:
        """A function from values in the order of `names` to a row: for the rows of which there are millions.

        Raises:
            ValueError: a column has no name.
        """
        return itemgetter(*map(names.index, self.positions))


_SETTING_TYPES: Final = {"text": "INTEGER", "integer": "INTEGER", "number": "REAL", "seed": ""}


def setting_column(setting: Setting) -> Column:
    """The column that holds a setting; a seed has no SQL type, because it may exceed 64 bits and is then a text."""
    return Column(setting.name, _SETTING_TYPES[setting.type], "word" if setting.type == "text" else None)


def spelling_column(setting: Setting) -> Column:
    """The column that holds how a program spelled the name of a model file, where that is not its common name."""
    return Column(f"{setting.name}_spelling", text="word")


RUN: Final = Table(
    "run",
    (
        Column("id", "INTEGER PRIMARY KEY"),
        Column("run_id", "TEXT NOT NULL"),
        Column("folder_signature", "INTEGER NOT NULL"),
        Column("file_signature", "INTEGER NOT NULL"),
        Column("content_signature", "INTEGER NOT NULL"),
        Column("is_hot", "INTEGER NOT NULL"),
        Column("created"),
        Column("state", "INTEGER NOT NULL", "word"),
        Column("status", "INTEGER NOT NULL", "word"),
        Column("engine", text="word"),
        Column("source", text="word"),
        Column("action", text="word"),
        Column("plan_size"),
        Column("record_count", "INTEGER NOT NULL"),
        Column("output_count", "INTEGER NOT NULL"),
        Column("duration", "REAL"),
        Column("seed", ""),
        Column("seed_count", "INTEGER NOT NULL"),
        Column("rating"),
        Column("best_rating"),
        Column("rated_count", "INTEGER NOT NULL"),
        Column("pick_count", "INTEGER NOT NULL"),
        Column("reject_count", "INTEGER NOT NULL"),
        Column("note_count", "INTEGER NOT NULL"),
        Column("problem", "TEXT"),
    ),
)
VARIANT: Final = Table(
    "variant",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("position", "INTEGER NOT NULL"),
        Column("number", "INTEGER NOT NULL"),
        Column("prompt", text="prompt"),
        Column("negative", text="negative"),
        *map(setting_column, INDEXED),
        Column("made"),
        Column("other_settings", text="word"),
        Column("other_values", "TEXT"),
        *map(spelling_column, FILES),
    ),
    "PRIMARY KEY(run, position)",
)
"""Names of model files are common ones (see `common_file_name`). `made` is when its images were made, in milliseconds,
where the run itself does not say so. Settings without a column are names, joined (`other_settings`), and their values
as a JSON array: most variants share their names."""
PLACE: Final = Table(
    "place",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("position", "INTEGER NOT NULL"),
        Column("number", "INTEGER NOT NULL"),
        Column("image", "INTEGER NOT NULL", "image"),
        Column("path", ""),
        Column("width"),
        Column("height"),
        Column("type", text="word"),
        Column("stage", text="word"),
    ),
    "PRIMARY KEY(run, position, number)",
)
"""The final outputs of variants; `number` counts those of a variant from 0. For `path` see `store_path`. `width` and
`height` are None where they are those of the variant's settings, and 0 where they are not known."""
LABEL: Final = Table(
    "label",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("position", "INTEGER NOT NULL"),
        Column("field", "INTEGER NOT NULL"),
        Column("name", "INTEGER NOT NULL", "word"),
    ),
    "PRIMARY KEY(run, position, field, name)",
)
"""Packs and tags of runs, at position -1, and LoRAs and embeddings of variants."""
OPINION: Final = Table(
    "opinion",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("image", "INTEGER NOT NULL", "image"),
        Column("rater", "INTEGER NOT NULL", "word"),
        Column("rating"),
        Column("rated_at", "TEXT"),
        Column("flag", text="word"),
        Column("flagged_at", "TEXT"),
        Column("is_empty", "INTEGER NOT NULL"),
        Column("is_latest", "INTEGER NOT NULL"),
        Column("is_flag_latest", "INTEGER NOT NULL"),
    ),
    "PRIMARY KEY(run, image, rater)",
)
"""What a rater thinks of an image, or of the whole run (image 0), as one run says. `is_latest` marks the rating that
counts: of what a rater said of an image in several runs the last; `is_flag_latest` does so for flags."""
TAG: Final = Table(
    "tag",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("image", "INTEGER NOT NULL", "image"),
        Column("rater", "INTEGER NOT NULL", "word"),
        Column("name", "INTEGER NOT NULL", "word"),
        Column("clock", "TEXT NOT NULL"),
        Column("is_present", "INTEGER NOT NULL"),
        Column("is_latest", "INTEGER NOT NULL"),
    ),
    "PRIMARY KEY(run, image, rater, name)",
)
"""The last word of each rater about a tag of an image, or of the whole run (image 0), as one run says. `is_latest`
marks the word that counts: of those in several runs the last by `clock`, which the id of the event follows. The view
`standing_tag` has the tags that are there."""
NOTE: Final = Table(
    "note",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("image", "INTEGER NOT NULL", "image"),
        Column("rater", "INTEGER NOT NULL", "word"),
        Column("name", "INTEGER NOT NULL", "word"),
        Column("clock", "TEXT NOT NULL"),
        Column("body", text="note"),
        Column("is_latest", "INTEGER NOT NULL"),
    ),
    "PRIMARY KEY(run, image, rater, name)",
)
"""The last word of each rater about a note, as one run says: its text, None where it was removed. `name` is its id in
the log. The view `standing_note` has the notes that are there: `is_latest` is that of the table `tag`."""
TRASH: Final = Table(
    "trash",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("image", "INTEGER NOT NULL", "image"),
        Column("clock", "TEXT NOT NULL"),
        Column("is_in", "INTEGER NOT NULL"),
    ),
    "PRIMARY KEY(run, image)",
)
"""The latest word on whether an image is in the trash, as one run says; `image.is_trashed` folds those of all runs."""
SCORE: Final = Table(
    "score",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("name", "INTEGER NOT NULL", "word"),
        Column("image", "INTEGER NOT NULL", "image"),
        Column("source", "INTEGER NOT NULL", "word"),
        Column("value", "REAL"),
        Column("scored_at", ""),
        Column("is_apart", "INTEGER NOT NULL"),
    ),
    "PRIMARY KEY(image, name, run, source)",
)
"""Numbers of images: `metric.NAME` by a scorer, `aspect.NAME` by a rater. `scored_at` is in milliseconds since 1970,
and None in a record, which is older; of an aspect it is clock and event, and the value None where the rater took it
back. `is_apart` marks the scores of images that are not final outputs of the run: those
of a run are found by its images and this mark, because an index by run would be nearly as large as the table."""
COMPARISON: Final = Table(
    "comparison",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("event", "BLOB NOT NULL"),
        Column("winner", "INTEGER NOT NULL", "image"),
        Column("loser", "INTEGER NOT NULL", "image"),
        Column("rater", "INTEGER NOT NULL", "word"),
        Column("outcome", "INTEGER NOT NULL", "word"),
        Column("shown", text="word"),
        Column("asked", text="word"),
        Column("repeat", "INTEGER NOT NULL"),
        Column("clock", "TEXT NOT NULL"),
    ),
    "PRIMARY KEY(run, event)",
)
"""Which of two images somebody preferred; the images may be those of other runs."""
CONTENT_TABLES: Final = (VARIANT, PLACE, LABEL)
"""What a run says of itself."""
OPINION_TABLES: Final = (OPINION, TAG, NOTE, TRASH, SCORE, COMPARISON)
"""What is said about it later; it changes without the rest."""

FULL_TEXT_TABLES: Final[Mapping[TextKind, str]] = {
    "prompt": "prompt_text",
    "negative": "negative_text",
    "note": "note_text",
}
"""The full-text table of each kind of text, whose row ids are those of `text`."""
_CREATE_FULL_TEXT: Final = "\n".join(
    f"CREATE VIRTUAL TABLE {table} USING "
    "fts5(body, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');"
    for table in FULL_TEXT_TABLES.values()
)
CREATE: Final = f"""
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
INSERT INTO name(id, text) VALUES (1, 'completed');
CREATE TABLE text(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE image(
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL, rating REAL, rater_count INTEGER, is_trashed INTEGER,
  picture INTEGER
);
INSERT INTO image(id, digest) VALUES ({NO_IMAGE}, x'');
{" ".join(table.create_sql for table in (RUN, *CONTENT_TABLES, *OPINION_TABLES))}
CREATE INDEX run_key ON run({_RUN_KEY});
CREATE INDEX image_digest ON image({DIGEST_KEY});
CREATE INDEX opinion_image ON opinion(image);
CREATE INDEX tag_image ON tag(image);
CREATE VIEW standing_tag AS SELECT run, image, name FROM tag WHERE is_latest AND is_present;
CREATE VIEW standing_note AS SELECT run, image, body FROM note WHERE is_latest AND body IS NOT NULL;
CREATE INDEX note_image ON note(image);
CREATE INDEX image_trashed ON image(id) WHERE is_trashed;
CREATE INDEX image_picture ON image(picture) WHERE picture IS NOT NULL;
CREATE INDEX trash_image ON trash(image);
CREATE INDEX note_body ON note(body);
CREATE INDEX score_apart ON score(run) WHERE is_apart;
CREATE INDEX comparison_winner ON comparison(winner);
CREATE INDEX comparison_loser ON comparison(loser);
{_CREATE_FULL_TEXT}
CREATE TABLE change(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, kind TEXT NOT NULL, old_id INTEGER, new_id INTEGER,
  is_content INTEGER NOT NULL
);
INSERT INTO meta VALUES ('token', lower(hex(randomblob(8))));
INSERT INTO prompt_text(prompt_text, rank) VALUES ('automerge', 0), ('crisismerge', 1000);
"""
FINISH: Final = """
CREATE INDEX IF NOT EXISTS run_hot ON run(id) WHERE is_hot;
REINDEX image_digest;
CREATE INDEX IF NOT EXISTS place_image ON place(image);
INSERT INTO prompt_text(prompt_text) VALUES ('optimize');
INSERT INTO prompt_text(prompt_text, rank) VALUES ('automerge', 4), ('crisismerge', 16);
"""
"""Run after the index was filled for the first time: sorting once is several times faster than keeping sorted."""


def first_id(created_ms: int) -> int:
    """The least id that a run created at this moment can have."""
    return min(max(created_ms, 0), MAX_MILLISECONDS) << HASH_BITS
