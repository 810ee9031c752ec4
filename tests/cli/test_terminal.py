"""What is printed: on terminals of any width, in encodings without stars, to streams that are closed or full."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stablenew import FeedbackManager, RunStore
from stablenew.cli.table import cell_width
from tests import forked_commands
from tests.web.serving import make_runs

PROMPT = "a quiet harbour at dawn, fishing boats, oil on canvas, soft light, 港の夜明け"
STYLES = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("terminal") / "runs"
    run_ids = make_runs(root, [PROMPT, "a hill"], values=(5.0, 7.0), size=32)
    manager = FeedbackManager(RunStore(root), rater="anna")
    manager.record_feedback(run_ids[0], None, 4)
    manager.record_feedback(run_ids[1], "1/0", 5)
    return root


def command(root, *arguments):
    return [sys.executable, "-m", "stablenew", "--runs-dir", str(root), *arguments]


def forked(root, *arguments, **options):
    """The same where how it starts is not what it is about; it must have succeeded and complained of nothing."""
    done = forked_commands.run("--runs-dir", str(root), *arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), arguments
    return done


def on_terminal(root, columns, *arguments):
    """The lines that a command shows on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(
        command(root, *arguments), stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the last one closed it
                break
            if not chunk:
                break
            data += chunk
    os.close(ours)
    assert process.returncode == 0, data
    return [STYLES.sub("", line) for line in data.decode().replace("\r", "").splitlines()]


@pytest.mark.heavy
@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("name", ["history", "runs"])
def test_lists_show_prompt_and_a_run_id_that_works_at_every_width(root, columns, name):
    lines = on_terminal(root, columns, name)
    assert all(cell_width(line) <= columns for line in lines if not line.startswith("(no room"))
    assert "a quiet harbour at dawn" in "\n".join(lines)
    newest, oldest = (line.split()[-1 if name == "history" else 0] for line in lines[1:3])
    assert len(newest) == len("20261128-132317-338")
    found = forked(root, "path", oldest)
    assert RunStore(root).resolve(oldest).path.name in found.stdout


@pytest.mark.heavy
@pytest.mark.parametrize("columns", [80, 60])
def test_history_shows_stars_at_every_width_and_names_what_it_left_out(root, columns):
    lines = on_terminal(root, columns, "history")
    assert "best ★★★★★" in lines[1]
    assert "★★★★☆" in lines[2]
    assert lines[-1].startswith("(no room for ")


@pytest.mark.heavy
def test_show_calls_images_as_rate_does(root):
    for columns in (80, 60):
        lines = on_terminal(root, columns, "show", "latest")
        names = [line.split()[0] for line in lines if line[:3] in {"0/0", "1/0"}]
        assert names == ["0/0", "1/0"]
        wide = [line for line in lines if cell_width(line) > columns]
        assert all("sha256:" in line or str(root) in line or line.startswith("(no room") for line in wide)


@pytest.mark.heavy
def test_a_run_that_was_asked_for_random_seeds_ran_as_asked(root, tmp_path):
    (tmp_path / "pack.txt").write_text("a hill\n")
    small = ["--set", "txt2img.width=32", "--set", "txt2img.height=32"]
    forked_commands.call("--runs-dir", str(tmp_path / "runs"), "run", str(tmp_path / "pack.txt"), "--record", *small)
    shown = forked(tmp_path / "runs", "show", "latest")
    assert "otherwise than requested" not in shown.stdout


def test_in_a_pipe_nothing_is_cut_and_no_line_is_broken(root):
    done = subprocess.run(command(root, "history"), capture_output=True, text=True, env={**os.environ, "COLUMNS": "40"})
    assert PROMPT in done.stdout
    assert {line.split()[-1] for line in done.stdout.splitlines()[1:]} == {
        run.run_id for run in RunStore(root).iter_runs()
    }


@pytest.mark.heavy
@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii", "utf-8"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["history"],
        ["runs"],
        ["show", "latest"],
        ["feedback", "latest"],
        ["rate", "latest", "1/0", "5"],
        ["learn", "evidence"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_encoding_of_the_output_makes_a_command_fail(root, encoding, arguments):
    shown = forked(root, *arguments, encoding=encoding).stdout
    if arguments[0] in {"feedback", "rate"}:
        assert ("★★★★★" if encoding in {"utf-8", "cp932"} else "*****") in shown


@pytest.mark.heavy
@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii", "utf-8"])
def test_json_is_the_same_in_every_encoding(root, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(command(root, "--json", "history"), capture_output=True, env=environment, check=True)
    assert [row["prompt"] for row in json.loads(done.stdout.decode(encoding))] == ["a hill", PROMPT]


@pytest.mark.heavy
@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes the stream")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_does_its_work(root, closed):
    line = f'"{sys.executable}" -m stablenew --runs-dir "{root}" rate latest 0/0 3 {closed}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    opinions = FeedbackManager(RunStore(root)).read(RunStore(root).resolve("latest").run_id).build_document().state
    assert any(opinion.rating == 3 for said in opinions.images.values() for opinion in said.values())


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_below_the_output_is_named(root):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command(root, "history"), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "stablenew: [Errno 28] No space left on device\n"


def test_a_reader_that_leaves_early_is_no_error(root):
    line = f'"{sys.executable}" -m stablenew --runs-dir "{root}" --json show latest | head -c 1'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["show", "runs", "rate", "feedback", "verify", "history"])
def test_quick_commands_load_neither_rich_nor_numpy(root, name):
    arguments = {"runs": [], "history": [], "rate": ["latest", "4"]}.get(name, ["latest"])
    traced = [sys.executable, "-X", "importtime", *command(root, name, *arguments)[1:]]
    done = subprocess.run(traced, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"rich", "numpy", "pyarrow", "PIL", "starlette"}


@pytest.mark.heavy
@pytest.mark.parametrize(
    "words",
    [["history"], ["runs"], ["learn", "evidence"], ["learn"], ["dataset", "build"], ["plan", "new"], ["engines"], []],
    ids=" ".join,
)
def test_h_helps_everywhere_also_where_a_word_with_a_minus_is_a_condition(root, words):
    assert forked(root, *words, "-h").stdout.startswith("Usage: stablenew")
    asked = forked(root, "--json", "history", "-harbour")
    assert [row["prompt"] for row in json.loads(asked.stdout)] == ["a hill"]


@pytest.mark.heavy
def test_a_proposal_without_ratings_says_what_is_missing(tmp_path):
    make_runs(tmp_path / "runs", ["a hill"], size=32)
    assert "no image is rated yet" in forked(tmp_path / "runs", "learn", "propose").stdout


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("group", [[], ["sources"], ["learn"], ["engines"], ["index"], ["export"]])
def test_a_list_of_commands_says_the_whole_of_what_each_does(root, columns, group):
    lines = on_terminal(root, columns, *group, "--help")
    listed = lines[lines.index("Commands:") + 1 :]
    assert len(listed) > 2
    assert not [line for line in listed if line.rstrip().endswith("...")]


def test_a_wrong_name_within_a_group_is_answered_with_those_there_are(root):
    done = subprocess.run(command(root, "config", "list"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "There are: get, set, path." in done.stderr


def fails(root, *arguments):
    """What a command that is used wrongly answers."""
    done = subprocess.run(command(root, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    return done.stderr


def test_wrong_use_is_answered_with_what_is_right(root):
    assert "did you mean best?" in fails(root, "images", "rating:5", "--sort", "bst")
    assert "expected `feedback export FILE`" in fails(root, "feedback", "export")
    assert "a path such as outputs/0000-" in fails(root, "rate", "latest", "9/9", "4")


def test_the_engine_to_check_is_named_with_an_option_or_without(root):
    plain = subprocess.run(command(root, "engines", "check", "sketch"), capture_output=True, text=True, check=True)
    named = subprocess.run(
        command(root, "engines", "check", "--engine", "sketch"), capture_output=True, text=True, check=True
    )
    assert plain.stdout == named.stdout


@pytest.mark.parametrize("name", ["history", "runs", "images"])
def test_a_store_that_is_not_there_is_told_from_an_empty_one(tmp_path, name):
    (tmp_path / "empty").mkdir()
    missing = subprocess.run(command(tmp_path / "typo", name), capture_output=True, text=True, check=False)
    empty = subprocess.run(command(tmp_path / "empty", name), capture_output=True, text=True, check=True)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert f"found none: {tmp_path / 'typo'}" in missing.stderr
    assert f"in {tmp_path / 'empty'} yet" in empty.stdout
    assert not (tmp_path / "typo").exists()
