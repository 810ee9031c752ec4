"""What the index must say, found out the slow way: every folder read by the strict readers, every condition tried."""

import json
import re
from dataclasses import dataclass, field

from stablenew.formats.clock import parse_timestamp
from stablenew.formats.documents.feedback_fold import latest_trash
from stablenew.formats.query_language import NUMBERS, RUN_NUMBERS, TIMES, Condition, Range
from stablenew.formats.settings import SETTINGS, standard_name
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run import final_outputs
from stablenew.store.run_folder import SEALED

SETTING_OF = {setting.query: setting.name for setting in SETTINGS}


@dataclass
class Scanned:
    """One run: its summary, and a row for each of its images, or of its variants without images."""

    summary: dict
    rows: list
    created_ms: int
    facts: dict
    state: object


class Scan(dict):
    """All runs of a store by id, and what is said of each image in any of them."""

    def __init__(self, runs, rater):
        super().__init__(runs)
        self.rater = rater
        self.images = {}
        self.last_scored = {}
        tag_words = {}
        for run in self.values():
            for (image, who), opinion in run.facts["opinions"].items():
                if image:
                    self.add(self.images.setdefault(image, Opinions()), who, opinion)
            for (image, who, op), (clock, value) in run.facts["words"].items():
                if image:
                    words = self.images.setdefault(image, Opinions()).words
                    words[who, op] = max(words.get((who, op), (clock, value)), (clock, value), key=lambda word: word[0])
            for word, (at, is_there) in run.facts["tag_words"].items():
                tag_words[word] = max(tag_words.get(word, (at, is_there)), (at, is_there))
            for image, name, at, value in run.facts["metrics"]:
                known = self.last_scored.get((image, name))
                self.last_scored[image, name] = max(known, (at, value)) if known else (at, value)

        for (image, _, tag), (_, is_there) in tag_words.items():
            if image and is_there:
                self.images.setdefault(image, Opinions()).tags.add(tag)

    def add(self, image, rater, opinion):
        image.raters.add(rater)
        image.notes += [note["text"] for note in opinion.get("notes") or ()]
        for name, value in (opinion.get("aspects") or {}).items():
            image.aspects.setdefault(name, []).append(value)

    def opinions_of(self, row):
        return self.images.get(row.get("image")) or Opinions()

    def rating(self, row):
        given = list(self.opinions_of(row).ratings.values())
        return sum(given) / len(given) if given else None


@dataclass
class Opinions:
    """What is said of an image."""

    words: dict = field(default_factory=dict)
    raters: set = field(default_factory=set)
    tags: set = field(default_factory=set)
    notes: list = field(default_factory=list)
    aspects: dict = field(default_factory=dict)

    @property
    def ratings(self):
        return {who: word for (who, op), (_, word) in self.words.items() if op == "rate" and word is not None}

    @property
    def flags(self):
        return {word for (_, op), (_, word) in self.words.items() if op == "flag"}


def scan(store, rater="me"):
    """All runs of a store by id."""
    return Scan({run.run_id: scan_run(run) for run in store.iter_runs()}, rater)


def scan_run(run):
    """One run as the strict readers see it."""
    try:
        metadata = run.metadata
    except (OSError, ValueError):
        metadata = None
    records, problems = run.read_records()
    state = FeedbackLog(run.path).read().build_document().state
    opinions = {("", rater): opinion.to_dict() for rater, opinion in state.run.items()}
    opinions |= {
        (image, rater): opinion.to_dict() for image, raters in state.images.items() for rater, opinion in raters.items()
    }
    settings = [ran_settings(record) for record in records]
    outputs = [output for record in records for output in final_outputs(record)]
    if len({output.digest for output in outputs}) == 1:
        opinions = with_one_rating(opinions, outputs[0].digest)
    own = max(
        ((one["rated_at"], one["rating"]) for (image, _), one in opinions.items() if not image and is_rated(one)),
        default=(None, None),
    )
    ratings = {}
    for (image, _), one in opinions.items():
        if image and is_rated(one):
            ratings[image] = max(ratings.get(image, 0), one["rating"])
    tags = {tag for one in opinions.values() for tag in one.get("tags") or ()}
    tags |= set((metadata and metadata.learning_tags) or ())
    seeds = [one["seed"] for one in settings if one["seed"] is not None]
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
        "best_rating": max(ratings.values(), default=None),
        "rated_count": len(ratings),
        "pick_count": sum(one.get("flag") == "pick" for one in opinions.values()),
        "reject_count": sum(one.get("flag") == "reject" for one in opinions.values()),
        "note_count": sum(len(one.get("notes") or ()) for one in opinions.values()),
        "outputs": [{"path": one.path, "digest": one.digest} for one in outputs[:8]],
        "fitting": None,
    }
    packs = {name for pack in (metadata.packs if metadata else ()) for name in (pack.id, pack.name) if name}
    packs |= {name for one in records for name in (one.prompt.pack_id, one.prompt.pack_name) if name}
    created_ms = (
        round(parse_timestamp(metadata.created_at).timestamp() * 1000) if metadata else created_by_id(run.run_id)
    )
    job = [one for (image, _), one in opinions.items() if not image]
    own_tags = {tag for one in job for tag in one.get("tags") or ()}
    facts = {
        "pack": packs,
        "source": metadata and metadata.source.name,
        "has_problem": bool(problems),
        "opinions": opinions,
        "words": last_words(run, opinions),
        "tag_words": last_tags(run),
        "raters": {rater for (image, rater) in opinions if not image},
        "flags": {one.get("flag") for one in job},
        "tags": own_tags | set((metadata and metadata.learning_tags) or ()),
        "own_tags": own_tags,
        "notes": [note["text"] for one in job for note in one.get("notes") or ()],
        "metrics": list(iter_metrics(run, records)),
        "trash": latest_trash(FeedbackLog(run.path).read().events),
    }
    rows = [row for one, record in zip(settings, records, strict=True) for row in rows_of(one, record)]
    return Scanned(summary, rows or [{}], created_ms, facts, state)


