"""Reading feedback: every file that says something counts, and what cannot be read hides nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.documents.feedback import build_event, build_feedback, merge_events
from stablenew.store.feedback.feedback_files import FeedbackFile, parse_feedback, read_feedback_files, read_journal
from tests.samples import digest_of
from tests.strategies import event_lists

IMAGE = digest_of(1)
LOG, DOCUMENT, COPY = "feedback.r1.jsonl", "feedback.json", "feedback (1).json"


def rate(rating, second=1, **fields):
    clock = f"2026-11-21T08:00:{second:02d}.000Z-0000"
    return build_event(clock=clock, replica="r1", rater="alice", op="rate", image_id=IMAGE, rating=rating, **fields)


def log_of(*events):
    return b"".join(event.encode_line() + b"\n" for event in events)


def document_of(*events, run_id="run", **unknown):
    return build_feedback(run_id, events, unknown=unknown).encode_document()


@pytest.fixture
def read(tmp_path):
    """Read what the files of a run say, given by name."""

    def read(files, **options):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return read_feedback_files(folder, files, **options)

    return read


@given(*[event_lists(max_size=3)] * 3)
def test_the_union_of_all_files_is_read_whatever_they_are_called(logged, written, copied):
    contents = [(LOG, log_of(*logged)), (DOCUMENT, document_of(*written)), (COPY, document_of(*copied))]
    events, problems = parse_feedback("run", contents)
    assert (events, problems) == (merge_events(logged, written, copied), [])


@given(st.binary(max_size=60), st.sampled_from([LOG, DOCUMENT, COPY]))
def test_whatever_bytes_stand_in_a_file_the_others_are_read(data, name):
    good = rate(4)
    events, _ = parse_feedback("run", [(name, data), ("feedback.r2.jsonl", log_of(good))])
    assert good in events


def test_no_file_says_nothing(read, tmp_path):
    reading = read({})
    assert (reading.events, reading.problems, reading.is_damaged, reading.is_newer) == ((), (), False, False)
    gone = read_feedback_files(tmp_path, [DOCUMENT, LOG])
    assert (gone.files, gone.problems) == ((), ()), "what went away while it was listed is no problem"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b"{", "feedback-unreadable", "JSON"),
        (b"5", "feedback-unreadable", "document"),
        (b"{}", "feedback-unreadable", "id: missing"),
        (rate(4).encode_line().replace(b'"rating":4', b'"rating":5'), "feedback-forged", "is not what its id says"),
        (rate(4).encode_line().replace(b'"rating":4', b'"rating":6'), "feedback-unreadable", "rating: "),
    ],
)
def test_a_line_of_a_log_that_is_no_event_is_named_by_its_number(read, line, code, words):
    first, last = rate(1), rate(2, 2)
    reading = read({LOG: log_of(first) + b"\n" + line + b"\n" + log_of(last)})
    assert reading.events == (first, last)
    (problem,) = reading.problems
    assert (problem.path, problem.line, problem.code, problem.is_torn) == (LOG, 3, code, False)
    assert words in problem.reason


def test_a_line_that_was_cut_off_was_never_acknowledged(read):
    reading = read({LOG: log_of(rate(1)) + rate(2, 2).encode_line()})
    assert reading.events == (rate(1),)
    (problem,) = reading.problems
    assert (problem.code, problem.line, problem.is_torn) == ("feedback-torn", 2, True)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", document_of(run_id="other")])
def test_a_document_that_is_not_this_run_s_is_damage_and_what_logs_say_stays(read, data):
    reading = read({DOCUMENT: data, LOG: log_of(rate(4))})
    assert (reading.events, reading.is_damaged, reading.is_newer) == ((rate(4),), True, False)
    assert [problem.path for problem in reading.problems] == [DOCUMENT]


def test_a_damaged_copy_does_not_damage_the_document(read):
    reading = read({DOCUMENT: document_of(rate(4)), COPY: b"{"})
    assert (reading.events, reading.is_damaged, len(reading.problems)) == ((rate(4),), False, 1)


def test_feedback_of_another_run_is_named_and_does_not_count(read):
    reading = read({COPY: document_of(rate(4), run_id="other")})
    (problem,) = reading.problems
    assert (reading.events, problem.code, problem.reason) == ((), "feedback-mismatch", "it is feedback of run other")


def test_an_event_in_a_document_that_was_changed_does_not_count_and_the_rest_does(read):
    data = document_of(rate(4), rate(2, 2)).replace(b'"rating": 4', b'"rating": 5', 1)
    reading = read({DOCUMENT: data})
    (problem,) = reading.problems
    assert (reading.events, problem.code, reading.is_damaged) == ((rate(2, 2),), "feedback-forged", False)


def test_what_a_later_program_wrote_is_not_damage(read):
    reading = read({DOCUMENT: document_of(rate(4)).replace(b'"1.0"', b'"2.0"', 1), LOG: log_of(rate(1))})
    (problem,) = reading.problems
    assert (reading.is_newer, reading.is_damaged, problem.code) == (True, False, "newer-format")
    assert reading.events == (rate(1),)


def test_a_file_that_cannot_be_read_now_may_be_sound(read, tmp_path):
    (tmp_path / "run" / DOCUMENT).mkdir(parents=True)
    (tmp_path / "run" / LOG).write_bytes(log_of(rate(4)))
    reading = read_feedback_files(tmp_path / "run", [DOCUMENT, LOG])
    assert ([file.name for file in reading.unreadable], reading.is_damaged) == ([DOCUMENT], False)
    assert reading.events == (rate(4),)
    assert reading.problems[0].code == "feedback-unreadable"


def test_what_the_journal_says_and_the_own_log_has_lost_counts_and_is_named(read):
    kept, lost, other = rate(1), rate(2, 2), rate(3, 3)
    files = {LOG: log_of(kept), "feedback.r2.jsonl": log_of(other)}
    reading = read(files, journal=(kept, lost, other), log_name=LOG)
    assert reading.unlogged == (lost, other)
    assert reading.events == (kept, lost, other)
    assert read(files).unlogged == ()


def test_fields_of_other_programs_stand_in_the_document_that_is_written_next(read):
    reading = read({DOCUMENT: document_of(rate(4), x_mine=1), COPY: document_of(x_theirs=[2])})
    written = reading.build_document([rate(2, 2)])
    assert (written.run_id, written.events) == ("run", (rate(4), rate(2, 2)))
    assert (written.to_dict()["x_mine"], written.to_dict()["x_theirs"]) == (1, [2])


def test_a_clock_that_is_far_ahead_pulls_no_other_along(read):
    reading = read({LOG: log_of(rate(1, 1), rate(2, 5), rate(3, 50))})
    assert reading.latest_clock(rate(1, 50).clock) == rate(1, 50).clock
    assert reading.latest_clock(rate(1, 49).clock) == rate(1, 5).clock
    assert reading.latest_clock("2026-01-01T00:00:00.000Z-0000") is None


@pytest.mark.parametrize(
    ("name", "is_copy"), [(DOCUMENT, False), (LOG, False), (COPY, True), ("feedback-A.jsonl", True)]
)
def test_a_file_under_any_other_name_was_made_by_a_sync_tool(name, is_copy):
    assert FeedbackFile(name, b"").is_conflict_copy == is_copy


def test_a_journal_that_is_not_there_or_is_damaged_says_what_it_can(tmp_path):
    path = tmp_path / "feedback.r1.jsonl"
    assert read_journal(path) == ()
    path.write_bytes(b"rubbish\n" + log_of(rate(4)) + b"{")
    assert read_journal(path) == (rate(4),)
    path.unlink()
    path.mkdir()
    assert read_journal(path) == ()
