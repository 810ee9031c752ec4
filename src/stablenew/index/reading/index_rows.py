"""The rows of a run in the tables of the index, as readers build them, with texts and digests in place of their ids.

The writer of the index replaces them by ids. Rows are plain tuples in the order of a table's columns, because there are
millions of them and they are sent between processes.
"""

import json
import marshal
from collections.abc import Callable, Iterator
from operator import attrgetter

import xxhash

from stablenew.disk.folder_signature import POSITIVE
from stablenew.formats.settings import FILES, INDEXED
from stablenew.index.index_schema import (
    COMPARISON,
    FIELD_EMBEDDING,
    FIELD_LORA,
    FIELD_OTHER_PACK,
    FIELD_PACK,
    FIELD_TAG,
    HASH_BITS,
    LABEL,
    NO_POSITION,
    NOTE,
    OPINION,
    PLACE,
    RUN,
    SCORE,
    TAG,
    TRASH,
    VARIANT,
    Row,
    first_id,
    spelling_column,
)
from stablenew.index.reading.run_entry import (
    NO_VARIANT,
    ComparisonEntry,
    ImageOpinion,
    RunEntry,
    RunReading,
    ScoreEntry,
    VariantEntry,
    milliseconds_of,
)
from stablenew.index.reading.run_rows import RunRows
from stablenew.index.stored_values import join_names, pack_digest, store_path, store_seed, type_label

_SETTING_NAMES = tuple(setting.name for setting in INDEXED)
_SEED, _WIDTH, _HEIGHT = map(_SETTING_NAMES.index, ("seed", "width", "height"))
_variant_of = VARIANT.row_of(
    "run", "position", "number", "prompt", "negative", "made", "other_settings", "other_values", *_SETTING_NAMES,
    *(spelling_column(setting).name for setting in FILES),
)  # fmt: skip
_place_of = PLACE.row_of("run", "position", "number", "image", "path", "width", "height", "type", "stage")
_opinion_of = OPINION.row_of("run", "image", *ImageOpinion._fields[1:], "is_latest", "is_flag_latest")
_note_of = NOTE.row_of("run", "image", "rater", "name", "clock", "body", "is_latest")
_tag_of = TAG.row_of("run", "image", "rater", "name", "clock", "is_present", "is_latest")
_score_of = SCORE.row_of("run", *ScoreEntry._fields, "is_apart")
_AGE = attrgetter("scored_at", "value")


def build_rows(reading: RunReading) -> RunRows:
    """The rows of a run that was read."""
    entry = reading.entry
    if entry is None:
        return RunRows(reading.run_id)
    slot = xxhash.xxh3_64_intdigest(entry.run_id.encode()) % (1 << HASH_BITS)
    identifier = first_id(entry.created_ms) | slot
    variants = tuple(enumerate(entry.variants or (NO_VARIANT,)))
    content = (
        tuple([_variant_row(identifier, position, variant) for position, variant in variants]),
        tuple([row for position, variant in variants for row in _place_rows(identifier, position, variant)]),
        tuple(dict.fromkeys(_iter_labels(identifier, entry))),
    )
    signature = xxhash.xxh3_64_intdigest(marshal.dumps(content, 2)) & POSITIVE  # version 2: equal values, equal bytes
    run = _run_row(identifier, signature, reading, entry)
    return RunRows(entry.run_id, identifier, signature, run, content, _opinion_rows(identifier, entry, _packer(entry)))


def _packer(entry: RunEntry) -> Callable[[str], bytes]:
    """How the digests that opinions name are packed: those of the run's own outputs as these are."""
    own: dict[str, bytes] = {}
    for variant in entry.variants:
        for output in variant.outputs:
            own.setdefault(output.digest, pack_digest(output.digest, output.sha256))
    return lambda digest: own.get(digest) or pack_digest(digest)


def _variant_row(run: int, position: int, variant: VariantEntry) -> Row:
    settings = list(variant.settings)
    settings[_SEED] = store_seed(settings[_SEED])
    return _variant_of(
        (
            run,
            position,
            variant.number,
            variant.prompt,
            variant.negative,
            variant.made_ms,
            join_names([name for name, _ in variant.other_settings]),
            _pack_values(variant.other_settings),
            *settings,
            *variant.spellings,
        )
    )


def _place_rows(run: int, position: int, variant: VariantEntry) -> list[Row]:
    width, height = variant.settings[_WIDTH], variant.settings[_HEIGHT]
    return [
        _place_of(
            (
                run,
                position,
                number,
                pack_digest(output.digest, output.sha256),
                store_path(output.path, variant.number, output.stage, output.digest, output.media_type),
                None if output.width == width else output.width or 0,
                None if output.height == height else output.height or 0,
                type_label(output.media_type),
                output.stage,
            )
        )
        for number, output in enumerate(variant.outputs)
    ]


