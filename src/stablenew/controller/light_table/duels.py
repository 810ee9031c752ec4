"""Duels: blind votes between the values of a setting, over any images of the store.

A duel is a query and a setting, and has no state of its own: pairs are drawn from the images that fit, every vote is a
`prefer` event in the log of a run, and the verdict follows from the events. So it goes on after a restart, on another
machine, and after an undo.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stablenew.controller.light_table.trash import without_trash
from stablenew.errors import ConfigError
from stablenew.formats.settings import INDEXED, find_setting
from stablenew.learning.duels.duel_verdict import DuelRule, DuelVerdict, PairResult, Vote, judge_duel
from stablenew.learning.duels.pair_drawing import NO_SIDE, Candidates, DrawnPair, PairDrawing

if TYPE_CHECKING:
    from stablenew.index.asking.image_values import ImageValues
    from stablenew.index.job_history import JobHistory
    from stablenew.learning.duels.confidence_sequence import Rate

MOST_SIDES: Final = 12
"""More values than these share the error so thinly that nothing would ever be decided."""
MATCHES: Final = ("settings", "seed", "prompt", "any")
"""The kinds of pairs: all else is equal; prompt and seed are; the prompt is; nothing is."""


@dataclass(frozen=True, slots=True)
class DuelQuestion:
    """What a duel is about."""

    query: str
    by: str
    """The setting whose values are compared."""
    rater: str | None = None
    """Whose votes count; None: everybody's."""
    rule: DuelRule = field(default_factory=DuelRule)

    @property
    def asked(self) -> str:
        """What the events of its votes say was asked."""
        setting = find_setting(self.by)
        return f"duel: {setting.name if setting else self.by}"


