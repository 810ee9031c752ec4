import subprocess
import sys
import textwrap
import time

import pytest

from stablenew import RunStore
from stablenew.learning.dataset.source import folder_scan
from stablenew.learning.dataset.source.folder_scan import scan_folders, start_scan
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
    with start_scan(root) as wait:
        assert wait() == scan_folders(root)


def test_a_store_that_does_not_exist_yet_has_no_runs(tmp_path):
    with start_scan(str(tmp_path / "none")) as wait:
        assert wait() == scan_folders(str(tmp_path / "none")) == {}


def test_what_the_other_process_cannot_do_is_done_here(tmp_path, monkeypatch):
    root = make_store(tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with start_scan(root) as wait:
        assert wait() == scan_folders(root)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with start_scan(root) as wait:
        assert wait() == scan_folders(root)


def make_large_store(root):
    for number in range(50):
        (root / f"20261121-071009-123-{number:010d}").mkdir(parents=True)
    return str(root)


@pytest.mark.heavy
@pytest.mark.parametrize("stretch", [1, 7, 24, 25, 26, 49, 50, 51, 1000])
def test_both_processes_together_see_every_folder_once(tmp_path, monkeypatch, stretch):
    monkeypatch.setattr(folder_scan, "_STRETCH", stretch)
    root = make_large_store(tmp_path / "runs")
    with start_scan(root) as wait:
        assert wait() == scan_folders(root)
    with start_scan(root) as wait:
        time.sleep(0.5)  # the other process has most of them by now
        assert wait() == scan_folders(root)


def test_what_a_process_that_died_did_not_come_to_is_done_here(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_scan, "_STRETCH", 7)
    root = make_large_store(tmp_path / "runs")
    program = tmp_path / "dies-after-a-stretch"
    program.write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import os, sys
        from stablenew.learning.dataset.source import folder_scan
        look = folder_scan._look_at
        folder_scan._look_at = lambda root, run_ids: os._exit(9) if len(seen) else seen.append(1) or look(root, run_ids)
        seen = []
        folder_scan._serve(sys.argv[-1])
    """)
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with start_scan(root) as wait:
        assert wait() == scan_folders(root)


def test_it_needs_nothing_that_takes_long_to_import():
    code = "import sys, stablenew.learning.dataset_builder; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pyarrow", "pydantic"} & set(loaded)
