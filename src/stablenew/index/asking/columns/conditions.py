"""Conditions of queries as masks over the rows of the column table."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from stablenew.formats.query_language import (
    FILE_FIELDS,
    IMAGE_NUMBERS,
    RUN_NUMBERS,
    VARIANT_NUMBERS,
    VARIANT_WORDS,
    Condition,
    Pattern,
    Range,
)
from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.arrays import Arrays
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.kept_answers import make_room, most_masks
from stablenew.index.asking.columns.masks import (
    Column,
    Mask,
    choose_codes,
    in_ranges,
    is_in,
    iter_blocks,
    look_up,
    spread,
)
from stablenew.index.asking.columns.named_numbers import NamedNumbers
from stablenew.index.asking.columns.split_seeds import find_seeds
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import (
    FIELD_EMBEDDING,
    FIELD_LORA,
    FIELD_OTHER_PACK,
    FIELD_PACK,
    FIELD_TAG,
    FULL_TEXT_TABLES,
    HASH_BITS,
    NO_IMAGE,
    TAG_PREFIXES,
    TextKind,
)
from stablenew.index.stored_values import match_phrase

SETTING_COLUMNS: Final = {setting.query: setting.name for setting in INDEXED if setting.query}
"""The column of the setting that each field finds."""
RUN_WORD_COLUMNS: Final = ("status", "engine", "source", "action")
RUN_NUMBER_COLUMNS: Final = {
    "jobrating": "rating",
    "variants": "record_count",
    "outputs": "output_count",
    "duration": "duration",
}
ORIENTATIONS: Final = ("portrait", "landscape", "square")
_OPINIONS: Final = frozenset(
    {*IMAGE_NUMBERS, *RUN_NUMBERS, *RUN_WORD_COLUMNS, "unrated", "noted", "note", "flag", "label", "album", "tag"}
    | {"rater", "is"}
)
_LABELS: Final = {
    "pack": (FIELD_PACK, FIELD_OTHER_PACK),
    "lora": (FIELD_LORA,),
    "embedding": (FIELD_EMBEDDING,),
    "tag": (FIELD_TAG,),
}


def is_opinion(condition: Condition) -> bool:
    """Whether what it finds changes with what is said later, or with the state of a run: no row of the table does."""
    return condition.field in _OPINIONS or condition.family in ("metric", "aspect")


class Conditions:
    """Evaluates conditions over the rows of a table. Masks are kept until the table changes."""

    def __init__(self, table: ColumnTable, reader: IndexReader, rater: str) -> None:
        self._table = table
        self._reader = reader
        self.rater = rater
        self._masks: dict[Condition, Mask] = {}
        self._texts: dict[Condition, Column] = {}
        self._own: Column | None = None
        self.numbers = NamedNumbers(table, reader)

    def forget(self) -> None:
        """Drop what no longer holds after a refresh of the table."""
        self._own = None
        if self._table.has_only_new_opinions:
            for condition in [condition for condition in self._masks if is_opinion(condition)]:
                del self._masks[condition]
            self._texts.clear()
        else:
            self.forget_masks()
        self.numbers.refresh()

    def forget_masks(self) -> None:
        """Drop the answers to conditions."""
        self._masks.clear()
        self._texts.clear()

    def mask(self, condition: Condition) -> Mask:
        """The rows for which `condition` holds; dead rows may be among them."""
        mask = self._masks.get(condition)
        if mask is None:
            make_room(self._masks, most_masks(self._table.rows.count))
            holds = self._holds(condition)
            mask = self._masks[condition] = ~holds if condition.is_negated else holds
        return mask

    def _holds(self, condition: Condition) -> Mask:
        name, rows = condition.field, self._table.rows
        if condition.family == "settings":
            return self.numbers.setting_mask(condition)
        if condition.family is not None:
            return self._of_images(self.numbers.score_mask(condition))
        if name == "seed":
            return find_seeds(rows, condition.ranges())
        if name in VARIANT_NUMBERS:
            return rows.where(SETTING_COLUMNS[name], lambda values: in_ranges(values, condition.ranges()))
        if name in VARIANT_WORDS or name in ("type", "stage"):
            return _has_word(rows, SETTING_COLUMNS.get(name, name), self._names(condition))
        if name == "prompt":
            return is_in(rows[name], self._bodies(condition, "prompt"))
        if name == "negative":
            bodies = self._bodies(condition, "negative")
            return rows.where(name, lambda ids: is_in(ids, bodies))
        if name in _LABELS:
            return self._labelled(condition)
        if name == "orientation":
            wanted = {pattern.text for pattern in condition.patterns()}
            return choose_codes(np.array([name in wanted for name in ("", *ORIENTATIONS)]), orientations(rows))
        return self._of_runs_or_images(condition)

    def _of_runs_or_images(self, condition: Condition) -> Mask:
        name = condition.field
        tests: dict[str, Callable[[Condition], Mask]] = {
            "digest": self._with_digest,
            "unrated": self._unrated,
            "noted": self._noted,
            "note": self._with_note,
            "flag": self._flagged,
            **dict.fromkeys(TAG_PREFIXES, self._with_prefix),
            "rater": self._rated_by,
            "is": self._in_state,
            "since": self._in_time,
            "before": self._in_time,
        }
        if name in tests:
            return tests[name](condition)
        if name in IMAGE_NUMBERS:
            ratings = self.own_ratings() if name == "mine" else self._table.image_ratings
            return self._of_images(in_ranges(ratings, condition.ranges()))
        return look_up(self._holds_for_runs(condition), self._table.rows["run"])

    def _holds_for_runs(self, condition: Condition) -> Mask:
        name, runs = condition.field, self._table.runs
        if name in RUN_NUMBERS:
            return runs.where(RUN_NUMBER_COLUMNS[name], lambda values: in_ranges(values, condition.ranges()))
        if name in RUN_WORD_COLUMNS:
            names = self._reader.find_names(condition.patterns())
            found = _has_word(runs, name, names)
            return found | _has_word(runs, "engine", names) if name == "source" else found
        return np.isin(runs["id"], self._reader.find_runs(condition.patterns()))

    def _of_images(self, images: Mask) -> Mask:
        """The rows of some images, which are given by their ids."""
        return self._table.by_row(images, unknown=False)

    def _of_opinions(self, images: Column, runs: Column) -> Mask:
        """The rows that opinions are about: those of their images, or all rows of a run that is meant as a whole."""
        flags = np.zeros(int(images.max(initial=0)) + 1, np.bool_)
        flags[images] = True
        mask = self._of_images(flags)
        slots, _ = self._table.known_slots_of(runs[images == NO_IMAGE])
        if len(slots):
            mask |= is_in(self._table.rows["run"], slots)
        return mask

    def own_ratings(self) -> Column:
        """The rating that the rater of this history gave each image, by its id; kept until the table changes."""
        if self._own is None:
            self._own = self._read_own_ratings()
        return self._own

    def _read_own_ratings(self) -> Column:
        opinions = self._table.opinions
        own = is_in(opinions["rater"], self._rater_ids()) & opinions["is_latest"]
        # Some of what is said is about images that no run has any more.
        count = max(self._table.image_count, int(opinions["image"].max(initial=-1)) + 1)
        ratings = np.full(count, np.nan, np.float32)
        ratings[opinions["image"][own]] = opinions["rating"][own]
        return ratings

    def _rater_ids(self) -> list[int]:
        return [number for number, text in self._reader.names() if text == self.rater]

    def _bodies(self, condition: Condition, kind: TextKind) -> Column:
        """The ids of the texts of a kind that hold the words of a condition."""
        key = Condition(condition.field, condition.values)
        if key not in self._texts:
            phrases = (match_phrase(words.text, is_prefix=words.is_prefix) for words in condition.words())
            table = FULL_TEXT_TABLES[kind]
            # One long text is parsed several times faster than as many rows as there are ids.
            query = f"SELECT group_concat(id) FROM (SELECT rowid AS id FROM {table} WHERE {table} MATCH ?)"
            rows = self._reader.fetch(query, ("(" + " OR ".join(phrases) + ")",))
            self._texts[key] = np.fromstring(rows[0][0] if rows and rows[0][0] else "", np.int64, sep=",")
        return self._texts[key]

    def _names(self, condition: Condition) -> list[int]:
        """The ids of the words that fit a condition; a model file is found under each of its spellings."""
        find = self._reader.find_files if condition.field in FILE_FIELDS else self._reader.find_names
        return find(condition.patterns())

    def _labelled(self, condition: Condition) -> Mask:
        names, labels, rows = self._names(condition), self._table.labels, self._table.rows
        chosen = np.isin(labels["field"], _LABELS[condition.field]) & is_in(labels["name"], names)
        run_ids, positions = labels["run"][chosen], labels["position"][chosen]
        mask: Mask
        if condition.field in ("pack", "tag"):
            slots, _ = self._table.known_slots_of(run_ids)
            mask = is_in(rows["run"], slots)
        else:
            mask = spread(*self._table.variant_rows(run_ids, positions), rows.count)
        if condition.field == "tag":
            mask |= self._tagged(names)
        return mask

    def _tagged(self, names: list[int]) -> Mask:
        tags = self._table.tags
        chosen = is_in(tags["name"], names)
        return self._of_opinions(tags["image"][chosen], tags["run"][chosen])

    def _with_prefix(self, condition: Condition) -> Mask:
        prefix = TAG_PREFIXES[condition.field]
        return self._tagged(
            self._reader.find_names([Pattern(f"{prefix}{pattern.text}") for pattern in condition.patterns()])
        )

    def _flagged(self, condition: Condition) -> Mask:
        opinions = self._table.opinions
        chosen = is_in(opinions["flag"], self._reader.find_names(condition.patterns())) & opinions["is_flag_latest"]
        return self._of_opinions(opinions["image"][chosen], opinions["run"][chosen])

    def _rated_by(self, condition: Condition) -> Mask:
        opinions = self._table.opinions
        chosen = is_in(opinions["rater"], self._reader.find_names(condition.patterns())) & ~opinions["is_empty"]
        return self._of_opinions(opinions["image"][chosen], opinions["run"][chosen])

    def _noted(self, condition: Condition) -> Mask:
        mask: Mask = self._with_notes(self._reader.fetch("SELECT image, run FROM standing_note")) == condition.switch
        return mask

    def _with_note(self, condition: Condition) -> Mask:
        bodies = self._bodies(condition, "note").tolist()
        found = []
        for start in range(0, len(bodies), 10_000):
            some = ",".join(map(str, bodies[start : start + 10_000]))
            found += self._reader.fetch(f"SELECT image, run FROM standing_note WHERE body IN ({some})")
        return self._with_notes(found)

    def _with_notes(self, notes: Sequence[Any]) -> Mask:
        """The rows that some notes, given by image and run, are about."""
        pairs = np.array(notes, np.int64).reshape(-1, 2)
        return self._of_opinions(self._table.pictures_of(pairs[:, 0]), pairs[:, 1])

    def _unrated(self, condition: Condition) -> Mask:
        is_mine = any(getattr(value, "is_mine", False) for value in condition.values)
        ratings = self.own_ratings() if is_mine else self._table.image_ratings
        is_rated = self._of_images(~np.isnan(ratings))
        mask: Mask = (self._table.rows["image"] >= 0) & (is_rated != condition.switch)
        return mask

    def _in_time(self, condition: Condition) -> Mask:
        table, late = self._table, self._table.late_rows
        mask = look_up(_in_spans(table.runs["id"] >> HASH_BITS, condition.ranges()), table.rows["run"])
        if len(late):
            mask[late] = _in_spans(table.times(late), condition.ranges())
        return mask

    def _in_state(self, _condition: Condition) -> Mask:
        """The rows of images in the trash, the only state there is."""
        return self._of_images(self._table.is_trashed)

    def _with_digest(self, condition: Condition) -> Mask:
        images: list[int] = []
        for pattern in condition.patterns():
            images += self._reader.find_images(pattern)
        return is_in(self._table.rows["image"], self._table.pictures_of(np.array(images, np.int64)))


def _has_word(table: Arrays, name: str, words: Sequence[int]) -> Mask:
    return table.where(name, lambda ids: is_in(ids, words))


def _in_spans(times: Column, spans: Sequence[Range]) -> Mask:
    mask = np.zeros(len(times), np.bool_)
    for span in spans:
        mask |= times >= int(span.low) if span.low is not None else times < int(span.high or 0)
    return mask


def orientations(rows: Arrays) -> Column:
    """For each row the place of its orientation in `ORIENTATIONS`, from 1; 0 where its size is not known."""
    found = np.zeros(rows.count, np.uint8)
    for block in iter_blocks(rows.count):
        widths, heights = rows.at("width", block), rows.at("height", block)
        for place, compare in enumerate((np.less, np.greater, np.equal), 1):
            found[block][compare(widths, heights)] = place
    return found
