"""LearningRunner: works through a learning plan. How a step is run is injected; what is done is told from the runs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from stablenew.formats.documents.learning_plan import LearningPlan, LearningRunResult, LearningRunStep

COMPLETED: Final = "completed"


@dataclass(frozen=True)
class PlanStatus:
    """How far a plan is."""

    done: tuple[LearningRunResult, ...]
    """A result for each step that is done."""
    undone: tuple[LearningRunResult, ...]
    """Runs that were begun for a step and did not complete it."""
    pending: tuple[LearningRunStep, ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to run."""
        return not self.pending


class LearningRunner:
    """One plan, worked through; stopped or killed, the next runner goes on."""

    def __init__(
        self,
        plan: LearningPlan,
        *,
        run_step: Callable[[LearningRunStep], LearningRunResult],
        find_results: Callable[[], Iterable[LearningRunResult]],
    ) -> None:
        self._plan = plan
        self._run_step = run_step
        self._find_results = find_results

    def status(self) -> PlanStatus:
        """What is done and what is left, from the runs that there are."""
        found = sorted(self._find_results(), key=lambda result: result.run_id)
        done = {result.step: result for result in reversed(found) if result.status == COMPLETED}
        steps = self._plan.steps
        return PlanStatus(
            done=tuple(done[step.number] for step in steps if step.number in done),
            undone=tuple(result for result in found if result.status != COMPLETED),
            pending=tuple(step for step in steps if step.number not in done),
        )

    def iter_results(self) -> Iterator[LearningRunResult]:
        """Run what is left, step by step. A step that fails is given and left for the next time."""
        for step in self.status().pending:
            yield self._run_step(step)
