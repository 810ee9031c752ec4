"""The whole store against a plain model: create, append, seal, rate, undo, crash, sync, merge, repair, verify.

Three machines with clocks an hour apart work on the same runs; files travel between them as careless tools carry them.
"""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stablenew import FeedbackManager, RunStore, RunVerifier, merge_stores
from stablenew.formats.clock import Clock
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.local_state import host_id, replica_id
from stablenew.store.upkeep.run_repair import repair_run, repair_store
from tests.profiles import by_profile
from tests.samples import metadata, write_variant

MACHINES = 3
SKEWS = (timedelta(0), timedelta(hours=1), timedelta(hours=-2))
machines = st.integers(0, MACHINES - 1)


class Machine:
    """One machine: its store, its state folder, its clock, and what it is in the middle of."""

    def __init__(self, folder, number):
        self.store = RunStore(folder / f"machine-{number}")
        self.state = folder / f"state-{number}"
        self.number = number
        self.writers = {}
        self.ticks = 0

    def be(self):
        os.environ["STABLENEW_STATE_DIR"] = str(self.state)
        return self

    def now(self):
        self.ticks += 1
        return datetime(2026, 11, 21, 8, tzinfo=UTC) + SKEWS[self.number] + timedelta(seconds=self.ticks)

    def manager(self, rater="alice"):
        return FeedbackManager(self.store, rater=rater, clock=Clock(now=self.now))