def last_words(run, opinions):
    """The last rating and flag of each image and rater, None where it was taken back, with its clock."""
    reading = FeedbackLog(run.path).read()
    retracted = {(event.rater, id_) for event in reading.events if event.op == "retract" for id_ in event.event_ids}
    words = {}
    for event in reading.events:
        if event.op in ("rate", "flag") and event.aspect is None and (event.rater, event.id) not in retracted:
            value = event.rating if event.op == "rate" else event.flag
            words[event.image_id or "", event.rater, event.op] = (event.clock, value)
    for (image, rater), opinion in opinions.items():
        if is_rated(opinion):
            words[image, rater, "rate"] = (opinion["rated_at"], opinion["rating"])
    return words


def last_tags(run):
    """The last word of each rater about each tag of an image: when, and whether it is there."""
    reading = FeedbackLog(run.path).read()
    retracted = {(event.rater, id_) for event in reading.events if event.op == "retract" for id_ in event.event_ids}
    return {
        (event.image_id or "", event.rater, event.tag): ((event.clock, event.id), event.present)
        for event in reading.events
        if event.op == "tag" and (event.rater, event.id) not in retracted
    }


def is_rated(opinion):
    return opinion.get("rating") is not None


def with_one_rating(opinions, image):
    """What a rater says of a run with one image is said of both, and the later rating counts."""
    merged = dict(opinions)
    for rater in {rater for _, rater in opinions}:
        given = [one for key in ("", image) if is_rated(one := opinions.get((key, rater), {}))]
        if given:
            last = max(given, key=lambda one: one["rated_at"])
            for key in ("", image):
                word = {"rating": last["rating"], "rated_at": last["rated_at"]}
                merged[key, rater] = merged.get((key, rater), {}) | word
    return merged


def iter_metrics(run, records):
    """Image, name, time and value of every score."""
    digests = {output.digest for record in records for output in final_outputs(record)}
    for path in run.path.glob("metrics.*.jsonl"):
        for line in path.read_text().splitlines():
            batch = json.loads(line)
            for score in batch["scores"]:
                for image in [score["image_id"]] if score["image_id"] else digests:
                    yield image, score["metric"], batch["scored_at"], score["value"]


def rows_of(settings, record):
    """A row for each final image of a variant."""
    prompt = record.prompt
    variant = settings | {"prompt": prompt.positive, "negative": prompt.negative}
    if record.reconstructed and record.finished_at:
        variant["made"] = milliseconds(record.finished_at)
    variant |= {"lora": {lora.name for lora in prompt.loras or ()}, "embedding": set(prompt.embeddings or ())}
    images = final_outputs(record)
    for image in images:
        media_type = image.media_type
        yield variant | {
            "image": image.digest,
            "output": {"path": image.path, "digest": image.digest},
            "width": settings["width"] if image.width is None else image.width,
            "height": settings["height"] if image.height is None else image.height,
            "type": {media_type, media_type.rpartition("/")[2]},
            "stage": image.stage,
        }
    if not images:
        yield variant


