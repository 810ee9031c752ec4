"""The rows of a run in the tables of the index, as readers build them, with words and prompts still as text.

The writer of the index replaces texts by their ids. Rows are plain tuples in the order of a table's columns, because
there are millions of them and they are sent between processes.
"""

from collections.abc import Iterable
from typing import NamedTuple, Self

import xxhash

from stablenew.formats.settings import INDEXED
from stablenew.index.index_schema import (
    FIELD_EMBEDDING,
    FIELD_LORA,
    FIELD_OTHER_PACK,
    FIELD_PACK,
    FIELD_TAG,
    HASH_BITS,
    MAX_USE,
    RUN,
    USE_BITS,
    VARIANT,
    Row,
    first_id,
)
from stablenew.index.reading.run_entry import NO_VARIANT, RunEntry, RunReading, VariantEntry
from stablenew.index.stored_values import pack_outputs, searchable, store_seed

_SETTING_NAMES = tuple(setting.name for setting in INDEXED)


class RunRows(NamedTuple):
    """A run as the index keeps it."""

    run_id: str
    identifier: int = 0
    """The id that the run gets, unless another run of the same millisecond has it."""
    run: Row | None = None
    """None when there is no such run, or no longer."""
    variants: tuple[Row, ...] = ()
    labels: tuple[tuple[int, str, int], ...] = ()
    uses: tuple[tuple[int, str], ...] = ()
    """Id of each prompt use and its words for the full-text table."""

    def moved_to(self, identifier: int) -> Self:
        """The same run under another id."""
        assert self.run is not None  # noqa: S101
        shift = identifier - self.identifier
        return self._replace(
            identifier=identifier,
            run=(identifier, *self.run[1:]),
            variants=tuple((identifier, *row[1:]) for row in self.variants),
            labels=tuple((field, word, at + shift) for field, word, at in self.labels),
            uses=tuple((at + shift, text) for at, text in self.uses),
        )


def build_rows(reading: RunReading) -> RunRows:
    """The rows of a run that was read."""
    entry = reading.entry
    if entry is None:
        return RunRows(reading.run_id)
    slot = xxhash.xxh3_64_intdigest(entry.run_id.encode()) % (1 << HASH_BITS)
    identifier = first_id(entry.created_ms) | slot << USE_BITS
    variants: list[Row] = []
    labels = _run_labels(identifier, entry)
    numbers: dict[Row, int] = {}
    prompts: list[tuple[int, str]] = []
    for position, variant in enumerate(entry.variants or (NO_VARIANT,)):
        key = (variant.prompt, variant.loras, variant.embeddings)
        use = numbers.setdefault(key, min(len(numbers), MAX_USE))
        if len(numbers) > len(prompts):  # a new one
            prompts.append((use, variant.prompt or ""))
            labels += [(FIELD_LORA, name, identifier | use) for name in variant.loras]
            labels += [(FIELD_EMBEDDING, name, identifier | use) for name in variant.embeddings]
        variants.append(_variant_row(identifier, position, use, variant))
    uses = tuple([(identifier | use, text) for use, text in join_uses(prompts)])
    return RunRows(entry.run_id, identifier, _run_row(identifier, reading, entry), tuple(variants), tuple(labels), uses)


def _run_labels(identifier: int, entry: RunEntry) -> list[tuple[int, str, int]]:
    metadata = entry.metadata
    packs = metadata.packs if metadata else ()
    others = {variant.pack for variant in entry.variants if variant.pack}.difference(packs)
    labels = [(FIELD_PACK, pack, identifier) for pack in packs]
    labels += [(FIELD_OTHER_PACK, pack, identifier) for pack in others]
    labels += [(FIELD_TAG, tag, identifier) for tag in {*entry.opinions.tags, *(metadata.tags if metadata else ())}]
    return labels


def _run_row(identifier: int, reading: RunReading, entry: RunEntry) -> Row:
    metadata, opinions, variants = entry.metadata, entry.opinions, entry.variants
    seeds = [variant.seed for variant in variants if variant.seed is not None]
    best = max([rating for _, rating in opinions.image_ratings], default=None)
    return RUN.row(
        {
            "id": identifier,
            "run_id": entry.run_id,
            "folder_signature": reading.folder_signature,
            "file_signature": reading.file_signature,
            "is_hot": reading.is_hot,
            "created": metadata.created_ms if metadata else None,
            "state": entry.state,
            "status": entry.status,
            "engine": metadata.engine if metadata else None,
            "action": metadata.action if metadata else None,
            "plan_size": metadata.plan_size if metadata else None,
            "record_count": len(variants),
            "output_count": sum([len(variant.outputs) for variant in variants]),
            "duration": metadata.duration_seconds if metadata else None,
            "seed": store_seed(seeds[0]) if seeds else None,
            "seed_count": len(set(seeds)),
            "rating": opinions.rating,
            "best_rating": best,
            "stars": opinions.rating if opinions.rating is not None else best,
            "rated_count": len(opinions.image_ratings),
            "pick_count": opinions.pick_count,
            "reject_count": opinions.reject_count,
            "note_count": opinions.note_count,
            "problem": entry.problem,
        }
    )


def _variant_row(identifier: int, position: int, use: int, variant: VariantEntry) -> Row:
    settings = dict(zip(_SETTING_NAMES, variant.settings, strict=True))
    settings["seed"] = store_seed(settings["seed"])
    return VARIANT.row(
        {
            "run": identifier,
            "position": position,
            "number": variant.number,
            "use": use,
            "status": variant.status or None,
            "prompt": variant.prompt,
            "negative": variant.negative,
            "duration": variant.duration_seconds,
            "rating": variant.rating,
            "outputs": pack_outputs(variant.outputs),
            **settings,
        }
    )


def join_uses(prompts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """The text of each prompt number as the full-text table has it."""
    bodies: dict[int, dict[str, None]] = {}
    for use, body in prompts:
        bodies.setdefault(use, {})[body] = None
    joined = ((use, "\n".join([searchable(body) for body in parts])) for use, parts in bodies.items())
    return [(use, text) for use, text in joined if text]
