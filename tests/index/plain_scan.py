"""What the index must say, found out the slow way: every folder read by the strict readers, every condition tried."""

import re
from dataclasses import dataclass

from stablenew.formats.clock import parse_timestamp
from stablenew.formats.query_language import (
    RUN_NUMBERS,
    SWITCHES,
    TEXTS,
    TIMES,
    VARIANT_NUMBERS,
    Condition,
)
from stablenew.formats.settings import SETTINGS
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run import SEALED, final_outputs

SETTING_OF = {setting.query: setting.name for setting in SETTINGS}


@dataclass
class Scanned:
    """One run: its summary, and the facts of each of its variants."""

    summary: dict
    variants: list
    created_ms: int
    facts: dict


def scan(store):
    """All runs of a store by id."""
    return {run.run_id: scan_run(run) for run in store.iter_runs()}


def scan_run(run):
    """One run as the strict readers see it."""
    try:
        metadata = run.metadata
    except (OSError, ValueError):
        metadata = None
    records, problems = run.read_records()
    state = FeedbackLog(run.path).read().build_document().state
    own = max(
        ((one.rated_at, one.rating) for one in state.run.values() if one.rating is not None), default=(None, None)
    )
    ratings = image_ratings(state)
    opinions = [*state.run.values(), *(one for by_rater in state.images.values() for one in by_rater.values())]
    best = max(ratings.values(), default=None)
    tags = {tag for one in opinions for tag in one.tags or ()} | set((metadata and metadata.learning_tags) or ())
    settings = [ran_settings(record) for record in records]
    seeds = [one["seed"] for one in settings if one["seed"] is not None]
    outputs = [output for record in records for output in final_outputs(record)]
    run_state = run.state
    summary = {
        "kind": "stablenew.job_summary",
        "schema_version": "1.0",
        "run_id": run.run_id,
        "created_at": metadata and metadata.created_at,
        "status": metadata.status if metadata and run_state == SEALED else run_state,
        "state": run_state,
        "packs": sorted(pack.name or pack.id for pack in metadata.packs) if metadata else [],
        "one_click_action": metadata and metadata.one_click_action,
        "engine": metadata and metadata.source.engine,
        "model": settings[0]["model"] if settings else None,
        "prompt": records[0].prompt.positive if records else None,
        "tags": sorted(tags),
        "record_count": len(records),
        "plan_size": metadata.variant_plan.size if metadata and metadata.variant_plan else None,
        "output_count": len(outputs),
        "duration_seconds": metadata and metadata.duration_seconds,
        "seed": (seeds[0] if seeds[0] < 2**53 else str(seeds[0])) if seeds else None,
        "seed_count": len(set(seeds)),
        "rating": own[1],
        "best_rating": best,
        "rated_count": len(ratings),
        "pick_count": sum(one.flag == "pick" for one in opinions),
        "reject_count": sum(one.flag == "reject" for one in opinions),
        "note_count": sum(len(one.notes or ()) for one in opinions),
        "outputs": [{"path": one.path, "digest": one.digest} for one in outputs[:8]],
    }
    packs = {name for pack in (metadata.packs if metadata else ()) for name in (pack.id, pack.name) if name}
    packs |= {name for one in records for name in (one.prompt.pack_id, one.prompt.pack_name) if name}
    created_ms = (
        round(parse_timestamp(metadata.created_at).timestamp() * 1000) if metadata else created_by_id(run.run_id)
    )
    facts = {"pack": packs, "has_problem": bool(problems), "stars": own[1] if own[1] is not None else best}
    variants = [
        one | {"prompt": record.prompt.positive, "negative": record.prompt.negative}
        | {"lora": {lora.name for lora in record.prompt.loras or ()}, "embedding": set(record.prompt.embeddings or ())}
        for one, record in zip(settings, records, strict=True)
    ]  # fmt: skip
    return Scanned(summary, variants or [{}], created_ms, facts)


def created_by_id(run_id):
    parts = re.match(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{3})-", run_id)
    if parts is None:
        return 0
    year, month, day, hour, minute, second, fraction = parts.groups()
    return milliseconds(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z")


def milliseconds(timestamp):
    return round(parse_timestamp(timestamp).timestamp() * 1000)


def image_ratings(state):
    ratings = {}
    for image, by_rater in state.images.items():
        given = [one.rating for one in by_rater.values() if one.rating is not None]
        if given:
            ratings[image] = max(given)
    return ratings


def ran_settings(record):
    found = {}
    for name in (setting.name for setting in SETTINGS if setting.is_indexed):
        ran = getattr(record.actual, name) if record.actual else None
        found[name] = ran if ran is not None else getattr(record.requested, name)
    found["seed"] = None if found["seed"] == -1 else found["seed"]
    return found


def find(scanned, query):
    """The run ids that fit, newest first, as far as times tell them apart."""
    return [
        run_id
        for run_id, run in sorted(scanned.items(), key=lambda item: -item[1].created_ms)
        if any(all(holds(run, variant, condition) for condition in query.conditions) for variant in run.variants)
    ]


def holds(run, variant, condition: Condition):
    return any(one_holds(run, variant, condition.field, value) for value in condition.values) != condition.is_negated


def one_holds(run, variant, field, value):
    summary = run.summary
    if field in TEXTS:
        return has_words(variant.get(field), value)
    if field in VARIANT_NUMBERS:
        return in_range(variant.get(SETTING_OF.get(field, field)), value)
    if field in RUN_NUMBERS:
        names = {"variants": "record_count", "outputs": "output_count", "duration": "duration_seconds"}
        return in_range(run.facts["stars"] if field == "rating" else summary[names[field]], value)
    if field in TIMES:
        return value.matches(run.created_ms)
    if field in SWITCHES:
        is_so = run.facts["stars"] is None if field == "unrated" else summary["note_count"] > 0
        return is_so == value.is_on
    if field == "flag":
        return summary[f"{value.text}_count"] > 0
    if field == "run":
        return re.match(glob(value.text), summary["run_id"]) is not None
    return any(re.fullmatch(glob(value.text), one.casefold(), re.DOTALL) for one in texts(run, variant, field))


def texts(run, variant, field):
    names = {"action": "one_click_action", "tag": "tags"}
    if field in ("lora", "embedding"):
        found = variant.get(field, set())
    elif field in ("model", "sampler", "scheduler", "vae"):
        found = variant.get(field)
    else:
        found = run.facts["pack"] if field == "pack" else run.summary[names.get(field, field)]
    return [found] if isinstance(found, str) else list(found or ())


def glob(text):
    return "".join({"*": ".*", "?": "."}.get(letter) or re.escape(letter) for letter in text.casefold())


def in_range(number, value):
    return number is not None and value.matches(number)


def has_words(text, value):
    words, wanted = tokens(text or ""), tokens(value.text)
    for start in range(len(words) - len(wanted) + 1):
        found = words[start : start + len(wanted)]
        is_last = found[-1].startswith(wanted[-1]) if value.is_prefix else found[-1] == wanted[-1]
        if found[:-1] == wanted[:-1] and is_last:
            return True
    return False


def tokens(text):
    return re.findall(r"[^\W_]+", text.casefold())
