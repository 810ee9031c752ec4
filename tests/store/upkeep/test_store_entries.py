"""Folders of a store that hold a run and are not read as one are named as what they are."""

import shutil

import pytest

from stablenew import RunStore
from stablenew.cli.main import main
from stablenew.store.upkeep.store_files import verify_store_entries
from tests import samples

RUN = "20261121-071009-123-k3v9q2m4xw"


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store, RUN)
    return store


def found(store):
    return [(finding.code, finding.severity, finding.path) for finding in verify_store_entries(store.root).findings]


@pytest.mark.parametrize(
    "name",
    [f"{RUN} (1)", f"{RUN} - Copy", f"Copy of {RUN}", f"{RUN} 2", f"{RUN} copy", f"{RUN}~", f"{RUN}-DESKTOP-AB12CD3",
     f"{RUN} (conflicted copy 2026-11-28)", f"{RUN}.sync-conflict-20261128-120000-ABCDEFG", f"{RUN.upper()}", "今日"],
)  # fmt: skip
def test_a_copy_of_a_run_folder_is_named_and_no_fault(store, name):
    shutil.copytree(store.root / RUN, store.root / name)
    assert found(store) == [("run-copy", "info", name)]
    (finding,) = verify_store_entries(store.root).findings
    assert f"a copy of run {RUN}" in finding.message
    with pytest.raises(SystemExit) as ended:
        main(["--runs-dir", str(store.root), "verify"])
    assert ended.value.code == 0


def test_a_run_that_is_only_there_under_another_name_is_named(store):
    (store.root / RUN).rename(store.root / f"{RUN} (1)")
    (finding,) = verify_store_entries(store.root).findings
    assert finding.message == f"holds run {RUN}; it is ignored until it has that name"


def test_a_copy_without_metadata_is_named_too(store):
    shutil.copytree(store.root / RUN, store.root / f"{RUN} (1)")
    (store.root / f"{RUN} (1)" / "run_metadata.json").unlink()
    assert found(store) == [("run-copy", "info", f"{RUN} (1)")]


def test_a_link_to_a_run_elsewhere_is_named_and_not_followed(store, tmp_path):
    shutil.move(store.root / RUN, tmp_path / "other-disk")
    (store.root / RUN).symlink_to(tmp_path / "other-disk")
    assert found(store) == [("run-link", "info", RUN)]
    assert list(store.iter_runs()) == []


def test_what_holds_no_run_is_not_named(store):
    for name in ("@eaDir", "notes", "thumbnails", ".hidden"):
        (store.root / name).mkdir()
    (store.root / "file (1)").write_text("x")
    assert found(store) == []
