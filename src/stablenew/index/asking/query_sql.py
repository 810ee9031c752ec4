"""Queries as SQL over the tables of the index: `r` is a run, `v` one of its variants.

SQLite is told how to walk, because its planner would sort a million rows to save a few comparisons: newest first along
the ids of runs, of prompts that hold the words, or of variants with the model and sampler asked for. Where one
condition leaves only few runs, those are looked at alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stablenew.formats.query_language import (
    TIMES,
    VARIANT_NUMBERS,
    VARIANT_WORDS,
    Condition,
    Pattern,
    Query,
    Range,
    Words,
)
from stablenew.formats.settings import INDEXED
from stablenew.index.index_schema import (
    COMPLETED,
    FIELD_EMBEDDING,
    FIELD_LORA,
    FIELD_OTHER_PACK,
    FIELD_PACK,
    FIELD_TAG,
    LARGEST_ID,
    MAX_USE,
    first_id,
)
from stablenew.index.stored_values import match_phrase, store_seed

FEW: Final = 1_000
"""So many runs are looked at one by one rather than walked to."""
NUMBER_COLUMNS: Final = {
    setting.query: setting.name for setting in INDEXED if setting.query and setting.type != "text"
} | {
    "rating": "stars",
    "variants": "record_count",
    "outputs": "output_count",
    "duration": "duration",
}
"""The column that holds each number."""
FLAG_COLUMNS: Final = {"pick": "pick_count", "reject": "reject_count"}
LABELS: Final = {
    "pack": ((FIELD_PACK, FIELD_OTHER_PACK), "r.id"),
    "tag": ((FIELD_TAG,), "r.id"),
    "lora": ((FIELD_LORA,), "(r.id | v.use)"),
    "embedding": ((FIELD_EMBEDDING,), "(r.id | v.use)"),
}
"""The kinds of label that each field finds, and what they hang on."""

NameFinder = Callable[[Sequence[Pattern]], list[int]]
"""The numbers of all names that fit one of the patterns."""


@dataclass(slots=True)
class Sql:
    """A piece of SQL and its parameters."""

    text: str
    parameters: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Walk:
    """A way to come by candidates in the order of time: what to select from, and the id to walk along."""

    source: str
    parameters: tuple[Any, ...]
    key: str
    """Rises with time; the run of a row is `key` without the bits of the prompt number."""
    joins: str
    tests: str = ""


PLAIN_WALK: Final = Walk("run r", (), "r.id", "CROSS JOIN variant v ON v.run = r.id")


class QueryCompiler:
    """Turns one query into SQL. `find_names` looks into the index for words that patterns fit."""

    def __init__(self, query: Query, find_names: NameFinder) -> None:
        self._conditions = query.conditions
        self._find_names = find_names
        self._found: dict[Condition, list[int]] = {}

    def where(self) -> Sql:
        """All conditions."""
        parts = [self._one(condition) for condition in self._conditions]
        return Sql(" AND ".join(part.text for part in parts) or "1", [one for part in parts for one in part.parameters])

    def bounds(self) -> tuple[int, int]:
        """The least id that can fit, and the first after it that cannot."""
        low, high = 0, LARGEST_ID
        for condition in self._conditions:
            if condition.field in TIMES and not condition.is_negated and len(condition.values) == 1:
                (span,) = condition.ranges()
                low = max(low, first_id(int(span.low)) if span.low is not None else 0)
                high = min(high, first_id(int(span.high)) if span.high is not None else high)
        return low, high

    def walk(self) -> Walk:
        """The way to come by all candidates in the order of time that passes over the fewest others."""
        positive = [one for one in self._conditions if not one.is_negated]
        walks = [self._text_walk([one for one in positive if one.field == "prompt"]), self._variant_walk(positive)]
        walks += [self._tag_walk(condition) for condition in positive]
        return next((walk for walk in walks if walk is not None), PLAIN_WALK)

    def _text_walk(self, conditions: list[Condition]) -> Walk | None:
        if not conditions:
            return None
        joins = f"CROSS JOIN run r ON r.id = (t.rowid & ~{MAX_USE})"
        joins += f" CROSS JOIN variant v ON v.run = r.id AND v.use = (t.rowid & {MAX_USE})"
        match = " AND ".join(_match(condition.words()) for condition in conditions)
        return Walk("use_text t", (match,), "t.rowid", joins, " AND use_text MATCH ?")

    def _variant_walk(self, conditions: list[Condition]) -> Walk | None:
        """Along variants with one model, one sampler, or both."""
        chosen: dict[str, int] = {}
        for column in ("model", "sampler"):
            for condition in conditions:
                names = self._numbers(condition) if condition.field == column else []
                if len(names) == 1:
                    chosen[column] = names[0]
        if not chosen:
            return None
        index = f"variant_{'_'.join(chosen)}"  # each ends with the run, so that nothing has to be sorted
        tests = "".join(f" AND t.{column} = {number}" for column, number in chosen.items())
        joins = "CROSS JOIN run r ON r.id = t.run CROSS JOIN variant v ON v.run = r.id"
        return Walk(f"variant t INDEXED BY {index}", (), "t.run", joins, tests)

    def _tag_walk(self, condition: Condition) -> Walk | None:
        names = self._numbers(condition) if condition.field == "tag" else []
        if len(names) != 1:
            return None
        joins = "CROSS JOIN run r ON r.id = t.at CROSS JOIN variant v ON v.run = r.id"
        return Walk("label t", (), "t.at", joins, f" AND t.field = {FIELD_TAG} AND t.name = {names[0]}")

    def few(self) -> list[Sql]:
        """Selections that each hold all runs that can fit, as ids; each is worth a try when it gives only few."""
        found = [self._few_of(condition) for condition in self._conditions if not condition.is_negated]
        return [one for one in found if one is not None]

    def _few_of(self, condition: Condition) -> Sql | None:
        name = condition.field
        match name:
            case "prompt":
                query = f"SELECT rowid & ~{MAX_USE} FROM use_text WHERE use_text MATCH ?"
                return Sql(query, [_match(condition.words())])
            case "rating":
                return _few_in_ranges("SELECT id FROM run INDEXED BY run_stars", "stars", condition.ranges())
            case "seed":
                return _few_in_ranges("SELECT run FROM variant INDEXED BY variant_seed", "seed", condition.ranges())
            case "model" | "sampler":
                return Sql(f"SELECT run FROM variant WHERE {name} IN ({self._names(condition)})")
            case "status":
                return self._few_by_status(condition)
            case "run":
                return _few_by_run_id(condition)
        if name not in LABELS:
            return None
        fields = _list(LABELS[name][0])
        test = f"field IN ({fields}) AND name IN ({self._names(condition)})"
        return Sql(f"SELECT at & ~{MAX_USE} FROM label WHERE {test}")

    def _numbers(self, condition: Condition) -> list[int]:
        """The numbers of the names that a condition asks for. Walk, shortcut and test all need them."""
        if condition not in self._found:
            self._found[condition] = self._find_names(condition.patterns())
        return self._found[condition]

    def _names(self, condition: Condition) -> str:
        return _list(self._numbers(condition))

    def _few_by_status(self, condition: Condition) -> Sql | None:
        if any(pattern.matcher()(COMPLETED) for pattern in condition.patterns()):
            return None
        test = f"status <> 1 AND status IN ({self._names(condition)})"
        return Sql(f"SELECT id FROM run INDEXED BY run_status WHERE {test}")

    def _one(self, condition: Condition) -> Sql:
        part = self._positive(condition)
        return Sql(f"NOT COALESCE({part.text}, 0)", part.parameters) if condition.is_negated else part

    def _positive(self, condition: Condition) -> Sql:
        name = condition.field
        # The plus keeps SQLite from an index on the column: the row is there already, by its id.
        if name in NUMBER_COLUMNS:
            table = "v" if name in VARIANT_NUMBERS else "r"
            return _in_ranges(f"+{table}.{NUMBER_COLUMNS[name]}", condition.ranges())
        if name in TIMES:
            return _in_time(condition.ranges())
        if name in VARIANT_WORDS or name in ("status", "engine", "action"):
            table = "v" if name in VARIANT_WORDS else "r"
            return Sql(f"(+{table}.{name} IN ({self._names(condition)}))")
        if name in LABELS:
            return self._in_labels(condition)
        match name:
            case "prompt":
                test = "EXISTS (SELECT 1 FROM use_text WHERE use_text MATCH ? AND rowid = (r.id | v.use))"
                return Sql(test, [_match(condition.words())])
            case "negative":
                test = "EXISTS (SELECT 1 FROM negative_text WHERE negative_text MATCH ? AND rowid = v.negative)"
                return Sql(test, [_match(condition.words())])
            case "flag":
                columns = (FLAG_COLUMNS[pattern.text] for pattern in condition.patterns())
                return Sql("(" + " OR ".join(f"r.{column} > 0" for column in columns) + ")")
            case "unrated":
                return Sql(f"(r.stars IS {'NULL' if condition.switch else 'NOT NULL'})")
            case "noted":
                return Sql(f"((r.note_count > 0) = {int(condition.switch)})")
            case _:
                return _like_run_id(condition)

    def _in_labels(self, condition: Condition) -> Sql:
        fields, at = LABELS[condition.field]
        test = f"field IN ({_list(fields)}) AND name IN ({self._names(condition)}) AND at = {at}"
        return Sql(f"EXISTS (SELECT 1 FROM label WHERE {test})")


def select_uses(condition: Condition, find_names: NameFinder) -> Sql:
    """All pairs of run and prompt for which a condition holds (as if it was not turned around), as ids."""
    if condition.field == "prompt":
        return Sql("SELECT rowid FROM use_text WHERE use_text MATCH ?", [_match(condition.words())])
    if condition.field in ("lora", "embedding"):
        fields, _ = LABELS[condition.field]
        names = _list(find_names(condition.patterns()))
        return Sql(f"SELECT at FROM label WHERE field IN ({_list(fields)}) AND name IN ({names})")
    plain = Condition(condition.field, condition.values)
    where = QueryCompiler(Query((plain,)), find_names).where()
    joins = "run r CROSS JOIN variant v ON v.run = r.id"
    return Sql(f"SELECT DISTINCT r.id | v.use FROM {joins} WHERE {where.text}", where.parameters)


def select_seeds(condition: Condition) -> Sql:
    """Run and position of all variants with seeds that fit a condition (as if it was not turned around)."""
    return _few_in_ranges("SELECT run, position FROM variant", "seed", condition.ranges())


def select_negatives(condition: Condition) -> Sql:
    """The numbers of all negative prompts with the words of a condition."""
    return Sql("SELECT rowid FROM negative_text WHERE negative_text MATCH ?", [_match(condition.words())])


def _match(words: Sequence[Words]) -> str:
    return "(" + " OR ".join(match_phrase(one.text, is_prefix=one.is_prefix) for one in words) + ")"


def _list(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "NULL"


def _in_ranges(column: str, ranges: Sequence[Range]) -> Sql:
    parts, parameters = [], []
    for one in ranges:
        tests = []
        if one.low is not None:
            tests.append(f"{column} {'>' if one.is_low_open else '>='} ?")
            parameters.append(_comparable(column, one.low))
        if one.high is not None:
            tests.append(f"{column} {'<' if one.is_high_open else '<='} ?")
            parameters.append(_comparable(column, one.high))
        parts.append(" AND ".join(tests))
    return Sql("(" + " OR ".join(f"({part})" for part in parts) + ")", parameters)


def _few_in_ranges(select: str, column: str, ranges: Sequence[Range]) -> Sql:
    part = _in_ranges(column, ranges)
    return Sql(f"{select} WHERE {column} IS NOT NULL AND {part.text}", part.parameters)


def _comparable(column: str, number: float) -> int | float | str | None:
    """The number as it stands in the column."""
    if column.endswith("seed") and isinstance(number, int):
        return store_seed(number)
    return number if abs(number) <= LARGEST_ID else float(number)


def _in_time(ranges: Sequence[Range]) -> Sql:
    """Ids sort by time, so a time is a range of ids."""
    tests = []
    for one in ranges:
        is_since = one.low is not None
        moment = int(one.low if one.low is not None else one.high or 0)
        tests.append(f"r.id {'>=' if is_since else '<'} {first_id(moment)}")
    return Sql("(" + " OR ".join(tests) + ")")


def _like_run_id(condition: Condition) -> Sql:
    parts = ["matches_glob(?, r.run_id)" for _ in condition.values]
    return Sql(f"({' OR '.join(parts)})", [_as_prefix(pattern) for pattern in condition.patterns()])


def _few_by_run_id(condition: Condition) -> Sql:
    parts = ["(run_id >= ? AND run_id < ?)" for _ in condition.values]
    parameters: list[Any] = []
    for pattern in condition.patterns():
        start = pattern.text.casefold().split("*")[0].split("?")[0]
        parameters += [start, start + "\x7f"]
    return Sql(f"SELECT id FROM run WHERE {' OR '.join(parts)}", parameters)


def _as_prefix(pattern: Pattern) -> str:
    return pattern.text if pattern.text.endswith("*") else pattern.text + "*"