def created_by_id(run_id):
    parts = re.match(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{3})-", run_id)
    if parts is None:
        return 0
    year, month, day, hour, minute, second, fraction = parts.groups()
    return milliseconds(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z")


def milliseconds(timestamp):
    return round(parse_timestamp(timestamp).timestamp() * 1000)


def ran_settings(record):
    found = {}
    for name in (setting.name for setting in SETTINGS if setting.is_indexed):
        ran = getattr(record.actual, name) if record.actual else None
        found[name] = ran if ran is not None else getattr(record.requested, name)
    found["seed"] = None if found["seed"] == -1 else found["seed"]
    others = (record.requested.model_extra or {}) | {
        name: value
        for name, value in ((record.actual and record.actual.model_extra) or {}).items()
        if value is not None
    }
    for name, value in others.items():
        standard = standard_name(name)
        if standard == name:
            found[f"settings.{name}"] = value
        elif found[standard] is None:
            found[standard] = value
    return found


def find(scanned, query):
    """The run ids that fit, newest first, as far as times tell them apart."""
    return [
        run_id
        for run_id, run in sorted(scanned.items(), key=lambda item: -item[1].created_ms)
        if matching_rows(scanned, run, query.conditions)
    ]


def find_images(scanned, query):
    """The digests of the images that fit, each once."""
    return {
        row["image"]
        for run in scanned.values()
        for row in matching_rows(scanned, run, query.conditions)
        if "image" in row
    }


def matching_rows(scanned, run, conditions):
    return [row for row in run.rows if all(holds(scanned, run, row, condition) for condition in conditions)]


def holds(scanned, run, row, condition: Condition):
    tests = (one_holds(scanned, run, row, condition.field, value) for value in condition.values)
    return any(tests) != condition.is_negated


def one_holds(scanned, run, row, field, value):
    image = scanned.opinions_of(row)
    tests = {
        "prompt": lambda: has_words(row.get("prompt"), value),
        "negative": lambda: has_words(row.get("negative"), value),
        "note": lambda: any(has_words(note, value) for note in image.notes + run.facts["notes"]),
        "unrated": lambda: "image" in row and is_unrated(scanned, row, value) == value.is_on,
        "noted": lambda: bool(image.notes or run.facts["notes"]) == value.is_on,
        "orientation": lambda: orientation(row) == value.text,
        "digest": lambda: row.get("image", "")[7:].startswith(value.text.removeprefix("xxh128:")) and "image" in row,
        "is": lambda: "image" in row and image_is_trashed(scanned, row),
        "run": lambda: re.match(glob(value.text), run.summary["run_id"]) is not None,
        "settings.s_churn": lambda: fits_setting(row.get(field), value),
    } | dict.fromkeys(TIMES, lambda: value.matches(row.get("made", run.created_ms)))
    if field in tests:
        return tests[field]()
    if field in NUMBERS or "." in field:
        return in_range(number_of(scanned, run, row, field), value)
    return any(re.fullmatch(glob(value.text), text.casefold(), re.DOTALL) for text in texts(scanned, run, row, field))


def image_is_trashed(scanned, row):
    """Whether the last word on the image, of anybody in any run, put it into the trash."""
    words = [run.facts["trash"][row["image"]] for run in scanned.values() if row["image"] in run.facts["trash"]]
    return bool(words) and max(words)[1]


def is_unrated(scanned, row, value):
    given = scanned.opinions_of(row).ratings.get(scanned.rater) if value.is_mine else scanned.rating(row)
    return given is None


def number_of(scanned, run, row, field):
    if field == "rating":
        return scanned.rating(row)
    if field == "mine":
        return scanned.opinions_of(row).ratings.get(scanned.rater)
    if field == "metric.aesthetic":
        return scanned.last_scored.get((row.get("image"), "aesthetic"), (None, None))[1]
    if field in RUN_NUMBERS:
        names = {"variants": "record_count", "outputs": "output_count", "duration": "duration_seconds"}
        return run.summary[names.get(field, "rating")]
    return row.get(SETTING_OF.get(field, field))


def fits_setting(found, value):
    if found is None:
        return False
    if isinstance(found, bool):
        found = str(found).lower()
    if isinstance(value, Range):
        return not isinstance(found, str) and value.matches(found)
    text = found if isinstance(found, str) else str(int(found) if found == int(found) else found)
    return re.fullmatch(glob(value.text), text.casefold(), re.DOTALL) is not None


def orientation(row):
    width, height = row.get("width"), row.get("height")
    if width is None or height is None:
        return None
    return "square" if width == height else "landscape" if width > height else "portrait"


def texts(scanned, run, row, field):
    image = scanned.opinions_of(row)
    if field in ("tag", "label"):
        found = image.tags | run.facts["tags"]
        if field == "label":
            found = {
                tag.removeprefix("label:") for tag in image.tags | run.facts["own_tags"] if tag.startswith("label:")
            }
    elif field == "source":
        found = {run.facts["source"], run.summary["engine"]}
    elif field == "flag":
        found = image.flags | run.facts["flags"]
    elif field == "rater":
        found = image.raters | run.facts["raters"]
    elif field in ("lora", "embedding", "model", "sampler", "scheduler", "vae", "type", "stage"):
        found = row.get(field)
    else:
        found = run.facts.get(field) or run.summary.get({"action": "one_click_action"}.get(field, field))
    return [found] if isinstance(found, str) else [text for text in found or () if text]


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
