import contextlib
import os
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stablenew import FeedbackManager, JobHistory, RunStore, merge_stores, worker_pool
from stablenew.errors import RunLocked
from stablenew.formats.strict_json import canonical_bytes
from stablenew.index import index_file, reconciler
from stablenew.index.index_file import index_path
from stablenew.index.index_keeper import BEHIND, FOLLOWED, FRESH, IndexKeeper, try_index_lock
from stablenew.index.index_schema import CONTENT_TABLES, FULL_TEXT_TABLES, OPINION_TABLES, RUN
from stablenew.index.reading import reader_pool, run_reading
from stablenew.index.reconciler import Reconciler
from stablenew.index.run_index import RunIndex
from stablenew.store.local_state import host_id
from stablenew.store.upkeep.run_repair import repair_run
from tests import samples
from tests.index import stores
from tests.profiles import by_profile

EXAMPLES = by_profile(few=5, quick=30, ci=60, nightly=1000)
LEFT_OUT = {"folder_signature", "file_signature", "is_hot"}


def dump(path):
    """Everything the index says, without the ids it gives to words, prompts and images."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = dict(connection.execute("SELECT id, text FROM name"))
        bodies = dict(connection.execute("SELECT id, body FROM text"))
        images = {row[0]: row[1:] for row in connection.execute("SELECT id, digest, rating, rater_count FROM image")}
        texts = {"word": names, "image": images} | dict.fromkeys(FULL_TEXT_TABLES, bodies)

        def rows(table):
            kept = [column for column in table.columns if column.name not in LEFT_OUT]
            places = [(column.text, table.positions[column.name]) for column in kept]
            for row in connection.execute(f"SELECT * FROM {table.name}"):
                yield repr([texts[kind].get(row[place]) if kind else row[place] for kind, place in places])

        found = set()
        for word in ("harbour", "oil", "blurry", "hands"):
            for full_text, owner, column in (("prompt_text", "variant", "prompt"), ("note_text", "note", "body")):
                matching = f"SELECT rowid FROM {full_text} WHERE {full_text} MATCH '{word}'"
                found |= set(connection.execute(f"SELECT {column}, run FROM {owner} WHERE {column} IN ({matching})"))
        tables = [sorted(rows(table)) for table in (RUN, *CONTENT_TABLES, *OPINION_TABLES)]
        return tables, sorted((bodies[body], run) for body, run in found), sorted(map(repr, images.values()))


def rebuilt(root, folder):
    """A new index of the same store."""
    path = Path(folder) / "rebuilt.sqlite"
    index_file.delete_index(path)
    with contextlib.closing(RunIndex(path)) as index:
        Reconciler(index, root).sweep()
    return dump(path)


@contextlib.contextmanager
def reconciling(root):
    with contextlib.closing(RunIndex(index_path(root))) as index:
        yield Reconciler(index, root)


def states(found):
    """What the index says that the runs are."""
    with contextlib.closing(sqlite3.connect(found.index.path)) as connection:
        return dict(connection.execute("SELECT run_id, text FROM run JOIN name ON name.id = run.state"))


@pytest.fixture
def store(tmp_path):
    return stores.make_store(tmp_path / "runs", 4, count=12)


@pytest.fixture
def read_ids(monkeypatch):
    """The run ids that were read, as they are read."""
    seen = []
    read = run_reading.RunReader.read

    def watched(self, run_id):
        seen.append(run_id)
        return read(self, run_id)

    monkeypatch.setattr(run_reading.RunReader, "read", watched)
    return seen


def age(root):
    """Let every file be older than the file system's clock is coarse."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in (*folders, *files):
            path = Path(folder) / name
            times = path.stat()
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns - 10_000_000_000))