class StoreMachine(RuleBasedStateMachine):
    """`records` and `events` are the model: what was acknowledged, by run, and by machine and run."""

    with_logs = True

    def __init__(self):
        super().__init__()
        self.environment = os.environ.get("STABLENEW_STATE_DIR")
        self.folder = Path(tempfile.mkdtemp(prefix="stablenew-machine-"))
        self.machines = [Machine(self.folder, number) for number in range(MACHINES)]
        self.records = {}
        self.sealed = {}
        self.events = {}
        self.count = 0

    def teardown(self):
        for machine in self.machines:
            for writer in machine.writers.values():
                writer.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.environment is not None:
            os.environ["STABLENEW_STATE_DIR"] = self.environment

    def runs_of(self, machine):
        return [run.run_id for run in machine.store.iter_runs() if run.is_sealed]

    @initialize()
    def begin(self):
        self.create(0)
        self.append(0)
        self.seal(0)
        self.sync(0, 1, "newer")

    @rule(number=machines)
    def create(self, number):
        machine = self.machines[number].be()
        if len(machine.writers) < 2:
            self.count += 1
            run_id = f"run-{self.count}"
            source = {"name": "StableNew", "host_id": host_id()}
            machine.writers[run_id] = machine.store.create(metadata(run_id, source=source))
            self.records[run_id] = 0

    @precondition(lambda self: any(machine.writers for machine in self.machines))
    @rule(number=machines)
    def append(self, number):
        machine = self.machines[number].be()
        for run_id, writer in list(machine.writers.items())[:1]:
            write_variant(writer, self.records[run_id])
            self.records[run_id] += 1

    @rule(number=machines)
    def seal(self, number):
        machine = self.machines[number].be()
        for run_id, writer in list(machine.writers.items())[:1]:
            count = self.records[run_id]
            run = writer.seal(metadata(run_id, status="completed", record_count=count, output_count=count))
            self.sealed[run_id] = run.digest
            del machine.writers[run_id]

    @rule(number=machines, torn=st.booleans())
    def crash(self, number, torn):
        """What a kill leaves: an unsealed run, perhaps a cut line and a temporary file."""
        machine = self.machines[number].be()
        for run_id, writer in list(machine.writers.items())[:1]:
            writer.abandon()
            if torn:
                with (writer.path / "records.jsonl").open("ab") as file:
                    file.write(b'{"kind":"stablenew.lear')
                (writer.path / "outputs" / ".0000-txt2img-0.0a1b2c3d.tmp").write_bytes(b"half")
            del machine.writers[run_id]

    @rule(number=machines, rating=st.integers(0, 5), rater=st.sampled_from(["alice", "bob"]), pick=st.integers(0, 9))
    def rate(self, number, rating, rater, pick):
        machine = self.machines[number].be()
        if runs := self.runs_of(machine):
            run_id = runs[pick % len(runs)]
            document = machine.manager(rater).record_feedback(run_id, None, rating, tags=["a"] if rating % 2 else ())
            assert document.state.run[rater].rating == rating, "what I say after seeing the rest is what counts"
            self._remember(number, run_id, document.events)
            self._drop_logs(machine)

    @rule(number=machines, redo=st.booleans(), pick=st.integers(0, 9))
    def take_back(self, number, redo, pick):
        machine = self.machines[number].be()
        if runs := self.runs_of(machine):
            run_id = runs[pick % len(runs)]
            manager = machine.manager()
            (manager.redo if redo else manager.undo)(run_id)
            self._remember(number, run_id, manager.read(run_id).events)
            self._drop_logs(machine)

    def _drop_logs(self, machine):
        """Where there are no single-writer logs, feedback.json is all there is."""
        if not self.with_logs:
            shutil.rmtree(machine.state / "journal", ignore_errors=True)
            for path in machine.store.root.glob("*/feedback.*.jsonl"):
                path.unlink()

    def _remember(self, number, run_id, events):
        own = {one.id for one in events if one.replica == replica_id()}
        self.events.setdefault((number, run_id), set()).update(own)

    @rule(origin=machines, here=machines, how=st.sampled_from(["newer", "mirror", "conflict", "rename", "lose"]))
    def sync(self, origin, here, how):
        """As tools do it: sealed runs whole, feedback files one by one."""
        if origin == here:
            return
        ours, theirs = self.machines[here], self.machines[origin]
        for run in list(theirs.store.iter_runs()):
            if run.is_sealed:
                self._carry(run.path, ours.store.root / run.run_id, how)

    def _carry(self, source, target, how):
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copytree(source, target)
            return
        if not (target / "SHA256SUMS").exists():
            return
        for path in sorted(source.glob("feedback*.json*")):
            self._carry_file(path, target / path.name, how)
        if how == "lose":
            (target / "feedback.json").unlink(missing_ok=True)

    def _carry_file(self, path, place, how):
        is_newer = not place.exists() or path.stat().st_mtime_ns > place.stat().st_mtime_ns
        if place.exists() and how == "conflict" and path.name == "feedback.json":
            shutil.copy2(path, place.with_name("feedback.sync-conflict-20261121-081203-MFDHANR.json"))
        elif place.exists() and how == "rename" and path.name == "feedback.json":
            shutil.copy2(path, place.with_name("feedback.json..path1"))
            place.rename(place.with_name("feedback.json..path2"))
        elif how == "mirror" or is_newer:
            shutil.copy2(path, place)

    @rule(origin=machines, here=machines)
    def merge(self, origin, here):
        if origin != here and self.machines[origin].store.root.is_dir():
            machine = self.machines[here].be()
            report = merge_stores(machine.store, self.machines[origin].store)
            assert all(item.outcome != "divergent" for item in report.items), report.items

    @rule(number=machines)
    def repair(self, number):
        machine = self.machines[number].be()
        repair_store(machine.store)
        for run in machine.store.iter_runs():
            repair_run(run)
            assert not [one for one in FeedbackLog(run.path).read().files if one.is_conflict_copy]
            if run.is_sealed and run.run_id not in self.sealed:
                self.sealed[run.run_id] = run.digest

    @invariant()
    def nothing_acknowledged_is_lost(self):
        for number, machine in enumerate(self.machines):
            machine.be()
            for run in machine.store.iter_runs():
                known = {one.id for one in FeedbackLog(run.path).read().events}
                assert self.events.get((number, run.run_id), set()) <= known, "something said was lost"
                if run.run_id in machine.writers or run.is_sealed:
                    assert sum(1 for _ in run.iter_records()) == self.records[run.run_id]

    @invariant()
    def what_is_sealed_never_changes_and_nothing_is_unreadable(self):
        for machine in self.machines:
            machine.be()
            for run in machine.store.iter_runs():
                if run.run_id in self.sealed and run.is_sealed:
                    assert run.digest == self.sealed[run.run_id]
                report = RunVerifier(run).verify()
                assert {one.severity for one in report.findings} <= {"info", "warning"}, report.findings


EXAMPLES = by_profile(few=4, quick=12, ci=30, nightly=400)


class WithoutLogs(StoreMachine):
    """The negative control: one file that everybody writes, as most tools have it."""

    with_logs = False

    def what_is_sealed_never_changes_and_nothing_is_unreadable(self):
        """Not what this one is about, and half of its time."""


@pytest.mark.heavy
def test_without_single_writer_logs_the_same_machine_finds_a_loss():
    """Proves that the machine below can fail."""
    search = settings(
        max_examples=300,
        stateful_step_count=40,  # a loss takes several machines, and longer stories find it in fewer
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,  # one loss is enough
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match="was lost"):
        run_state_machine_as_test(WithoutLogs, settings=search)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
