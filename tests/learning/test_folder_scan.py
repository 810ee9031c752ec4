import subprocess
import sys

from stablenew import RunStore
from stablenew.learning.folder_scan import begun_scan, scan_folders
from tests import samples


def make_store(root):
    store = RunStore(root)
    for run_id in ("20261121-071009-123-k3v9q2m4xw", "chosen-name"):
        samples.sealed_run(store, run_id)
    (root / "no-run").mkdir()
    (root / "20261121-071009-124-k3v9q2m4xw").write_text("a file")
    return str(root)


def test_run_folders_are_seen_alike_from_here_and_from_a_process_of_its_own(tmp_path):
    root = make_store(tmp_path)
    assert scan_folders(root).keys() == {"20261121-071009-123-k3v9q2m4xw", "chosen-name"}
    with begun_scan(root) as wait:
        assert wait() == scan_folders(root)


def test_a_store_that_does_not_exist_yet_has_no_runs(tmp_path):
    with begun_scan(str(tmp_path / "none")) as wait:
        assert wait() == scan_folders(str(tmp_path / "none")) == {}


def test_what_the_other_process_cannot_do_is_done_here(tmp_path, monkeypatch):
    root = make_store(tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with begun_scan(root) as wait:
        assert wait() == scan_folders(root)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with begun_scan(root) as wait:
        assert wait() == scan_folders(root)


def test_it_needs_nothing_that_takes_long_to_import():
    code = "import sys, stablenew.learning.dataset_builder; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pyarrow", "pydantic"} & set(loaded)