def test_a_sweep_reads_what_changed_and_nothing_else(store, read_ids):
    age(store.root)
    with reconciling(store.root) as found:
        found.sweep()
        read_ids.clear()
        assert len(found.sweep()) == 0
        assert read_ids == []
        sealed = next(run.run_id for run in store.iter_runs() if run.state == "sealed")
        FeedbackManager(store, rater="carol").record_feedback(sealed, None, 3)
        samples.sealed_run(store, "brand-new")
        removed = next(run for run in store.iter_runs() if run.run_id not in (sealed, "brand-new"))
        shutil.rmtree(removed.path)
        changes = found.sweep()
        assert (changes.added, changes.changed, changes.removed) == (["brand-new"], [sealed], [removed.run_id])
        assert sorted(read_ids) == sorted(["brand-new", sealed, removed.run_id])


def test_what_is_written_in_place_is_found_in_turn_and_by_a_deep_sweep(store, tmp_path):
    samples.sealed_run(store, "target")
    FeedbackManager(store, rater="carol").record_feedback("target", None, 3)
    age(store.root)
    with reconciling(store.root) as found:
        found.sweep()
        for look in (lambda: [found.sweep() for _ in range(reconciler.SLICES)], lambda: [found.sweep(deep=True)]):
            path = store.root / "target" / "feedback.json"
            path.write_bytes(path.read_bytes() + b" ")
            assert [changes.changed for changes in look() if len(changes)] == [["target"]]


def test_a_run_whose_writer_dies_changes_its_state(store):
    writer = store.create(samples.metadata("running-one", source={"name": "StableNew", "host_id": host_id()}))
    with reconciling(store.root) as found:
        found.sweep()
        assert states(found)["running-one"] == "running"
        writer.abandon()
        assert found.check_hot_runs().changed == ["running-one"]
        assert states(found)["running-one"] == "interrupted"


def interrupted_run(store, run_id):
    writer = store.create(samples.metadata(run_id, source={"name": "StableNew", "host_id": host_id()}))
    samples.write_variant(writer, 0)
    writer.abandon()
    return store.root / run_id


def append_record(path):
    with (path / "records.jsonl").open("ab") as file:
        file.write(canonical_bytes(samples.record(path.name, index=1).to_dict()) + b"\n")


def receive_feedback(path):
    FeedbackManager(RunStore(path.parent), rater="carol").record_feedback(path.name, None, 3)


def receive_seal(path):
    repair_run(RunStore(path.parent).open(path.name))


def receive_output(path):
    (path / "outputs" / "0001-txt2img-0.0123456789ab.png").write_bytes(samples.png(b"another"))


@pytest.mark.parametrize(
    ("change", "shows_at_once"),
    [(append_record, False), (receive_feedback, True), (receive_seal, True), (receive_output, False)],
)
def test_what_happens_to_an_old_interrupted_run_is_found_within_a_round_of_looks(
    tmp_path, monkeypatch, change, shows_at_once
):
    monkeypatch.setattr(reconciler, "NEWEST_HOT", 1)
    store = RunStore(tmp_path / "runs")
    folders = [interrupted_run(store, f"20261110-00000{number}-000-{'a' * 10}") for number in range(5)]
    age(store.root)
    with reconciling(store.root) as found:
        found.sweep()
        for path in folders:
            change(path)
            looks = [found.check_hot_runs().changed for _ in range(1 if shows_at_once else reconciler.SLICES)]
            assert [changed for changed in looks if changed] == [[path.name]]
        assert not any(len(found.check_hot_runs()) for _ in range(reconciler.SLICES))
        assert dump(found.index.path) == rebuilt(store.root, tmp_path)


def test_an_output_that_grows_in_place_makes_a_sealed_run_whole_within_a_round_of_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(reconciler, "NEWEST_HOT", 0)
    store = RunStore(tmp_path / "runs")
    output = next((samples.sealed_run(store, "half-synced").path / "outputs").iterdir())
    data = output.read_bytes()
    output.chmod(0o644)
    output.write_bytes(data[:-5])
    age(store.root)
    with reconciling(store.root) as found:
        found.sweep()
        assert states(found)["half-synced"] == "incomplete"
        output.write_bytes(data)
        looks = [found.check_hot_runs().changed for _ in range(reconciler.SLICES)]
        assert [changed for changed in looks if changed] == [["half-synced"]]
        assert states(found)["half-synced"] == "sealed"


