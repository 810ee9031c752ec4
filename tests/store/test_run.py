"""A run folder as it is read: what it holds, what state it is in, and how an image in it is named."""

import pytest

from stablenew.errors import InvalidDocument, NewerFormat, OutputNotFound, Unreadable
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.store.local_state import host_id
from stablenew.store.run import OutputFinder, Run, final_outputs
from stablenew.store.run_lock import RunLock
from tests.store.run_files import held_output, record_line, seal_run, write_run

A, B, C = (held_output(f"outputs/{name}.png", name.encode()) for name in "abc")
ORIGIN = {"root": "pictures", "path": "a.png", "name": "a.png"}


@pytest.fixture
def run(tmp_path):
    """A run of two variants, the first with an image of its way and two final ones."""
    first = record_line(0, [A | {"role": "intermediate"}, B | {"role": "final"}, C | {"role": "final"}])
    return write_run(tmp_path, [first, record_line(1, [held_output("outputs/d.png", b"d")])])


@pytest.fixture
def sealed(tmp_path):
    return seal_run(
        write_run(tmp_path, [record_line(0, [A])], files={A["path"]: b"a"}, status="completed", record_count=1)
    )


def test_a_run_is_known_by_its_folder(tmp_path):
    run = Run(tmp_path / "my-run")
    assert (run.run_id, repr(run)) == ("my-run", "Run('my-run')")


def test_a_folder_without_records_has_none_and_that_is_no_problem(tmp_path):
    run = Run(tmp_path)
    assert run.read_records() == ([], [])
    assert list(run.iter_outputs()) == []
    with pytest.raises(FileNotFoundError):
        _ = run.metadata
    with pytest.raises(FileNotFoundError):
        _ = run.digest


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"{", InvalidDocument.__base__, "run_metadata.json: "),
        (b"{}", InvalidDocument, "run_metadata.json: expected a 'stablenew.run_metadata' document, found no kind"),
        (b'{"schema_version": "2.0"}', NewerFormat, "run_metadata.json: .*update StableNew"),
    ],
)
def test_metadata_that_cannot_be_read_names_its_file(tmp_path, content, kind, words):
    (tmp_path / "run_metadata.json").write_bytes(content)
    with pytest.raises(kind, match=words):
        _ = Run(tmp_path).metadata


def test_records_stand_in_the_order_of_their_lines_and_each_output_has_its_record(run):
    assert [found.variant.index for found in run.iter_records()] == [0, 1]
    assert [(found.variant.index, output.path[-5:]) for found, output in run.iter_outputs()] == [
        (0, "a.png"), (0, "b.png"), (0, "c.png"), (1, "d.png"),
    ]  # fmt: skip


def test_each_line_that_is_no_record_is_a_problem_with_its_line_and_code(run):
    newer = record_line(2).replace(b'"1.0"', b'"2.0"')
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b"\n{}\n" + newer + b'\n\xff\n{"kind":')
    records, problems = run.read_records()
    assert len(records) == 2
    assert [(found.line, found.code, found.is_torn) for found in problems] == [
        (4, "record-unreadable", False), (5, "newer-format", False), (6, "record-unreadable", False),
        (7, "record-torn", True),
    ]  # fmt: skip
    assert str(problems[-1]) == "records.jsonl, line 7: the line is cut off after 8 bytes; it was never acknowledged"


def test_records_that_cannot_be_read_now_are_not_taken_for_none(tmp_path):
    run = write_run(tmp_path)
    (run.path / "records.jsonl").unlink()
    (run.path / "records.jsonl").mkdir()
    records, (problem,) = run.read_records()
    assert (records, problem.is_unreadable, problem.line) == ([], True, None)
    with pytest.raises(Unreadable, match="could not be read"):
        OutputFinder(run)


def test_a_run_is_sealed_when_all_that_its_seal_lists_is_there(sealed):
    assert (sealed.is_sealed, sealed.state, sealed.status) == (True, "sealed", "completed")
    assert sealed.digest.startswith("sha256:")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path / A["path"]).unlink(),
        lambda path: (path / A["path"]).write_bytes(b"ab"),
        lambda path: (path / "run_metadata.json").unlink(),
        lambda path: (path / "records.jsonl").write_bytes(b""),
        lambda path: (path / "records.jsonl").unlink(),
        lambda path: (path / "SHA256SUMS").write_bytes(b"rubbish\n"),
        lambda path: (path / A["path"]).rename(path / "elsewhere.png"),
    ],
    ids=["output gone", "output longer", "no metadata", "records cut", "no records", "bad seal", "renamed"],
)
def test_a_seal_over_something_else_is_incomplete(sealed, spoil):
    spoil(sealed.path)
    assert Run(sealed.path).state == "incomplete"


def test_what_lies_behind_a_link_is_not_in_the_run(sealed, tmp_path):
    (sealed.path / "outputs").rename(tmp_path / "outside")
    (sealed.path / "outputs").symlink_to(tmp_path / "outside")
    assert Run(sealed.path).state == "incomplete"


def test_fewer_records_than_the_metadata_counts_are_incomplete_and_more_are_not(tmp_path):
    for count, state in ((None, "sealed"), (1, "sealed"), (0, "sealed"), (2, "incomplete")):
        fields = {} if count is None else {"record_count": count}
        run = write_run(tmp_path / f"{count}", [record_line()], status="completed", **fields)
        assert seal_run(run).state == state


