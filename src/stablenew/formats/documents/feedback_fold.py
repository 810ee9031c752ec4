"""The fold: what the events of a run's feedback mean now. Pure functions of events, whoever built them."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from stablenew.formats.documents.event_fields import EventFields

AnyEvent = TypeVar("AnyEvent", bound=EventFields)
PLACE: Final = "place"
"""The op that gives an image a place, in `text`, among the images with a tag; not an opinion, so not in `state`."""


def standing_events(events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    """The events that were not retracted, without the retractions.

    Retractions of one's own events count; a retraction itself cannot be retracted: redo is a new event.
    """
    retractions = [event for event in events if event.op == "retract"]
    if not retractions:
        return events
    retracted = {(event.rater, target) for event in retractions for target in event.event_ids or ()}
    return [event for event in events if event.op != "retract" and (event.rater, event.id) not in retracted]


def fold_opinions(ordered: Sequence[EventFields]) -> dict[tuple[str, str], dict[str, Any]]:
    """What every rater now thinks of every image, by (image id, rater), in the form of `Opinion`.

    The image id of the whole run is empty. `ordered` holds every event once, in the order of `merge_events`.
    """
    winners: dict[tuple[str, ...], EventFields] = {}
    for event in standing_events(ordered):
        if (key := _register(event)) is not None:
            winners[key] = event
    opinions: dict[tuple[str, str], dict[str, Any]] = {}
    for key in sorted(winners):
        event = winners[key]
        _apply(event, opinions.setdefault((event.image_id or "", event.rater), {}))
    return opinions


def standing_by_image(ordered: Sequence[AnyEvent]) -> dict[str, list[AnyEvent]]:
    """The events about each image that were not retracted; for `ordered` see `fold_opinions`."""
    found: dict[str, list[AnyEvent]] = {}
    for event in standing_events(ordered):
        if event.image_id is not None:
            found.setdefault(event.image_id, []).append(event)
    return found


def fold_picture(said: Iterable[EventFields]) -> dict[str, dict[str, Any]]:
    """What every rater now thinks of one picture, by rater, in the form of `Opinion`.

    `said` are the events about its files in all runs that hold one, without those that were retracted. Tags belong to
    a file, and the picture has those of all; of everything else the last word about any file counts.
    """
    winners: dict[tuple[str, ...], EventFields] = {}
    for event in sorted({event.id: event for event in said}.values(), key=lambda event: (event.clock, event.id)):
        if (key := _register(event)) is not None:
            winners[key if event.op == "tag" else key[1:]] = event
    opinions: dict[str, dict[str, Any]] = {}
    for _, event in sorted(winners.items()):
        _apply(event, opinions.setdefault(event.rater, {}))
    for opinion in opinions.values():
        if "tags" in opinion:
            opinion["tags"] = sorted(set(opinion["tags"]))
    return opinions


def fold_preferences(ordered: Sequence[EventFields]) -> list[dict[str, Any]]:
    """Every comparison that stands, in the form of `Preference`; for `ordered` see `fold_opinions`."""
    return [_preference(event) for event in standing_comparisons(ordered)]


def standing_tags(ordered: Sequence[AnyEvent]) -> list[AnyEvent]:
    """The events that gave the images the tags that they have; for `ordered` see `fold_opinions`."""
    said = standing_events([event for event in ordered if event.op in ("tag", "retract")])
    latest = {(event.image_id, event.rater, event.tag): event for event in said if event.tag}
    return [event for event in latest.values() if event.present]


def standing_places(ordered: Sequence[AnyEvent]) -> list[AnyEvent]:
    """For each image and tag the latest event that gave the image a place among those with the tag, whoever said it.

    For `ordered` see `fold_opinions`.
    """
    events = [event for event in ordered if event.op in (PLACE, "retract")]
    said = (event for event in standing_events(events) if event.tag and event.text) if events else ()
    return list({(event.image_id or "", event.tag or ""): event for event in said}.values())


def standing_comparisons(ordered: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    """The events of all comparisons that were not taken back; for `ordered` see `fold_opinions`."""
    return standing_events([event for event in ordered if event.op in ("prefer", "retract")])


def fold_removals(ordered: Sequence[EventFields]) -> list[dict[str, Any]]:
    """Every removal that stands, in the form of `Removal`; for `ordered` see `fold_opinions`.

    A removal that was retracted is one whose bytes were brought back.
    """
    return [_removal(event) for event in standing_removals(ordered)]


def standing_removals(ordered: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    """The events of all removals that were not taken back; for `ordered` see `fold_opinions`."""
    return standing_events([event for event in ordered if event.op in ("remove", "retract")])


def fold_trash(ordered: Sequence[EventFields]) -> frozenset[str]:
    """Digests of the images that are in the trash: for each image the latest word counts, whoever's it is."""
    return frozenset(image for image, (_, is_trashed) in latest_trash(ordered).items() if is_trashed)


def latest_trash(ordered: Sequence[EventFields]) -> dict[str, tuple[str, bool]]:
    """For each image that anybody put into the trash or took out of it: when last, as a clock, and whether in."""
    events = [event for event in ordered if event.op in ("trash", "retract")]
    said = (event for event in standing_events(events) if event.image_id is not None)
    return {event.image_id or "": (event.clock, bool(event.present)) for event in said}


def fold_earlier_ratings(ordered: Sequence[EventFields]) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """What raters said of images before their latest stars, by (image id, rater): stars and clocks, the first first.

    Where stars were taken away, what was said before that does not count; for `ordered` see `fold_opinions`.
    """
    said: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for event in standing_events([event for event in ordered if event.op in ("rate", "retract")]):
        key = (event.image_id or "", event.rater)
        if event.rating is None and event.aspect is None:
            said.pop(key, None)
        elif event.rating is not None and event.aspect is None:
            said.setdefault(key, []).append((event.rating, event.clock))
    return {key: stars[:-1] for key, stars in said.items() if len(stars) > 1}


def _register(event: EventFields) -> tuple[str, ...] | None:
    """The one thing an event sets, or None when it sets nothing."""
    subject = (event.image_id or "", event.rater, event.op)
    match event.op:
        case "rate":
            return (*subject, event.aspect or "")
        case "tag":
            return (*subject, event.tag or "")
        case "note":
            return (*subject, event.note_id or "")
        case "flag" | "trash":
            return subject
        case _:
            return None


def _apply(event: EventFields, opinion: dict[str, Any]) -> None:
    match event.op:
        case "rate" if event.rating is not None and event.aspect:
            opinion.setdefault("aspects", {})[event.aspect] = event.rating
        case "rate" if event.rating is not None:
            opinion.update(rating=event.rating, rated_at=event.clock)
        case "tag" if event.present:
            opinion.setdefault("tags", []).append(event.tag)
        case "note" if event.text is not None:
            opinion.setdefault("notes", []).append({"note_id": event.note_id, "text": event.text})
        case "flag" if event.flag is not None:
            opinion["flag"] = event.flag
        case "trash" if event.present:
            opinion["trashed"] = True


def _preference(event: EventFields) -> dict[str, Any]:
    fields = {
        "event_id": event.id,
        "rater": event.rater,
        "winner": event.winner,
        "loser": event.loser,
        "outcome": event.outcome,
    }
    optional = {"shown": event.shown, "other_run_id": event.other_run_id}
    return fields | {name: value for name, value in optional.items() if value is not None}


def _removal(event: EventFields) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "replica": event.replica,
        "digest": event.digest,
        "sha256": event.sha256,
        "size_bytes": event.size_bytes,
        "reason": event.reason,
    }
