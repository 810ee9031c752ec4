"""Two machines with a store each, and what must hold once a real sync tool has run between them."""

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from stablenew import FeedbackManager, RunStore, RunVerifier
from stablenew.store.feedback.feedback_files import FeedbackReading
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.local_state import replica_id
from stablenew.store.upkeep.run_repair import repair_run
from tests.samples import sealed_run

RATINGS = 200


class Side:
    """A machine: its store, its own state folder and so its own name, and every event it acknowledged."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.store = RunStore(folder / name)
        self.acknowledged: dict[str, set[str]] = {}
        self._state = folder / f"{name}-state"

    @contextlib.contextmanager
    def machine(self) -> Iterator[FeedbackManager]:
        """Be this machine for a while."""
        before = os.environ["STABLENEW_STATE_DIR"]
        os.environ["STABLENEW_STATE_DIR"] = str(self._state)
        try:
            yield FeedbackManager(self.store, rater=self.name)
        finally:
            os.environ["STABLENEW_STATE_DIR"] = before

    def rate(self, rng: random.Random, count: int) -> None:
        """Ratings, tags and now and then an undo, on runs that both sides have."""
        with self.machine() as manager:
            for _ in range(count):
                run_id = rng.choice([run.run_id for run in self.store.iter_runs()])
                if rng.random() < 0.1:
                    manager.undo(run_id)
                    events = manager.read(run_id).events
                else:
                    tags = rng.choice([(), ("a",)])
                    image_id, stars = f"{rng.randrange(2)}/0", rng.randrange(6)
                    events = manager.record_feedback(run_id, image_id, stars, tags=tags).events
                own = {event.id for event in events if event.replica == replica_id()}
                assert self.acknowledged.get(run_id, set()) <= own
                self.acknowledged[run_id] = own

    def repair(self) -> None:
        with self.machine():
            for run in self.store.iter_runs():
                repair_run(run)

    def files(self) -> dict[str, bytes]:
        """What the tool carries, by path."""
        paths = [path for path in self.store.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.store.root)): path.read_bytes() for path in paths}

    def readings(self) -> dict[str, FeedbackReading]:
        """As a third machine sees it, which has no journal of anybody."""
        return {run.run_id: FeedbackLog(run.path, replica="nobody").read() for run in self.store.iter_runs()}


def make_sides(folder: Path, runs: int = 4) -> tuple[Side, Side]:
    left, right = Side(folder, "left"), Side(folder, "right")
    for number in range(runs):
        sealed_run((left, right)[number % 2].store, f"run-{number}")
    return left, right


def work_and_sync(left: Side, right: Side, sync, *, rounds: int = 10, last_sync=None) -> None:
    """At least 200 acts on two sides, synced in between, repaired now and then; at the end until nothing is new."""
    rng = random.Random(17)
    sync()
    each = -(-RATINGS // (2 * rounds))
    for number in range(rounds):
        left.rate(rng, each)
        right.rate(rng, each)
        sync()
        if number % 3 == 2:
            (left, right)[number % 2].repair()
        check_nothing_forgotten(left)
        check_nothing_forgotten(right)
    for _ in range(3):
        time.sleep(1.1)  # some tools tell newer from older by whole seconds
        left.repair()
        right.repair()
        (last_sync or sync)()
        if left.files() == right.files():
            break
    left.repair()
    right.repair()


def check_nothing_forgotten(side: Side) -> None:
    """What this machine said it still knows, whatever the tool did to its files."""
    with side.machine() as manager:
        for run_id, said in side.acknowledged.items():
            assert said <= {one.id for one in manager.read(run_id).events}


def check_converged(left: Side, right: Side) -> None:
    ours, theirs = left.readings(), right.readings()
    assert ours.keys() == theirs.keys()
    for run_id, reading in ours.items():
        known = {one.id for one in reading.events}
        for side in (left, right):
            lost = side.acknowledged.get(run_id, set()) - known
            assert not lost, f"{len(lost)} acknowledged events of {side.name} lost on {run_id}"
        assert reading.events == theirs[run_id].events
        assert reading.build_document().state == theirs[run_id].build_document().state
    for side in (left, right):
        for run_id, reading in side.readings().items():
            assert [one.name for one in reading.files if one.is_conflict_copy] == [], run_id
            report = RunVerifier(side.store.open(run_id)).verify()
            assert report.is_ok, report.findings
    assert sum(map(len, left.acknowledged.values())) + sum(map(len, right.acknowledged.values())) >= RATINGS
