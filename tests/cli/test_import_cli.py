"""Importing by commands: what they print, and what they end with."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from tests import forked_commands
from tests.importing.images import fill, make_pictured_png
from tests.importing.stars import databases
from tests.importing.test_moved_and_held import pattern, rewrite
from tests.web.serving import wait_for


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: forked_commands.call(*map(str, arguments), code=code)


def test_stars_are_taken_over_by_a_command_that_says_what_it_did(cli, tmp_path):
    paths = fill(tmp_path / "outputs", 4)
    stars = dict.fromkeys(paths, 3) | {tmp_path / "gone" / "x.png": 5}
    source = databases.majoor(tmp_path / "assets.sqlite", stars)
    assert cli("import-stars", source, code=2).stderr.startswith("stablenew: no images in")
    cli("import", tmp_path / "outputs")
    told = cli("import-stars", source, "--dry-run", code=1)
    assert "5 images with opinions there: 4 would be taken over" in told.stdout
    told = cli("import-stars", source, code=1)
    assert "4 taken over\n  from 4 majoor; found by 4 path" in told.stdout
    assert "1 image not found here" in told.stderr
    report = json.loads(cli("import-stars", source, "--json", code=1).stdout)
    assert (report["written"], report["unchanged"], len(report["unmatched"])) == (0, 4, 1)
    assert cli("images", "rating:3", "--json").stdout.count('"rating": 3') == 4


def test_what_is_not_there_is_a_usage_error(cli, tmp_path):
    assert "there is nothing at" in cli("import-stars", tmp_path / "none.db", code=2).stderr
    assert "OLD=NEW" in cli("import-stars", tmp_path, "--map", "here", code=2).stderr


def test_images_in_their_place_are_exported_as_sidecars_captions_and_copies(cli, tmp_path):
    paths = fill(tmp_path / "outputs", 3)
    cli("import", tmp_path / "outputs")
    cli("rate", "latest", "0/0", "4")
    assert "3 sidecars written beside the images, 0 said it already" in cli("export", "xmp", "--beside").stdout
    assert paths[0].with_name(f"{paths[0].name}.xmp").exists()
    assert "1 sidecar written beneath out" in cli("export", "xmp", "rating:4", "-o", "out").stdout
    assert "either -o DIR" in cli("export", "xmp", code=2).stderr
    told = cli("export", "captions", "rating:4", "-o", "train", "--concept", "harbour", "--repeats", "10").stdout
    assert "train/10_harbour" in told
    cli("images", "rating:4", "--export", "keepers", "--name", "{stars}")
    assert (tmp_path / "keepers" / "4.png").read_bytes() in {path.read_bytes() for path in paths}


def test_all_feedback_is_backed_up_and_taken_back(cli, tmp_path):
    fill(tmp_path / "outputs", 2)
    cli("import", tmp_path / "outputs")
    cli("rate", "latest", "0/0", "4", "--tag", "quay")
    assert "2 events of 1 run written to said.jsonl" in cli("feedback", "export", "said.jsonl").stdout
    assert "0 events taken back, 2 were here" in cli("feedback", "restore", "said.jsonl").stdout
    assert "is not a backup" in cli("feedback", "restore", next((tmp_path / "outputs").iterdir()), code=2).stderr


def test_images_are_held_and_copies_of_them_found(cli, tmp_path):
    fill(tmp_path / "outputs", 2)
    (tmp_path / "outputs" / "once.png").write_bytes(make_pictured_png(7))
    note = {"Note": "written by another program"}
    (tmp_path / "outputs" / "again.png").write_bytes(make_pictured_png(7, extra=note))
    cli("import", tmp_path / "outputs")
    assert "1 picture in several files" in cli("copies").stdout
    assert len(json.loads(cli("images", "--json").stdout)) == 3
    assert "(0 images decoded now)" in cli("copies", "--alike").stdout
    assert "4 images copied into the store" in cli("hold").stdout
    assert "4 were there already" in cli("hold").stdout


def test_a_lossy_copy_is_one_picture_when_a_person_says_so(cli, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for number in range(3):
        (outputs / f"{number}.png").write_bytes(pattern(number))
    for quality in (80, 60):
        (outputs / f"lossy-{quality}.jpg").write_bytes(rewrite(pattern(0), "JPEG", quality=quality))
    cli("import", outputs, "--all")
    pairs = json.loads(cli("copies", "--alike", "--json").stdout)
    assert len(pairs) == 3
    first, second = (digest.removeprefix("xxh128:") for digest in pairs[0]["images"])
    third = pairs[1]["images"][1].removeprefix("xxh128:")
    assert "one picture" in cli("copies", "--confirm", first[:12], f"xxh128:{second}").stdout
    assert len(json.loads(cli("copies", "--alike", "--json").stdout)) == 1, "two files of one picture ask once"
    cli("copies", "--confirm", third[:12], second[:12])
    assert "0 pairs to look at" in cli("copies", "--alike").stdout
    assert json.loads(cli("copies", "--json").stdout) == [
        sorted({digest for pair in pairs for digest in pair["images"]})
    ]
    (image,) = json.loads(cli("images", "tag:copy:*", "--json").stdout)
    assert len(image["places"]) == 3
    assert "no images have a digest" in cli("copies", "--confirm", first[:12], "0" * 12, code=2).stderr
    assert "the same image" in cli("copies", "--confirm", first[:12], first, code=2).stderr


def test_verify_counts_what_is_held_in_place_and_missing(cli, tmp_path):
    first, second, _ = fill(tmp_path / "outputs", 3)
    cli("import", tmp_path / "outputs")
    assert "images: 0 in the store, 3 in place, 0 missing" in cli("verify").stdout
    cli("hold")
    first.unlink()
    second.write_bytes(b"another file")
    told = cli("verify", code=1)
    assert "images: 3 in the store, 1 in place, 2 missing" in told.stdout
    (source,) = json.loads(cli("sources", "list", "--json").stdout)
    cli("sources", "remove", source["id"])
    told = json.loads(cli("verify", "--json").stdout)
    assert told["images"] == {"held": 3, "in_place": 0, "missing": 0, "removed": 0, "elsewhere": 3}
    assert sum(report["images"]["held"] for report in told["reports"] if report["run_id"][0] != ".") == 3


@contextlib.contextmanager
def watching(folder, found):
    """`import --watch` in a process, when it has looked through the folder; killed at the end."""
    process = forked_commands.start("import", str(folder), "--watch")
    with process.stdout, process.stderr:
        try:
            assert "watching" in process.stdout.readline()
            assert f"{found} images taken in" in process.stdout.readline()
            yield process
        finally:
            process.kill()
            process.wait()


def test_the_second_watcher_of_a_folder_names_the_first_and_ends(cli, tmp_path):
    fill(tmp_path / "outputs" / "today", 2)
    with watching(tmp_path / "outputs", 2) as first:
        told = cli("import", tmp_path / "outputs" / "today", "--watch", code=1).stderr
        assert f"is watched already, by stablenew import --watch (process {first.pid}, since " in told
        assert "end that one first" in told
    with watching(tmp_path / "outputs" / "today", 0):
        pass  # a lock whose holder was killed is free


def test_two_pictures_that_look_alike_are_not_asked_about_again(cli, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "first.png").write_bytes(pattern(0))
    (outputs / "lossy.jpg").write_bytes(rewrite(pattern(0), "JPEG", quality=60))
    cli("import", outputs, "--all")
    told = cli("copies", "--alike")
    first, second = told.stdout.split("--refuse ")[1].split()[:2]
    assert "two pictures" in cli("copies", "--refuse", first, second).stdout
    assert "0 pairs to look at" in cli("copies", "--alike").stdout
    assert len(json.loads(cli("images", "--json").stdout)) == 2
    cli("copies", "--confirm", first, second)
    assert len(json.loads(cli("images", "--json").stdout)) == 1, "the later word counts"


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_an_import_that_is_stopped_says_so_and_goes_on_from_there(tmp_path):
    fill(tmp_path / "pictures", 900)
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(tmp_path / "runs"), "import"]
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from stablenew.cli.main import main; main(sys.argv[1:])"
    slow = [sys.executable, "-c", code, *command[3:], str(tmp_path / "pictures")]
    with subprocess.Popen(slow, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_for(lambda: list((tmp_path / "runs").glob("2*/SHA256SUMS")))
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "stablenew: stopped; what was taken in is kept, and the same command goes on from there\n"
    again = subprocess.run([*command, str(tmp_path / "pictures")], capture_output=True, text=True, check=True)
    assert "images that are known already" in again.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_a_command_that_is_stopped_says_so(tmp_path):
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from stablenew.cli import history_command as module; from stablenew.cli.main import main; "
    code += "module.open_history = lambda *_: signal.raise_signal(signal.SIGINT); main(['history'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (130, "stablenew: stopped\n")
