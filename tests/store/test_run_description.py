"""A run as a row, in full, and by the files of its folder."""

from stablenew.store.run import Run
from stablenew.store.run_description import describe_run, summarise_run, survey_run
from tests.store.run_files import held_output, record_line, seal_run, write_run

A = held_output("outputs/a.png", b"a")


def test_a_sealed_run_is_a_row_of_its_metadata(tmp_path):
    fields = {
        "status": "partial", "record_count": 1, "output_count": 1, "duration_seconds": 1.5, "one_click_action": "moody",
        "packs": [{"id": "p1", "name": "Harbour"}, {"id": "p2"}], "source": {"name": "StableNew", "engine": "sketch"},
        "variant_plan": {"mode": "grid", "size": 4, "axes": []},
    }  # fmt: skip
    run = seal_run(write_run(tmp_path, [record_line(0, [A])], files={A["path"]: b"a"}, **fields))
    assert summarise_run(run) == {
        "run_id": "run", "path": str(run.path), "state": "sealed", "status": "partial",
        "created_at": run.metadata.created_at, "duration_seconds": 1.5, "packs": ["Harbour", "p2"],
        "one_click_action": "moody", "engine": "sketch", "plan_size": 4, "record_count": 1, "output_count": 1,
        "problem": None,
    }  # fmt: skip


def test_a_run_that_has_not_ended_has_its_state_for_a_status(tmp_path):
    row = summarise_run(write_run(tmp_path, status="completed"))
    assert (row["state"], row["status"], row["plan_size"], row["engine"]) == ("incomplete", "incomplete", None, None)


def test_a_run_whose_metadata_cannot_be_read_is_a_row_too_and_says_why(tmp_path):
    run = write_run(tmp_path)
    (run.path / "run_metadata.json").write_bytes(b"{")
    row = summarise_run(run)
    assert (row["state"], row["created_at"], row["packs"], row["record_count"]) == ("incomplete", None, [], None)
    assert str(run.path / "run_metadata.json") in row["problem"]
    described = describe_run(run)
    assert (described["metadata"], described["digest"], described["records"]) == (None, None, [])


def test_a_run_in_full_has_its_documents_and_the_problems_of_reading_them(tmp_path):
    run = seal_run(write_run(tmp_path, [record_line(0, [A]), b"{}"], status="completed"))
    described = describe_run(run)
    assert described["digest"] == run.digest
    assert described["metadata"] == run.metadata.to_dict()
    assert [record["outputs"] for record in described["records"]] == [[A]]
    assert described["problems"][0].startswith("records.jsonl, line 2: ")


def test_a_folder_is_surveyed_by_its_files_and_what_sync_tools_left_in_it(tmp_path):
    copy, leftover = "feedback (conflicted copy).json", ".records.jsonl.0a1b2c3d.tmp"
    files = {
        copy: b"{}",
        leftover: b"",
        "outputs/.a.png.x1Y2z3": b"1",
        "feedback.json": b"{}",
        "feedback.r1.jsonl": b"",
    }
    run = write_run(tmp_path, files=files)
    (run.path / "link").symlink_to(run.path / copy)
    survey = survey_run(run)
    assert (survey.run_id, survey.file_count, survey.conflict_copies) == ("run", 7, (copy,))
    assert survey.leftovers == (".a.png.x1Y2z3", leftover)
    assert survey.size_bytes == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()) - 2


def test_a_folder_that_is_gone_has_nothing_in_it(tmp_path):
    survey = survey_run(Run(tmp_path / "gone"))
    assert (survey.size_bytes, survey.file_count, survey.conflict_copies, survey.leftovers) == (0, 0, (), ())