def test_a_line_that_cannot_be_read_counts_as_one_that_came(tmp_path):
    run = write_run(tmp_path, [record_line(), b"{}"], status="completed", record_count=2)
    assert seal_run(run).state == "sealed"


def test_an_unsealed_run_of_this_machine_is_running_while_it_is_locked_and_else_interrupted(tmp_path):
    here = {"source": {"name": "StableNew", "host_id": host_id()}}
    run = write_run(tmp_path, **here)
    assert (run.state, run.status, run.is_sealed) == ("interrupted", "interrupted", False)
    lock = RunLock(tmp_path, "run")
    lock.acquire()
    assert (Run(run.path).state, Run(run.path).status) == ("running", "running")
    lock.release()
    assert Run(run.path).state == "interrupted"


@pytest.mark.parametrize("source", [{"name": "StableNew"}, {"name": "StableNew", "host_id": "another-machine"}])
def test_an_unsealed_run_of_somebody_else_may_still_be_coming(tmp_path, source):
    assert write_run(tmp_path, source=source).state == "incomplete"


def test_an_unsealed_run_without_metadata_may_still_be_coming(tmp_path):
    assert Run(tmp_path).state == "incomplete"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (A["digest"], A), (A["digest"][7:], A), (A["digest"][7:15], A), (A["digest"][7:15].upper(), A),
        (A["path"], A), ("b.png", B), ("0/0", B), ("0/1", C), ("1/0", held_output("outputs/d.png", b"d")),
    ],
)  # fmt: skip
def test_an_image_is_found_by_each_of_its_names(run, name, found):
    assert run.find_output(name).digest == found["digest"]
    assert OutputFinder(run).find(name).path == found["path"]


@pytest.mark.parametrize("name", ["", "0/2", "2/0", "0", "-1/0", A["digest"][7:14], "xxh128:", "z" * 8, "../a.png"])
def test_a_name_of_no_image_is_told_with_what_would_be_one(run, name):
    with pytest.raises(OutputNotFound, match=r"give a digest .* a path such as outputs/a.png, or <variant>/<n>"):
        run.find_output(name)


def test_digits_that_fit_two_images_are_too_few(tmp_path):
    twins = [held_output(f"outputs/{end}.png") | {"digest": f"xxh128:{'0' * 31}{end}"} for end in "12"]
    run = write_run(tmp_path, [record_line(0, twins)])
    with pytest.raises(OutputNotFound, match="fits 2 outputs of run run; give more digits"):
        run.find_output("0" * 20)
    assert run.find_output("0" * 31 + "2").path == "outputs/2.png"


def test_an_image_in_two_variants_is_one_image(tmp_path):
    run = write_run(tmp_path, [record_line(0, [A]), record_line(1, [A | {"path": "outputs/z.png"}])])
    assert run.find_output(A["digest"][7:17]).digest == A["digest"]
    assert run.find_output("1/0").path == "outputs/z.png"


def test_an_image_that_lies_elsewhere_has_no_path_but_its_other_names(tmp_path):
    elsewhere = {name: value for name, value in A.items() if name != "path"} | {"origin": ORIGIN, "sha256": "0" * 64}
    run = write_run(tmp_path, [record_line(0, [elsewhere])])
    assert run.find_output("0/0").origin.name == "a.png"
    assert OutputFinder(run).find(A["digest"]).path == ""
    with pytest.raises(OutputNotFound, match="outputs/…"):
        run.find_output("a.png")


@pytest.mark.parametrize(
    "odd",
    [
        lambda line: line.replace(b'"index":0', b'"index":0.0'),
        lambda line: line.replace(b'"schema_version":"1.0"', b'"schema_version":"1.7"'),
        lambda line: line.replace(b'{"kind"', b'{"x":' + b"[" * 200 + b"]" * 200 + b',"kind"'),
    ],
    ids=["a number with a point", "a later minor version", "too deep"],
)
def test_names_are_what_the_strict_reader_makes_of_a_line(tmp_path, odd):
    run = write_run(tmp_path, [odd(record_line(0, [A]))])
    strict = [output.digest for _, output in run.iter_outputs()]
    if strict:
        assert OutputFinder(run).find("0/0").digest == strict[0]
    else:
        with pytest.raises(OutputNotFound):
            OutputFinder(run).find("0/0")


def test_the_final_images_are_those_of_the_last_stage_or_all_where_none_is_called_so():
    parts = [A | {"role": "intermediate"}, B | {"role": "final"}, C | {"role": "final"}]
    for outputs, finals in ((parts, parts[1:]), ([A, B], [A, B]), ([], [])):
        found = LearningRecord.from_json(record_line(0, outputs))
        assert [output.path for output in final_outputs(found)] == [output["path"] for output in finals]


def test_reading_a_run_changes_nothing(sealed):
    before = {path: path.stat().st_mtime_ns for path in sealed.path.rglob("*")}
    sealed.read_records()
    _ = (sealed.state, sealed.status, sealed.digest, sealed.find_output("0/0"))
    assert {path: path.stat().st_mtime_ns for path in sealed.path.rglob("*")} == before
