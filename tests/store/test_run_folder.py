"""Names of files in a run: ours, those that sync tools make of them, and which folders are runs."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import NotAStore
from stablenew.formats.output_path import is_output_path
from stablenew.store.run_folder import (
    check_place,
    damaged_feedback_name,
    feedback_log_name,
    is_feedback,
    is_feedback_log,
    is_metrics,
    is_run_entry,
    is_sync_leftover,
    is_unsealed,
    metrics_name,
    output_name,
)

GENERATED = "20261121-071009-123-k3v9q2m4xw"
DIGEST = "xxh128:" + "0123456789abcdef" * 2
REPLICAS = st.from_regex(r"\A[a-z0-9]{1,12}(?:-[a-z0-9]{1,8})?\Z")


@given(
    st.integers(0, 10**6),
    st.from_regex(r"\A[a-z][a-z0-9_]{0,20}\Z"),
    st.integers(0, 10**4),
    st.sampled_from(["image/png", "image/jpeg", "application/x-unheard-of"]),
)
def test_every_output_has_a_name_that_the_format_allows(variant, stage, number, media_type):
    assert is_output_path(output_name(variant, stage, number, DIGEST, media_type))


def test_an_output_is_named_by_variant_stage_number_and_digest():
    assert output_name(7, "img2img", 2, DIGEST, "image/jpeg") == "outputs/0007-img2img-2.0123456789ab.jpg"
    assert output_name(12345, "txt2img", 0, DIGEST, "x/y") == "outputs/12345-txt2img-0.0123456789ab.bin"


@given(REPLICAS)
def test_what_a_machine_writes_after_the_seal_is_known_by_its_name(replica):
    assert is_feedback_log(feedback_log_name(replica))
    assert is_feedback("feedback.json")
    assert is_metrics(metrics_name(replica))
    for name in (feedback_log_name(replica), metrics_name(replica)):
        assert is_unsealed(name)
        assert not is_sync_leftover(name)


@pytest.mark.parametrize(
    "name",
    [
        "feedback.laptop.sync-conflict-20261121-071009-ABCDEFG.jsonl",
        "feedback.laptop (conflicted copy 2026-11-21).jsonl",
        "feedback (1).json",
        "feedback.json.sync-conflict-20261121.json",
    ],
)
def test_a_conflict_copy_of_feedback_is_read_and_is_nobody_s_log(name):
    assert is_feedback(name)
    assert not is_feedback_log(name)


@pytest.mark.parametrize("end", ["tmp", "part", "!sync", "crdownload", "partial", "swp", "TMP"])
def test_what_is_still_coming_in_is_no_feedback_yet(end):
    for name in (f"feedback.laptop.jsonl.{end}", f"metrics.laptop.jsonl.{end}"):
        assert not is_feedback(name)
        assert not is_metrics(name)
        assert not is_unsealed(name)
        assert is_sync_leftover(name)


@pytest.mark.parametrize(
    "name", ["records.jsonl", "run_metadata.json", "SHA256SUMS", "xfeedback.json", "metrics.jsonl"]
)
def test_what_the_seal_covers_is_no_feedback(name):
    assert not is_unsealed(name)


def test_damaged_feedback_is_kept_under_a_name_that_nobody_reads():
    assert not is_unsealed(damaged_feedback_name("0123abcd"))
    assert not is_sync_leftover(damaged_feedback_name("0123abcd"))


@pytest.mark.parametrize(
    "name",
    [
        ".syncthing.records.jsonl.tmp", "~syncthing~records.jsonl.tmp", ".records.jsonl.Ab12Cd", ".DS_Store", "._a",
        "records.sync-conflict-20261121-071009-ABCDEFG.jsonl", "@eaDir", "Thumbs.db", "desktop.ini", ".nfs0000001",
        "a.sb-1f2e3d-Xy12Zw", "photo (Kim's conflicted copy).png", "a.conflict2", "a..path1", ".fuse_hidden0001",
    ],
)  # fmt: skip
def test_leftovers_of_sync_tools_and_desktops_are_known(name):
    assert is_sync_leftover(name)


@pytest.mark.parametrize(
    "name",
    ["records.jsonl", "run_metadata.json", "SHA256SUMS", "outputs", "feedback.json", "0000-txt2img-0.a.png", "notes"],
)
def test_files_of_a_run_are_no_leftovers(name):
    assert not is_sync_leftover(name)


def entry_of(folder, name):
    with os.scandir(folder) as entries:
        return next(entry for entry in entries if entry.name == name)


def test_a_folder_with_a_generated_name_is_a_run_even_while_it_is_empty(tmp_path):
    (tmp_path / GENERATED).mkdir()
    assert is_run_entry(entry_of(tmp_path, GENERATED))


@pytest.mark.parametrize("document", ["run_metadata.json", "records.jsonl", "SHA256SUMS"])
def test_a_folder_with_a_chosen_name_is_a_run_by_any_of_its_documents(tmp_path, document):
    (tmp_path / "my-run").mkdir()
    assert not is_run_entry(entry_of(tmp_path, "my-run"))
    (tmp_path / "my-run" / document).write_bytes(b"")
    assert is_run_entry(entry_of(tmp_path, "my-run"))


def test_a_name_that_no_run_can_have_is_none_whatever_is_in_it(tmp_path):
    (tmp_path / "My Run").mkdir()
    (tmp_path / "My Run" / "records.jsonl").write_bytes(b"")
    assert not is_run_entry(entry_of(tmp_path, "My Run"))


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_link_to_a_run_is_no_run(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / GENERATED).symlink_to(tmp_path / "elsewhere")
    assert not is_run_entry(entry_of(tmp_path, GENERATED))


def test_a_store_is_a_folder_or_not_there_yet(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    check_place(tmp_path)
    check_place(tmp_path / "absent")
    with pytest.raises(NotAStore, match="expected a folder of runs"):
        check_place(tmp_path / "file")
