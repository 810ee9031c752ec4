"""What the index keeps of a run's feedback: ratings, flags, tags, notes, comparisons, trash."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from stablenew.formats.documents.event_fields import EventFields
from stablenew.formats.documents.feedback_fold import (
    fold_opinions,
    latest_aspects,
    latest_notes,
    latest_tags,
    latest_trash,
    latest_words,
    standing_comparisons,
)
from stablenew.index.reading.run_entry import ComparisonEntry, ImageOpinion, OpinionEntry, ScoreEntry

_Opinions: TypeAlias = dict[tuple[str, str], dict[str, Any]]
"""What each rater thinks of each image, by image and rater; the image of the whole run is empty."""


def build_opinion_entry(events: Sequence[EventFields], only_image: str | None = None) -> OpinionEntry:
    """What the index keeps of a run's feedback, whose `events` are in the order of `merge_events`.

    `only_image` is the image of a run with exactly one: a rating of either is a rating of both, the later one counts.
    """
    opinions = fold_opinions(events)
    if only_image is not None:
        opinions = _with_one_rating(opinions, only_image)
    flags = [opinion.get("flag") for opinion in opinions.values()]
    notes = latest_notes(events)
    return OpinionEntry(
        rating=_latest_rating(opinions),
        image_ratings=tuple(sorted(_best_ratings(opinions).items())),
        tags=tuple(sorted({tag for opinion in opinions.values() for tag in opinion.get("tags") or ()})),
        pick_count=flags.count("pick"),
        reject_count=flags.count("reject"),
        note_count=sum([text is not None for _, text in notes.values()]),
        opinions=tuple(_iter_image_opinions(opinions, events)),
        image_tags=tuple((*key, *word) for key, word in sorted(latest_tags(events).items())),
        notes=tuple((*key, *word) for key, word in notes.items()),
        scores=tuple(
            ScoreEntry(image, f"aspect.{name}", rater, stars, at)
            for (image, rater, name), (at, stars) in latest_aspects(events).items()
        ),
        trash=tuple((image, *latest) for image, latest in latest_trash(events).items()),
        comparisons=build_comparison_entries(events),
    )


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


def _iter_image_opinions(opinions: _Opinions, events: Sequence[EventFields]) -> Iterator[ImageOpinion]:
    """What each rater thinks, and when they said so, also where all of it was taken back."""
    rated, flagged = latest_words(events, "rate"), latest_words(events, "flag")
    for key, opinion in opinions.items():
        rated_at = opinion.get("rated_at") or rated.get(key)
        if opinion or rated_at or key in flagged:
            rating, flag = opinion.get("rating"), opinion.get("flag")
            yield ImageOpinion(*key, rating, rated_at, flag, flagged.get(key), is_empty=not opinion)


def build_comparison_entries(ordered: Sequence[EventFields]) -> tuple[ComparisonEntry, ...]:
    """The comparisons that stand; for `ordered` see `fold_opinions`."""
    return tuple(
        ComparisonEntry(
            event.id, event.winner, event.loser, event.rater, event.outcome, event.shown, event.asked,
            event.repeat or 0, event.clock,
        )
        for event in standing_comparisons(ordered)
        if event.winner and event.loser and event.outcome
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
