"""What the index keeps of a run's feedback: ratings, flags, tags, notes, comparisons, trash."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from stablenew.formats.documents.event_fields import EventFields
from stablenew.formats.documents.feedback_fold import fold_opinions, latest_trash, standing_events
from stablenew.index.reading.run_entry import ComparisonEntry, ImageOpinion, OpinionEntry, ScoreEntry

_Opinions: TypeAlias = dict[tuple[str, str], dict[str, Any]]
"""What each rater thinks of each image, by image and rater; the image of the whole run is empty."""


def build_opinion_entry(events: Sequence[EventFields], only_image: str | None = None) -> OpinionEntry:
    """What the index keeps of a run's feedback, whose `events` are in the order of `merge_events`.

    `only_image` is the image of a run with exactly one: a rating of either is a rating of both, the later one counts.
    """
    standing = standing_events(events)
    opinions = fold_opinions(standing)
    if only_image is not None:
        opinions = _with_one_rating(opinions, only_image)
    flags = [opinion.get("flag") for opinion in opinions.values()]
    notes = _latest_by_name(standing, "note", "note_id")
    return OpinionEntry(
        rating=_latest_rating(opinions),
        image_ratings=tuple(sorted(_best_ratings(opinions).items())),
        tags=tuple(sorted({tag for opinion in opinions.values() for tag in opinion.get("tags") or ()})),
        pick_count=flags.count("pick"),
        reject_count=flags.count("reject"),
        note_count=sum([event.text is not None for event in notes.values()]),
        opinions=tuple(_iter_image_opinions(opinions, standing)),
        image_tags=tuple(
            (*key, _age(event), bool(event.present))
            for key, event in sorted(_latest_by_name(standing, "tag", "tag").items())
        ),
        notes=tuple((*key, _age(event), event.text) for key, event in notes.items()),
        scores=tuple(
            ScoreEntry(image, f"aspect.{name}", rater, event.rating, _age(event))
            for (image, rater, name), event in _latest_by_name(standing, "rate", "aspect").items()
        ),
        trash=tuple((image, *latest) for image, latest in latest_trash(standing).items()),
        comparisons=_build_comparison_entries(standing),
    )


def _latest_by_name(standing: Sequence[EventFields], op: str, name: str) -> dict[tuple[str, str, str], EventFields]:
    """The last word of each rater by image, rater and what the field `name` of the events of one op says."""
    named = ((getattr(event, name), event) for event in standing if event.op == op)
    return {(event.image_id or "", event.rater, own): event for own, event in named if own}


def _age(event: EventFields) -> str:
    """What sorts events as `merge_events` does: over several runs of one image the greatest counts."""
    return f"{event.clock} {event.id}"


def _latest_rating(opinions: _Opinions) -> int | None:
    """The rating of the run as a whole that was given last."""
    own = [
        (opinion["rated_at"], opinion["rating"])
        for (image, _), opinion in opinions.items()
        if not image and opinion.get("rating") is not None
    ]
    return max(own)[1] if own else None


def _best_ratings(opinions: _Opinions) -> dict[str, int]:
    """The highest rating of each image that has one."""
    best: dict[str, int] = {}
    for (image, _), opinion in opinions.items():
        rating = opinion.get("rating")
        if image and rating is not None:
            best[image] = max(rating, best.get(image, 0))
    return best


def _iter_image_opinions(opinions: _Opinions, standing: Sequence[EventFields]) -> Iterator[ImageOpinion]:
    """What each rater thinks, and when they said so, also where all of it was taken back."""
    rated, flagged = _latest_words(standing, "rate"), _latest_words(standing, "flag")
    for key, opinion in opinions.items():
        rated_at = opinion.get("rated_at") or rated.get(key)
        if opinion or rated_at or key in flagged:
            rating, flag = opinion.get("rating"), opinion.get("flag")
            yield ImageOpinion(*key, rating, rated_at, flag, flagged.get(key), is_empty=not opinion)


def _latest_words(standing: Sequence[EventFields], op: str) -> dict[tuple[str, str], str]:
    """When each rater last rated each image (op `rate`), flagged it, or took that back; by image and rater."""
    said = (event for event in standing if event.op == op and event.aspect is None)
    return {(event.image_id or "", event.rater): event.clock for event in said}


def _build_comparison_entries(standing: Sequence[EventFields]) -> tuple[ComparisonEntry, ...]:
    return tuple(
        ComparisonEntry(
            event.id, event.winner, event.loser, event.rater, event.outcome, event.shown, event.asked,
            event.repeat or 0, event.clock,
        )
        for event in standing
        if event.op == "prefer" and event.winner and event.loser and event.outcome
    )  # fmt: skip


def _with_one_rating(opinions: _Opinions, image: str) -> _Opinions:
    """The opinions, with each rater's later rating of the run and its only image as the rating of both."""
    merged = dict(opinions)
    for rater in {rater for subject, rater in opinions if subject in ("", image)}:
        keys = (("", rater), (image, rater))
        given = [merged[key] for key in keys if merged.get(key, {}).get("rating") is not None]
        if given:
            latest = max(given, key=lambda opinion: (opinion["rated_at"], opinion["rating"]))
            rating = {"rating": latest["rating"], "rated_at": latest["rated_at"]}
            merged |= {key: merged.get(key, {}) | rating for key in keys}
    return merged