def _pack_values(settings: tuple[tuple[str, int | float | str], ...]) -> str | None:
    return json.dumps([value for _, value in settings], separators=(",", ":")) if settings else None


def _iter_labels(run: int, entry: RunEntry) -> Iterator[Row]:
    metadata = entry.metadata
    packs = metadata.packs if metadata else ()
    others = {variant.pack for variant in entry.variants if variant.pack}.difference(packs)
    found = [(FIELD_PACK, pack) for pack in packs] + [(FIELD_OTHER_PACK, pack) for pack in sorted(others)]
    found += [(FIELD_TAG, tag) for tag in (metadata.tags if metadata else ())]
    for field, name in found:
        yield LABEL.row({"run": run, "position": NO_POSITION, "field": field, "name": name})
    for position, variant in enumerate(entry.variants):
        for field, names in ((FIELD_LORA, variant.loras), (FIELD_EMBEDDING, variant.embeddings)):
            for name in names:
                yield LABEL.row({"run": run, "position": position, "field": field, "name": name})


def _opinion_rows(run: int, entry: RunEntry, pack: Callable[[str], bytes]) -> tuple[tuple[Row, ...], ...]:
    opinions = [_opinion_row(run, opinion, pack) for opinion in entry.opinions.opinions]
    tags = [_tag_of((run, pack(image), *word, True)) for image, *word in entry.opinions.image_tags]
    notes = [_note_of((run, pack(image), *word, True)) for image, *word in entry.opinions.notes]
    trash = [
        TRASH.row({"run": run, "image": pack(image), "clock": clock, "is_in": is_in})
        for image, clock, is_in in entry.opinions.trash
    ]
    scores = _score_rows(run, entry, pack)
    comparisons = [_comparison_row(run, comparison, pack) for comparison in entry.opinions.comparisons]
    return tuple(opinions), tuple(tags), tuple(notes), tuple(trash), tuple(scores), tuple(comparisons)


def _opinion_row(run: int, opinion: ImageOpinion, pack: Callable[[str], bytes]) -> Row:
    return _opinion_of(
        (
            run,
            pack(opinion.image),
            *opinion[1:],
            opinion.rated_at is not None,
            opinion.flagged_at is not None,
        )
    )


def _comparison_row(run: int, comparison: ComparisonEntry, pack: Callable[[str], bytes]) -> Row:
    images = {"winner": pack(comparison.winner), "loser": pack(comparison.loser)}
    return COMPARISON.row(comparison._asdict() | {"run": run, "event": pack_digest(comparison.event)} | images)


def _score_rows(run: int, entry: RunEntry, pack: Callable[[str], bytes]) -> list[Row]:
    """The newest score of each image, name and source: those that were added after the recording count first."""
    recorded = sorted((score for variant in entry.variants for score in variant.scores), key=_AGE)
    newest = {score[:3]: score for score in (*recorded, *entry.scores, *entry.opinions.scores)}
    images = {output.digest for variant in entry.variants for output in variant.outputs} if newest else ()
    return [
        _score_of((run, pack(score.image), *score[1:4], _store_time(score.scored_at), score.image not in images))
        for score in newest.values()
    ]


def _store_time(timestamp: str) -> int | str | None:
    """A time of a score in milliseconds; one that is not a time as it is, and none as None: they sort in this order."""
    try:
        return milliseconds_of(timestamp) if timestamp else None
    except ValueError:
        return timestamp


def _run_row(identifier: int, signature: int, reading: RunReading, entry: RunEntry) -> Row:
    metadata, opinions, variants = entry.metadata, entry.opinions, entry.variants
    seeds = [variant.seed for variant in variants if variant.seed is not None]
    return RUN.row(
        {
            "id": identifier,
            "run_id": entry.run_id,
            "folder_signature": reading.folder_signature,
            "file_signature": reading.file_signature,
            "content_signature": signature,
            "is_hot": reading.is_hot,
            "created": metadata.created_ms if metadata else None,
            "state": entry.state,
            "status": entry.status,
            "engine": metadata.engine if metadata else None,
            "source": metadata.source if metadata else None,
            "action": metadata.action if metadata else None,
            "plan_size": metadata.plan_size if metadata else None,
            "record_count": len(variants),
            "output_count": sum([len(variant.outputs) for variant in variants]),
            "duration": metadata.duration_seconds if metadata else None,
            "seed": store_seed(seeds[0]) if seeds else None,
            "seed_count": len(set(seeds)),
            "rating": opinions.rating,
            "best_rating": max([rating for _, rating in opinions.image_ratings], default=None),
            "rated_count": len(opinions.image_ratings),
            "pick_count": opinions.pick_count,
            "reject_count": opinions.reject_count,
            "note_count": opinions.note_count,
            "problem": entry.problem,
        }
    )