class Duel:
    """One duel as it stands now."""

    def __init__(self, history: "JobHistory", question: DuelQuestion) -> None:
        """Find the images and the votes.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such setting; or the images have one value of it only, or more than `MOST_SIDES`.
        """
        self.question = question
        self._history = history
        self._found = history.image_values(without_trash(question.query))
        codes = self._found.codes(question.by)
        self.sides = codes.titles()
        if not 2 <= len(self.sides) <= MOST_SIDES:
            raise ConfigError(_explain_sides(question.by, self.sides))
        self._sides = codes.codes
        self.image_counts = np.bincount(self._sides[self._sides >= 0], minlength=len(self.sides)).tolist()
        self._side_of = dict(zip(self._found.images.tolist(), self._sides.tolist(), strict=True))
        self.votes = self._read_votes(question.rater)
        self.verdict: DuelVerdict = judge_duel(self.votes, len(self.sides), question.rule)

    def _read_votes(self, rater: str | None) -> list[Vote]:
        """The votes on images that are in the duel, the oldest first."""
        side_of = self._side_of
        return [
            Vote(
                row.winner, row.loser, side_of[row.winner], side_of[row.loser], row.outcome, row.rater, row.shown,
                is_repeat=row.repeat > 0,
            )
            for row in self._history.comparisons(self.question.asked)
            if rater in (None, row.rater)
            and side_of.get(row.winner, NO_SIDE) != NO_SIDE
            and side_of.get(row.loser, NO_SIDE) != NO_SIDE
        ]  # fmt: skip

    def draw(
        self, rater: str, count: int, *, excluded: Sequence[str] = (), chance: random.Random | None = None
    ) -> list[dict[str, Any]]:
        """The next pairs for a rater, at most `count`; fewer when the images are used up.

        `excluded` are pairs that are on the screen or on their way, each `<digest>-<digest>`.
        """
        voted = [vote.images for vote in self._read_votes(rater)]
        drawing = PairDrawing(self._candidates(), voted, chance or random.SystemRandom())
        waiting = self._known_pairs(excluded)
        drawn: list[DrawnPair] = []
        while len(drawn) < count and (pair := drawing.draw(self._wanted_sides(), waiting)):
            drawn.append(pair)
            waiting.add((pair.left, pair.right))
        return self._describe_pairs(drawn)

    def _wanted_sides(self) -> list[tuple[int, int]]:
        """Sides that need votes, those with the fewest first; any when all is decided."""
        pairs: Sequence[PairResult] = self.verdict.open_pairs or self.verdict.pairs
        return [(pair.first, pair.second) for pair in sorted(pairs, key=lambda pair: pair.count)]

    def _candidates(self) -> Candidates:
        found, by = self._found, find_setting(self.question.by)
        names = [setting.name for setting in INDEXED if setting is not by]
        texts = [name for name in ("prompt", "negative") if name != self.question.by]
        closest = _groups_of(found, [*names, *texts])
        same_seed = _groups_of(found, [name for name in ("prompt", "seed") if name in [*names, *texts]])
        same_prompt = _groups_of(found, texts[:1])
        anything = np.zeros(len(found.images), np.int64)
        return Candidates(found.images.tolist(), self._sides, [closest, same_seed, same_prompt, anything])

    def _known_pairs(self, names: Collection[str]) -> set[tuple[int, int]]:
        wanted = {digest for name in names for digest in name.split("-")}
        if not wanted:
            return set()
        ids = self._history.image_ids(wanted)
        pairs = (name.split("-") for name in names)
        return {(ids[pair[0]], ids[pair[1]]) for pair in pairs if len(pair) == 2 and ids.keys() >= set(pair)}

    def _describe_pairs(self, drawn: Sequence[DrawnPair]) -> list[dict[str, Any]]:
        """The pairs without anything that tells the sides apart."""
        images = [image for pair in drawn for image in (pair.left, pair.right)]
        shown = {image: self._show(image) for image in images}
        return [
            {
                "left": shown[pair.left],
                "right": shown[pair.right],
                "match": MATCHES[pair.match] if pair.match < len(MATCHES) else "repeat",
                "repeat": pair.repeat,
            }
            for pair in drawn
            if shown[pair.left] and shown[pair.right]
        ]

    def _show(self, image: int) -> dict[str, Any] | None:
        rows = self._history.image_rows([image])
        wanted = ("run_id", "name", "digest", "path", "width", "height", "media_type")
        return {name: rows[0][name] for name in wanted} if rows else None

    def report(self) -> dict[str, Any]:
        """The verdict with all that it rests on, in JSON."""
        verdict, question = self.verdict, self.question
        winner = verdict.winner
        return {
            "query": question.query,
            "by": question.by,
            "asked": question.asked,
            "error": question.rule.error,
            "matters": question.rule.matters,
            "verdict": _name_verdict(verdict),
            "winner": None if winner is None else self.sides[winner],
            "progress": verdict.progress,
            "vote_count": len(self.votes),
            "counted_votes": sum(pair.count for pair in verdict.pairs),
            "second_votes": verdict.second_votes,
            "sides": [self._describe_side(side) for side in range(len(self.sides))],
            "pairs": [self._describe_result(pair) for pair in verdict.pairs],
            "agreement": describe_rate(verdict.agreement),
            "left_rate": describe_rate(verdict.left_rate),
        }

    def _describe_side(self, side: int) -> dict[str, Any]:
        strengths = self.verdict.strengths
        return {
            "value": self.sides[side],
            "image_count": self.image_counts[side],
            "is_contender": side in self.verdict.contenders,
            "strength": strengths[side].win_rate._asdict() if strengths else None,
            "vote_count": strengths[side].comparison_count if strengths else 0,
        }

    def _describe_result(self, pair: PairResult) -> dict[str, Any]:
        return {
            "first": self.sides[pair.first],
            "second": self.sides[pair.second],
            "wins": pair.wins,
            "losses": pair.losses,
            "ties": pair.ties,
            "both_bad": pair.both_bad,
            "win_rate": describe_rate(pair.win_rate),
            "verdict": pair.verdict,
            "decided_after": pair.decided_after,
        }


def describe_rate(rate: "Rate") -> dict[str, Any]:
    """A rate in JSON."""
    return rate._asdict()


def _name_verdict(verdict: DuelVerdict) -> str:
    if not verdict.is_decided:
        return "open"
    return "no_difference" if verdict.winner is None else "winner"


def _groups_of(found: "ImageValues", names: Sequence[str]) -> Any:
    """Numbers that are equal for equal values; -1 where a prompt or seed that should be equal is not known."""
    groups = found.equal_in(names)
    for name in ("prompt", "seed"):
        if name in names:
            groups[~found.is_known(name)] = -1
    return groups


def _explain_sides(by: str, sides: Sequence[str]) -> str:
    if len(sides) > MOST_SIDES:
        return f"{len(sides)} values of {by} are too many for a duel; choose up to {MOST_SIDES} with the query"
    found = f"all have {sides[0]}" if sides else "none has any"
    return f"a duel by {by} needs images with at least two values of it; of those that fit, {found}"
