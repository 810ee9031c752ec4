"""Health: state, repair, verify, what lies where."""

import shutil

import pytest

from stablenew import RunStore
from stablenew.store.local_state import host_id
from tests import samples
from tests.web.browser import expect


@pytest.mark.only_reads
def test_the_state_of_store_and_index(open_page, root, keep_screen):
    page = open_page("/health")
    facts = page.get_by_role("region", name="Store and index")
    expect(facts).to_contain_text(str(root))
    expect(facts).to_contain_text("kept up to date by this server")
    expect(facts).to_contain_text("reported by the system")
    keep_screen(page, "health")


def test_interrupted_runs_are_repaired_by_one_click(open_page, root):
    source = {"name": "StableNew", "host_id": host_id()}
    writer = RunStore(root).create(samples.metadata("20261121-000000-000-aaaaaaaaaa", source=source))
    writer.append_record(samples.record("20261121-000000-000-aaaaaaaaaa", 0, []))
    writer.abandon()
    page = open_page("/health")
    section = page.get_by_role("region", name="Interrupted runs")
    expect(section).to_contain_text("20261121-000000-000-aaaaaaaaaa")
    section.get_by_role("button", name="Repair").click()
    expect(page.locator(".toast")).to_contain_text("1 run repaired")
    expect(section).to_have_count(0)
    run = RunStore(root).open("20261121-000000-000-aaaaaaaaaa")
    assert (run.state, run.status, len(list(run.iter_records()))) == ("sealed", "interrupted", 1)


def test_verify_names_what_was_changed(open_page, root, run_ids):
    page = open_page("/health")
    page.get_by_role("button", name="Verify all runs").click()
    section = page.get_by_role("region", name="Verify all runs")
    expect(section).to_contain_text("✓ 4 runs")
    records = root / run_ids[2] / "records.jsonl"
    records.chmod(0o644)
    records.write_bytes(records.read_bytes().replace(b"fog", b"fig"))
    page.get_by_role("button", name="Verify all runs").click()
    expect(section).to_contain_text("✗ 4 runs")
    expect(section).to_contain_text("file-changed")
    expect(section.get_by_role("link")).to_have_text([run_ids[2]])


def test_a_survey_says_how_much_lies_where_and_what_was_left_behind(open_page, server, root, run_ids, keep_screen):
    server.run("rate", run_ids[0], "3")
    feedback = root / run_ids[0] / "feedback.json"
    shutil.copy(feedback, feedback.with_name("feedback.sync-conflict-20261121-010203-ABCDEFG.json"))
    (root / run_ids[1] / ".records.jsonl.0123abcd.tmp").write_bytes(b"x")
    page = open_page("/health")
    page.get_by_role("button", name="Look through the folders").click()
    section = page.get_by_role("region", name="Look through the folders")
    expect(section).to_contain_text("in total")
    expect(section).to_contain_text("1 conflict copy of feedback")
    expect(section).to_contain_text("1 temporary file;")
    expect(section.locator(".bar-row")).not_to_have_count(0)
    keep_screen(page, "health-survey")


def test_the_size_of_the_index_counts_all_its_files(client, server):
    (folder,) = (server.machine / "state").rglob("history.sqlite")
    parts = {part.name: part.stat().st_size for part in folder.parent.iterdir()}
    assert parts["history.sqlite-wal"] > 0
    assert client.get("/api/health")["index"]["size_bytes"] >= sum(parts.values()) - parts["history.sqlite-shm"]