def test_a_look_inspects_the_runs_being_written_the_newest_and_a_slice_of_the_others(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    for number in range(60):
        (store.root / f"20261110-0000{number:02d}-000-{'a' * 10}").mkdir(parents=True)
    writer = store.create(samples.metadata("named", created_at="2026-01-01T00:00:00.000Z"))
    age(store.root)
    inspected = []
    take_snapshot = reconciler.take_snapshot
    monkeypatch.setattr(reconciler, "take_snapshot", lambda path: inspected.append(path) or take_snapshot(path))
    with reconciling(store.root) as found:
        found.sweep()
        for look, count in ((found.check_attended_runs, 0), (found.check_hot_runs, 60 - reconciler.NEWEST_HOT)):
            inspected.clear()
            for _ in range(reconciler.SLICES):
                look()
            always = [path for path in set(inspected) if inspected.count(path) == reconciler.SLICES]
            assert len(always) == reconciler.NEWEST_HOT + 1
            assert str(store.root / "named") in always
            assert len(inspected) == len(always) * reconciler.SLICES + count
    writer.abandon()


def test_an_interrupted_filling_goes_on(tmp_path, read_ids, monkeypatch):
    store = stores.make_store(tmp_path / "runs", 5, count=9)
    monkeypatch.setattr(reconciler, "BATCH", 2)
    monkeypatch.setattr(reader_pool, "CHUNK", 2)
    keeper = IndexKeeper(store.root)

    def stop(done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keeper.rebuild(progress=stop)
    history = JobHistory(store.root)
    kept = {row["run_id"] for row in history.page("", limit=20).rows}
    assert len(kept) >= 4
    assert history.page("harbour", limit=20).next_cursor is None
    read_ids.clear()
    keeper.refresh()
    assert not kept & set(read_ids)
    assert dump(keeper.path) == rebuilt(store.root, tmp_path)
    history.close()


@pytest.mark.heavy
def test_many_runs_are_read_by_processes_of_their_own(store, tmp_path, monkeypatch):
    expected = rebuilt(store.root, tmp_path)
    monkeypatch.setattr(reader_pool, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(reader_pool, "CHUNK", 3)
    monkeypatch.setattr(worker_pool, "processor_count", lambda: 3)
    assert rebuilt(store.root, tmp_path) == expected


def test_the_strict_readers_decide_what_the_quick_ones_do_not_know(store, tmp_path, monkeypatch):
    expected = rebuilt(store.root, tmp_path)

    def refuse(*_, **__):
        raise ValueError

    monkeypatch.setattr(run_reading, "read_metadata_fast", refuse)
    monkeypatch.setattr(run_reading, "read_record_fast", refuse)
    monkeypatch.setattr("stablenew.store.feedback.fast_feedback_reader.from_json", refuse)
    assert rebuilt(store.root, tmp_path) == expected


@pytest.mark.heavy
@pytest.mark.parametrize("number", ["1" + "0" * 30, "-1" + "0" * 30, "1e999", "9" * 400])
def test_a_number_beyond_all_bounds_hides_no_run(store, number):
    run = samples.sealed_run(store, "odd-run")
    records = run.path / "records.jsonl"
    records.chmod(0o644)
    records.write_bytes(records.read_bytes().replace(b'"steps":30', f'"steps":{number}'.encode()))
    history = JobHistory(store.root)
    history.refresh()
    shown = {row["run_id"] for row in history.page("", limit=100).rows}
    assert shown == {one.run_id for one in store.iter_runs()}
    assert "odd-run" in shown
    history.close()


@pytest.mark.heavy
@pytest.mark.parametrize("damage", ["other version", "no database", "half", "deleted"])
def test_an_index_that_cannot_be_used_comes_back(store, tmp_path, damage):
    history = JobHistory(store.root)
    history.refresh()
    expected = dump(history.keeper.path)
    history.close()
    path = history.keeper.path
    if damage == "other version":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 999")
    elif damage == "no database":
        path.write_bytes(b"nonsense" * 1000)
    elif damage == "half":
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.write_bytes(path.read_bytes()[:5000])
    else:
        index_file.delete_index(path)
    history.refresh(is_patient=True)
    assert dump(path) == expected
    assert len(history.page("", limit=50).rows) == 12
    history.close()


def test_refresh_says_how_it_found_the_index(store, monkeypatch):
    age(store.root)
    keeper = IndexKeeper(store.root)
    assert keeper.refresh().change_count == 12
    keeper.sweep()
    monkeypatch.setattr("stablenew.index.index_keeper.MIN_AGE_SECONDS", 1000)
    for run_id in ("a", "b"):
        shutil.rmtree(store.root / run_id, ignore_errors=True)
    with contextlib.closing(RunIndex(keeper.path)) as index:
        index.mark_settled([run.run_id for run in index.hot_runs()])
    assert keeper.is_fresh()
    assert keeper.refresh().state == FRESH
    samples.sealed_run(store, "one-more")
    lock = try_index_lock(store.root)
    assert keeper.refresh().state == FOLLOWED
    with pytest.raises(RunLocked):
        keeper.rebuild()
    lock.release()
    assert keeper.refresh().change_count >= 1
    assert keeper.reader.id_of("one-more")
    keeper.reader.close()


def test_a_look_that_takes_long_is_put_off_but_not_what_this_machine_wrote(store, monkeypatch):
    keeper = IndexKeeper(store.root)
    keeper.refresh()
    monkeypatch.setattr("stablenew.index.index_keeper.CHEAP_SECONDS", -1)
    monkeypatch.setattr("stablenew.index.index_keeper.MIN_AGE_SECONDS", 0)
    monkeypatch.setattr("stablenew.index.index_keeper.PATIENCE", 0)
    samples.sealed_run(store, "ours")
    shutil.copytree(store.root / "ours", store.root / "20261111-000000-000-bbbbbbbbbb")
    assert keeper.refresh().state == BEHIND
    assert keeper.reader.id_of("ours")
    assert not keeper.reader.id_of("20261111-000000-000-bbbbbbbbbb")
    keeper.refresh(is_patient=True)
    assert keeper.reader.id_of("20261111-000000-000-bbbbbbbbbb")
    keeper.reader.close()


def test_a_store_that_is_gone_leaves_an_empty_index(store):
    history = JobHistory(store.root)
    history.refresh()
    shutil.rmtree(store.root)
    history.refresh(is_patient=True)
    assert history.page("").rows == ()
    history.close()


def test_what_sync_tools_and_people_leave_in_a_store_is_no_run(store, tmp_path):
    history = JobHistory(store.root)
    history.refresh()
    before = history.count()
    (store.root / ".unison.20261110.tmp").mkdir()
    (store.root / "empty-folder").mkdir()
    (store.root / "notes.txt").write_text("x")
    (store.root / "a-link").symlink_to(next(store.iter_runs()).path)
    history.refresh(is_patient=True)
    assert history.count() == before
    history.close()


class IndexMachine(RuleBasedStateMachine):
    """Whatever happens to a store, and whatever is heard of it: after a look the index is what a new one would be."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed):
        self.folder = Path(tempfile.mkdtemp(dir=os.environ["STABLENEW_TEST_FOLDER"]))
        self.chance = random.Random(seed)
        self.store = RunStore(self.folder / "runs")
        self.other = RunStore(self.folder / "other")
        self.writers = []
        self.number = 0
        self.index = RunIndex(self.folder / "index.sqlite")
        self.reconciler = Reconciler(self.index, self.store.root)
        self.reconciler.sweep()

    def run_ids(self, store):
        return [run.run_id for run in store.iter_runs()]

    def choose(self, store):
        ids = self.run_ids(store)
        return self.chance.choice(ids) if ids else None

    @rule(is_other=st.booleans())
    def record_a_run(self, is_other):
        self.number += 1
        run_id = f"20261110-{self.number:06d}-000-{'a' * 10}" if self.chance.random() < 0.7 else f"named-{self.number}"
        stores.add_run(self.other if is_other else self.store, run_id, self.chance)

    @rule()
    def start_a_run(self):
        self.number += 1
        self.writers.append(self.store.create(samples.metadata(f"open-{self.number}")))

    @rule(end=st.sampled_from(["append", "seal", "crash"]))
    def go_on_with_a_run(self, end):
        if not self.writers:
            return
        writer = self.writers[-1]
        if not writer.path.exists():
            self.writers.pop().abandon()
        elif end == "append":
            samples.write_variant(writer, writer.record_count)
        elif end == "seal":
            counts = {"record_count": writer.record_count, "output_count": writer.record_count}
            writer.seal(samples.metadata(writer.run_id, status="completed", **counts))
            self.writers.pop()
        else:
            self.writers.pop().abandon()

    @rule(is_other=st.booleans())
    def rate(self, is_other):
        store = self.other if is_other else self.store
        if run_id := self.choose(store):
            stores.rate(store, run_id, self.chance)

    @rule()
    def sync_a_part(self):
        """A file at a time, in any order, as sync tools do."""
        if run_id := self.choose(self.other):
            source, target = self.other.root / run_id, self.store.root / run_id
            files = [path for path in source.rglob("*") if path.is_file()]
            for path in self.chance.sample(files, self.chance.randint(1, len(files))):
                place = target / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists():
                    temporary = place.with_name(f".{place.name}.tmp")
                    shutil.copy2(path, temporary)
                    temporary.replace(place)

    @rule()
    def merge(self):
        if self.other.root.exists():
            merge_stores(self.store, self.other)

    @rule()
    def repair(self):
        run_id = self.choose(self.store)
        if run_id and run_id not in {writer.run_id for writer in self.writers}:
            repair_run(self.store.open(run_id))

    @rule()
    def take_a_run_away(self):
        if run_id := self.choose(self.store):
            shutil.rmtree(self.store.root / run_id)

    @rule()
    def damage_a_run(self):
        if run_id := self.choose(self.store):
            stores.damage(self.store.root / run_id, self.chance)

    @rule()
    def hear_of_some(self):
        ids = self.run_ids(self.store)
        self.reconciler.update(self.chance.sample(ids, self.chance.randint(0, len(ids))))

    @rule()
    def apply_hints(self):
        self.reconciler.apply_hints()

    @rule()
    def check_hot_runs(self):
        self.reconciler.check_hot_runs()

    @rule()
    def begin_anew(self):
        """The process ends and another begins."""
        self.index.close()
        self.index = RunIndex(self.folder / "index.sqlite")
        self.reconciler = Reconciler(self.index, self.store.root)

    @rule()
    def sweep(self):
        self.reconciler.sweep(deep=True)
        assert dump(self.index.path) == rebuilt(self.store.root, self.folder)

    @invariant()
    def the_index_is_whole(self):
        if hasattr(self, "index"):
            assert self.index._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def teardown(self):
        if hasattr(self, "index"):
            self.sweep()
            self.index.close()
            for writer in self.writers:
                writer.abandon()


@pytest.mark.heavy
def test_any_history_gives_the_index_that_a_rebuild_gives(tmp_path, monkeypatch):
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setenv("STABLENEW_TEST_FOLDER", str(tmp_path))
    run_state_machine_as_test(IndexMachine, settings=settings(max_examples=EXAMPLES, stateful_step_count=20))
