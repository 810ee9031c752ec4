import contextlib
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew import FeedbackManager, JobHistory, JobSummary, RunStore
from stablenew.errors import CacheFailed, ConfigError, InvalidQuery, RunNotFound
from stablenew.formats.clock import Clock
from stablenew.formats.query_language import FIELDS, NUMBERS, SWITCHES, parse_query
from stablenew.index import index_file
from stablenew.index.asking.columns.facets import IMAGE_FACETS
from stablenew.index.asking.job_rows import read_jobs
from stablenew.index.job_history import ALL_SORTS
from tests import samples
from tests.index import stores
from tests.index.plain_scan import find, find_images, matching_rows, orientation, scan, texts

NOW = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
CLOCK = Clock(now=lambda: NOW)


class World(tuple):
    """A store, its history, and what a plain scan of it says."""

    __slots__ = ()

    def __repr__(self):
        return f"World({self[0]!r})"


@pytest.fixture(scope="module", params=[1, 2, 3])
def world(request, tmp_path_factory):
    """A store, its history, and what a plain scan of it says."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("world")
    patch.setenv("STABLENEW_STATE_DIR", str(folder / "state"))
    store = stores.make_store(folder / "runs", request.param)
    history = JobHistory(store.root, clock=CLOCK, rater="alice")
    history.refresh()
    yield World((store, history, scan(store, "alice")))
    history.close()
    patch.undo()


@pytest.mark.heavy
def test_every_summary_is_what_a_plain_scan_finds(world):
    _, history, scanned = world
    found = {job.run_id: job.to_dict() for job in history.search("")}
    assert len(found) == 40
    for run_id, run in scanned.items():
        problem = found[run_id].pop("problem")
        assert found[run_id] == run.summary
        assert bool(problem) == run.facts["has_problem"] or run.summary["created_at"] is None


@pytest.mark.heavy
def test_summaries_fit_their_published_schema(world):
    _, history, _ = world
    for row in history.page("", limit=100).rows:
        assert JobSummary.from_dict(row).to_dict() == row


words = st.sampled_from([*stores.WORDS, "nothing"])
phrases = st.lists(words, min_size=1, max_size=2).map(lambda parts: f'"{" ".join(parts)}"')
numbers = st.sampled_from(["5", "7", "7.3", "123", "25", "512", "0", "2", "30", str(2**63 + 7), str(2**64 - 1)])
ranges = st.builds("{}{}".format, st.sampled_from(["", ">", ">=", "<", "<=", "="]), numbers) | st.builds(
    lambda low, high: "..".join(sorted([low, high], key=float)), numbers, numbers
)
NAMES = (
    "dreamshaper*|DREAMSHAPER_8|sd15|euler a|Euler*|*2M|harbour|Harbour at dawn|boats|keeper*|portrait|experiment:*|"
    "completed|failed|incomplete|interrupted|webui|moody*|ink|p?per cut|fine-detail|named-1|20261110|*|alice|png|"
    "upscale|StableNew|red|auto|true|2"
).split("|")
names = st.sampled_from(NAMES).map(lambda text: f'"{text}"')
moments = st.sampled_from(["2d", "1h", "5000d", "2026-11-12", "2026-11-12T01:00:00"])


def values_of(field):
    kinds = {
        "prompt": phrases | words.filter(lambda word: len(word) > 3).map(lambda word: f"{word}*"),
        "negative": phrases,
        "note": st.sampled_from(["hands", '"hands wrong"', "nothing"]),
        "flag": st.sampled_from(["pick", "reject"]),
        "orientation": st.sampled_from(["portrait", "landscape", "square"]),
        "is": st.just("trashed"),
        "digest": st.sampled_from(["a", "xxh128:3", "0"]),
        "settings.s_churn": ranges | names,
        "unrated": st.sampled_from(["yes", "no", "mine"]),
        "noted": st.sampled_from(["yes", "no"]),
        "since": moments,
        "before": moments,
    }
    return kinds.get(field, ranges if field in NUMBERS or "." in field else names)


conditions = st.sampled_from([*FIELDS, "settings.s_churn", "metric.aesthetic"]).flatmap(
    lambda field: st.builds(
        lambda sign, values: f"{sign}{field}:{','.join(values)}",
        st.sampled_from(["", "", "-"]),
        st.lists(values_of(field), min_size=1, max_size=1 if field in SWITCHES else 2),
    )
)
queries = st.lists(conditions | st.builds("{}{}".format, st.sampled_from(["", "-"]), phrases), max_size=3).map(" ".join)


def all_pages(history, query, sort="time", limit=7):
    found, after = [], None
    while True:
        page = history.page(query, after=after, limit=limit, sort=sort)
        found += [row["run_id"] for row in page.rows]
        after = page.next_cursor
        if after is None:
            return found


def all_images(history, query, sort="newest", limit=7):
    found, after = [], None
    while True:
        page = history.find_images(query, after=after, limit=limit, sort=sort)
        found += [row["digest"] for row in page.rows]
        after = page.next_cursor
        if after is None:
            return found


@pytest.mark.heavy
@given(queries)
@settings(deadline=None)
def test_the_index_finds_what_a_plain_scan_finds(world, query):
    _, history, scanned = world
    expected = find(scanned, parse_query(query, NOW.astimezone()))
    pages = all_pages(history, query)
    assert sorted(pages) == sorted(expected)
    assert [scanned[one].created_ms for one in pages] == [scanned[one].created_ms for one in expected]
    assert all_pages(history, query, "oldest") == pages[::-1]
    assert history.count(query) == len(expected)
    assert [row["run_id"] for row in history.rows(history.numbers(query))] == pages
    images = all_images(history, query)
    assert len(images) == len(set(images)) == history.count_images(query)
    assert set(images) == find_images(scanned, parse_query(query, NOW.astimezone()))
    for sort in ALL_SORTS:
        assert sorted(all_pages(history, query, sort)) == sorted(expected)


letters = st.sampled_from([*FIELDS, *"*?\"-,.:<>=0123456789 aé港_'()", "..", " -", "9" * 31, "AND", "NEAR(", "^", "\0"])
huge_queries = st.lists(conditions, min_size=20, max_size=70).map(" ".join) | st.builds(
    lambda sign, field, value, count: " ".join([f"{sign}{field}:{','.join([value] * count)}"] * (4000 // (8 * count))),
    st.sampled_from(["", "-"]),
    st.sampled_from(FIELDS),
    st.sampled_from(["7", "abc*", '"oil painting"', "yes", "*a*b*c*", "9" * 30, "1d"]),
    st.integers(1, 300),
)


@pytest.mark.heavy
@given(st.text(max_size=300) | st.lists(letters, max_size=80).map("".join) | huge_queries)
@settings(deadline=None)
def test_any_query_is_answered_or_refused(world, query):
    _, history, _ = world
    with contextlib.suppress(InvalidQuery):
        history.parse(query)
        assert history.count(query) == len(history.numbers(query))
        history.page(query, sort="rating")
        history.facets(query)


def test_a_full_disk_under_the_index_is_one_clear_error(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store)
    monkeypatch.setattr(index_file, "CREATE", f"PRAGMA max_page_count=12;{index_file.CREATE}")
    with pytest.raises(CacheFailed, match="disk is full; free some space"):
        JobHistory(store.root).refresh()
    monkeypatch.undo()


@pytest.mark.heavy
@given(queries)
@settings(deadline=None)
def test_facets_count_what_a_plain_scan_counts(world, query):
    _, history, scanned = world
    parsed = parse_query(query, NOW.astimezone())
    facets, image_facets = history.facets(query, limit=1000), history.image_facets(query, limit=1000)
    for name in IMAGE_FACETS:
        conditions = parsed.without(name).conditions
        pairs = [(run, row) for run in scanned.values() for row in matching_rows(scanned, run, conditions)]
        if name in facets:
            jobs = {
                (run.summary["run_id"], value) for run, row in pairs for value in facet_values(scanned, run, row, name)
            }
            if name == "tag":
                jobs |= {(run.summary["run_id"], tag) for run, _ in pairs for tag in run.facts["tags"]}
            assert {one.value: one.job_count for one in facets[name]} == Counter(value for _, value in jobs)
        images = {
            (row["image"], value)
            for run, row in pairs
            if "image" in row
            for value in facet_values(scanned, run, row, name)
        }
        assert {one.value: one.job_count for one in image_facets[name]} == Counter(value for _, value in images)


SORTS = ["newest", "oldest", "best", "worst", "unrated", "metric.aesthetic", "-metric.aesthetic", "steps", "-cfg"]


@pytest.mark.heavy
@given(query=queries, sort=st.sampled_from([*SORTS, "settings.s_churn", "random.7"]), limit=st.integers(1, 9))
@settings(deadline=None)
def test_a_first_page_of_images_is_the_beginning_of_the_whole_list(world, query, sort, limit):
    _, history, _ = world
    history.columns.forget_queries()
    first = history.find_images(query, sort=sort, limit=limit)
    whole = history.image_snapshot(query, sort=sort).images.tolist()
    assert [row["id"] for row in first.rows] == whole[:limit]
    if first.next_cursor is not None:
        second = history.find_images(query, sort=sort, limit=limit, after=first.next_cursor)
        assert [row["id"] for row in second.rows] == whole[limit : 2 * limit]
    assert history.count_images(query) == len(whole)


def facet_values(scanned, run, row, name):
    if name == "rating":
        rating = scanned.rating(row)
        return set() if rating is None else {int(rating + 0.5)}
    if name in ("cfg", "steps"):
        found = row.get("cfg_scale" if name == "cfg" else "steps")
        return set() if found is None else {found}
    if name == "pack":
        return set(run.summary["packs"])
    if name == "type":
        return {"png"} if "image" in row else set()
    if name == "source":
        return {run.facts["source"]} - {None}
    if name == "orientation":
        return {orientation(row)} - {None}
    return set(texts(scanned, run, row, name))


def test_pages_by_stars_put_the_best_first_and_the_unrated_last(world):
    _, history, scanned = world

    def stars(run_id):
        run = scanned[run_id]
        best = max((rating for row in run.rows if (rating := scanned.rating(row)) is not None), default=None)
        return run.summary["rating"] if best is None else best

    found = [stars(run_id) for run_id in all_pages(history, "", "rating")]
    rated = [one for one in found if one is not None]
    assert rated == sorted(rated, reverse=True)
    assert found == rated + [None] * (len(found) - len(rated))


@pytest.mark.parametrize("query", ["", "harbour", "cfg:>1 -flag:reject"])
def test_images_are_sorted_by_stars_scores_time_or_at_random(world, query):
    _, history, scanned = world
    images = {row["image"]: row for run in scanned.values() for row in run.rows if "image" in row}
    newest = all_images(history, query)
    assert all_images(history, query, "oldest")[:1] != newest[:1] or len(newest) < 2
    for sort, value in (
        ("best", lambda image: scanned.rating(images[image])),
        ("metric.aesthetic", lambda image: scanned.last_scored.get((image, "aesthetic"), (0, None))[1]),
    ):
        values = [value(image) for image in all_images(history, query, sort)]
        known = [one for one in values if one is not None]
        assert values == sorted(known, reverse=True) + [None] * (len(values) - len(known))
        opposite = all_images(history, query, "worst" if sort == "best" else f"-{sort}")
        assert [value(image) for image in opposite][: len(known)] == sorted(known)
    assert sorted(all_images(history, query, "random", limit=2)) == sorted(newest)


def test_a_job_shows_which_of_its_images_fit(world):
    _, history, scanned = world
    query = parse_query("rating:>=3", NOW)
    rows = history.page("rating:>=3", limit=100).rows
    assert rows
    for row in rows:
        fitting = [one["output"] for one in matching_rows(scanned, scanned[row["run_id"]], query.conditions)]
        assert row["fitting"] == fitting[:8]


@pytest.mark.parametrize("sort", ALL_SORTS)
def test_lists_of_numbers_are_in_the_order_of_pages(world, sort):
    _, history, _ = world
    for query in ("", "harbour", "steps:>=20 -blurry", "rating:>=2"):
        paged = [history.number_of(run_id) for run_id in all_pages(history, query, sort)]
        assert history.numbers(query, sort=sort).tolist() == paged


def test_a_snapshot_counts_the_images_of_each_job(world):
    store, history, _ = world
    snapshot = history.snapshot("", sort="oldest")
    assert snapshot.numbers.tolist() == history.numbers("", sort="oldest").tolist()
    for number, outputs, rated in zip(*(column.tolist() for column in snapshot), strict=True):
        run_id, images = history.images(number)
        (row,) = history.rows([number])
        assert (row["run_id"], row["output_count"], row["rated_count"]) == (run_id, outputs, rated)
        assert len(images) == outputs
        assert [{"path": path, "digest": digest} for _, path, digest in images[:8]] == row["outputs"]
        assert store.open(run_id)
    assert history.images(7) is None


def test_a_cursor_of_another_order_is_refused(world):
    _, history, _ = world
    page = history.page("", limit=5)
    for sort, cursor in (("rating", page.next_cursor), ("time", "time:x"), ("time", "nonsense"), ("size", None)):
        with pytest.raises(ConfigError):
            history.page("", sort=sort, after=cursor)


def test_a_query_that_cannot_be_understood_is_an_error(world):
    _, history, _ = world
    with pytest.raises(InvalidQuery):
        history.page("modle:x")


def test_recent_is_a_window_and_search_is_not(world):
    store, _, _ = world
    history = JobHistory(store.root, recent_jobs=5)
    history.refresh()
    assert len(history.recent().rows) == 5
    assert len(history.recent(limit=3).rows) == 3
    assert len(list(history.search(""))) == 40
    history.close()


def test_a_job_that_is_written_anew_while_it_is_asked_for_is_found(world, monkeypatch):
    _, history, _ = world
    run_id = history.page(limit=1).jobs[0].run_id
    asked = []

    def rows(reader, ids):
        asked.append(ids)
        return read_jobs(reader, ids) if len(asked) > 2 else []

    monkeypatch.setattr("stablenew.index.job_history.read_jobs", rows)
    assert history.get(run_id).run_id == run_id
    assert len(asked) == 3


def test_a_job_that_is_not_there_is_an_error(world):
    _, history, _ = world
    for ask in (history.get, history.similar_variants):
        with pytest.raises(RunNotFound):
            ask("no-such-run")


def test_numbers_follow_what_changes(tmp_path):
    store = RunStore(tmp_path / "runs")
    for number in range(3):
        samples.sealed_run(store, f"run-{number}")
    history = JobHistory(store.root)
    history.refresh()
    assert history.count("jobrating:4") == 0
    FeedbackManager(store, rater="alice").record_feedback("run-1", None, 4)
    samples.sealed_run(store, "run-3")
    history.refresh()
    assert history.count("jobrating:4") == 1
    assert len(history.numbers()) == 4
    again = JobHistory(store.root)
    assert again.facets() == history.facets()
    (jobs,) = [again.rows(again.numbers("jobrating:4"))]
    assert [job["run_id"] for job in jobs] == ["run-1"]
    again.close()
    history.close()


def test_a_saved_table_that_is_damaged_is_read_anew(tmp_path):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store)
    history = JobHistory(store.root)
    history.refresh()
    expected = history.facets()
    for data in (b"", b"PK\x03\x04 nonsense"):
        history.keeper.path.with_name("columns.npz").write_bytes(data)
        again = JobHistory(store.root)
        assert again.facets() == expected
        again.close()
    history.close()


def settings_of(**fields):
    base = {"model": "m", "sampler": "Euler a", "steps": 20, "cfg_scale": 7.0, "width": 512}
    return base | {"seed": 5} | fields


def run_with(store, run_id, settings):
    writer = store.create(samples.metadata(run_id))
    one = samples.record(run_id, requested=settings, actual={}, variant={"index": 0, "total": 1})
    writer.append_record(one)
    writer.seal(samples.metadata(run_id, status="completed", record_count=1, output_count=0))


def test_neighbours_differ_in_exactly_one_setting(tmp_path):
    store = RunStore(tmp_path / "runs")
    run_with(store, "mine", settings_of())
    run_with(store, "steps", settings_of(steps=30))
    run_with(store, "seed", settings_of(seed=6))
    run_with(store, "sampler", settings_of(sampler=None))
    run_with(store, "two", settings_of(steps=30, cfg_scale=9.0))
    run_with(store, "same", settings_of())
    run_with(store, "spelling", settings_of(model="SDXL/m.safetensors"))
    history = JobHistory(store.root)
    history.refresh()
    found = {one.other_run_id: (one.setting, one.value, one.other_value) for one in history.similar_variants("mine")}
    assert found == {
        "steps": ("steps", 20, 30),
        "seed": ("seed", 5, 6),
        "sampler": ("sampler", "Euler a", None),
    }
    history.close()


def test_words_without_spaces_between_them_are_found_one_by_one(tmp_path):
    store = RunStore(tmp_path / "runs")
    writer = store.create(samples.metadata("kanji"))
    writer.append_record(samples.record("kanji", prompt={"positive": "夜明けの港, oil"}))
    writer.abandon()
    history = JobHistory(store.root)
    history.refresh()
    assert history.count("港") == history.count("夜明け") == history.count("夜明けの港") == 1
    assert history.count("港夜") == 0
    history.close()
