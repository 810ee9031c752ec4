"""The command line as a person or a script meets it: real processes in an empty folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stablenew.cli import main
from stablenew.cli.commands import COMMANDS, MEMBERS
from stablenew.cli.console import format_bytes, format_duration
from stablenew.cli.main import hoist_global_options
from stablenew.pipeline.run_request import parse_sweeps, parse_value
from tests import forked_commands

PACK = "a quiet lake at [[time]]\nneg: blurry\n\na hill, __mood__\n"
FAST = ["--set", "txt2img.width=32", "--set", "txt2img.height=32"]


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pack.txt").write_text(PACK)
    return forked_commands.call


def test_demo_records_a_job_shows_it_and_says_what_next(cli, tmp_path):
    said = cli("demo").stdout
    (run,) = [path for path in (tmp_path / "runs").iterdir() if path.name[0] == "2"]
    for part in (f"runs/{run.name}", "run_metadata.json", "records.jsonl", "outputs/", "SHA256SUMS", "6 variants of 6"):
        assert part in said
    commands = [
        line.strip().split("  ")[0] for line in said.partition("Try next")[2].splitlines() if "stablenew" in line
    ]
    assert commands.pop(0) == "stablenew serve"  # it does not end by itself
    assert len(commands) == 3
    for command in commands:
        cli(*command.split()[1:])
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=run)
    assert checked.returncode == 0
    assert json.loads(cli("config", "get", "--json").stdout)["learning_enabled"] is True


def test_with_learning_off_nothing_is_written_and_it_is_said(cli, tmp_path):
    done = cli("run", "pack.txt", *FAST)
    assert "nothing of this run will be kept" in done.stderr
    assert "completed: 2 variants of 2" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack.txt"]


def test_images_can_be_kept_without_recording(cli, tmp_path):
    cli("run", "pack.txt", *FAST, "--output", "pictures")
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    assert not (tmp_path / "runs").exists()


def test_a_run_is_recorded_with_everything_that_was_asked(cli):
    cli("config", "set", "learning_enabled", "true")
    done = cli(
        "run", "pack.txt", *FAST, "--sweep", "txt2img.sampler=Euler a,DDIM", "--randomize", "time: dawn | noon",
        "--seed", "7", "--action", "moody", "--tag", "experiment:sampler", "--tag", "b",
        "--set", "upscale.factor=1.5", "--json",
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert (result["status"], result["plan_size"], result["recorded"]) == ("completed", 6, True)
    assert result["variants"][1]["label"] == "[time]=dawn; txt2img.sampler=DDIM"
    shown = json.loads(cli("show", "latest", "--json").stdout)
    assert (shown["run_id"], shown["one_click_action"], len(shown["records"])) == (result["run_id"], "moody", 6)
    assert shown["metadata"]["learning_tags"] == ["experiment:sampler", "b"]
    assert [one["stage"] for one in shown["records"][0]["outputs"]] == ["txt2img", "upscale"]
    assert shown["records"][0]["actual"]["seed"] == 7
    (listed,) = json.loads(cli("runs", "--json").stdout)
    assert (listed["status"], listed["record_count"], listed["packs"]) == ("completed", 6, ["pack"])


def test_a_store_that_cannot_be_written_is_said_once_and_the_run_goes_on(cli, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    done = cli("run", "pack.txt", *FAST, "--record", "--runs-dir", "taken", "--randomize", "time: a", code=1)
    assert "completed: 2 variants of 2" in done.stdout
    assert done.stderr.count("expected a folder of runs") == 1


def test_verify_names_a_flipped_bit_and_exits_1(cli, tmp_path):
    cli("run", "pack.txt", *FAST, "--record")
    assert "all as recorded" in cli("verify").stdout
    assert json.loads(cli("verify", "--deep", "--json").stdout)["ok"] is True
    (image, *_) = sorted((tmp_path / "runs").glob("2*/outputs/*.png"))
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.chmod(0o644)
    image.write_bytes(data)
    report = json.loads(cli("verify", "--json", code=1).stdout)
    found = {(one["code"], one["path"]) for one in report["reports"][0]["findings"]}
    assert found == {(code, f"outputs/{image.name}") for code in ("file-changed", "output-changed")}
    assert image.name in cli("verify", "latest", code=1).stdout


def test_the_store_is_named_by_option_environment_or_config(cli, tmp_path, monkeypatch):
    cli("run", "pack.txt", *FAST, "--record", "--runs-dir", "a")
    assert len(json.loads(cli("--runs-dir", "a", "runs", "--json").stdout)) == 1
    monkeypatch.setenv("STABLENEW_RUNS_DIR", "a")
    assert len(json.loads(cli("--json", "runs").stdout)) == 1
    monkeypatch.delenv("STABLENEW_RUNS_DIR")
    assert f"There is no folder {tmp_path / 'runs'}" in cli("runs").stdout
    cli("config", "set", "runs_dir", "a")
    assert len(json.loads(cli("runs", "--json").stdout)) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nothing"], "no run 'nothing'"),
        (["show", "latest"], "stablenew demo"),
        (["run", "gone.txt"], "no prompt pack"),
        (["run", "pack.txt", "--set", "txt2img.stepz=3"], "did you mean txt2img.steps"),
        (["run", "pack.txt", "--set", "steps"], "expected STAGE.KEY=VALUE"),
        (["run", "pack.txt", "--engine", "paint"], "no engine 'paint'"),
        (["run", "pack.txt", "--mode", "sideways"], "no mode 'sideways'"),
        (["config", "set", "learning_enabled", "maybe"], "true or false"),
        (["dance"], "dance"),
        (["verify", "--shallow"], "--shallow"),
    ],
)
def test_usage_errors_exit_2_with_a_clear_line(cli, arguments, says):
    done = cli(*arguments, code=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_of_unreasonable_size_asks_first(cli):
    slots = "".join(f" [[s{n}]]" for n in range(4))
    Path("big.txt").write_text(f"a lake{slots}\n")
    values = [f"--randomize=s{n}: {' | '.join(map(str, range(10)))}" for n in range(4)]
    assert "10,000 variants" in cli("run", "big.txt", *FAST, *values, code=2).stderr
    done = cli("run", "big.txt", *FAST, *values, "--mode", "random", "--limit", "3", "--json")
    assert len({one["label"] for one in json.loads(done.stdout)["variants"]}) == 3


def test_ctrl_c_seals_the_run_as_cancelled_and_exits_130(cli, tmp_path):
    steps = ",".join(str(n) for n in range(1, 900))
    command = [
        sys.executable,
        "-m",
        "stablenew",
        "run",
        "pack.txt",
        *FAST,
        "--record",
        "--sweep",
        f"txt2img.steps={steps}",
    ]
    with subprocess.Popen(
        [*command, "--limit", "900"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "runs").glob("2*/records.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what is finished is kept" in errors
    (run,) = json.loads(cli("runs", "--json").stdout)
    assert run["status"] == "cancelled"
    assert 0 < run["record_count"] < 900
    assert json.loads(cli("verify", "--json").stdout)["ok"] is True


def test_a_reader_that_leaves_early_is_no_error(cli):
    cli("demo")
    done = subprocess.run(
        f"{sys.executable} -m stablenew show latest --json | head -1", shell=True, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_quiet_says_nothing_but_what_is_wrong(cli):
    done = cli("run", "pack.txt", *FAST, "--record", "--quiet", "--randomize", "time: a", "--randomize", "__mood__: b")
    assert (done.stdout, done.stderr) == ("", "")
    assert cli("verify", "-q").stdout == ""


def test_schemas_are_exported(cli, tmp_path):
    cli("schemas", "export", "out/schemas")
    names = sorted(path.name for path in (tmp_path / "out" / "schemas").iterdir())
    assert "run_metadata.schema.json" in names
    assert "records.schema.json" in names


def test_version_and_help(cli):
    assert cli("--version").stdout.startswith("stablenew 0.")
    for command in ("run", "demo", "runs", "show", "verify", "config", "schemas"):
        assert command in cli("--help").stdout
        assert "Usage" in cli(command, "--help").stdout


def test_help_loads_nothing_heavy():
    script = """if True:
        import sys
        from stablenew.cli import main
        print(sorted({"numpy", "pydantic", "PIL", "rich", "jsonschema"} & sys.modules.keys()))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_command_loads_no_other_command_and_searches_for_no_plugins(cli):
    cli("demo")
    program = """if True:
        import sys
        from stablenew.cli.main import main
        try: main(["show", "latest", "--quiet"])
        finally:
            commands = [name for name in sys.modules if name.startswith("stablenew.cli.") and name.endswith("_command")]
            print(commands, "importlib.metadata" in sys.modules)
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['stablenew.cli.show_command'] False\n"


def test_every_command_module_is_in_the_table(cli):
    listed = cli("--help").stdout
    members = [command for group in MEMBERS.values() for command in group.values()]
    modules = {command.module for command in (*COMMANDS.values(), *members)}
    assert modules == {path.stem for path in (Path(main.__file__).parent).glob("*_command.py")}
    assert all(f"\n  {name} " in listed for name in COMMANDS)


def test_a_mistyped_command_is_told_the_nearest(cli):
    assert "Did you mean 'history'" in cli("histry", code=2).stderr


def test_a_prompt_with_markup_is_shown_as_it_is(cli, tmp_path):
    (tmp_path / "pack.txt").write_text("[bold]a lake[/bold] [/] \u2028 <b>\n")
    cli("run", "pack.txt", *FAST, "--record")
    assert "[bold]a lake[/bold]" in cli("show", "latest").stdout


def test_a_prompt_cannot_steer_the_terminal(cli, tmp_path):
    (tmp_path / "pack.txt").write_text("a lake \x1b[2J\x1b]0;owned\x07 \x9b31m\n")
    cli("run", "pack.txt", *FAST, "--record", "--action", "\x1b[31mred", "--tag", "[red]")
    for command in (["show", "latest"], ["runs"]):
        shown = cli(*command).stdout
        assert "\ufffd[" in shown
        assert not set(shown) & {"\x1b", "\x07", "\x9b"}


def test_global_options_work_anywhere():
    assert hoist_global_options(["show", "x", "--json", "--runs-dir", "a"]) == [
        "--json",
        "--runs-dir",
        "a",
        "show",
        "x",
    ]
    assert hoist_global_options(["rate", "--", "--json"]) == ["rate", "--", "--json"]
    assert hoist_global_options(["runs", "--runs-dir=a"]) == ["--runs-dir=a", "runs"]


def test_values_are_json_where_they_are_and_text_where_not():
    assert [parse_value(text) for text in ("30", "7.5", "true", "null", "Euler a", "[1]")] == [
        30,
        7.5,
        True,
        None,
        "Euler a",
        "[1]",
    ]
    assert parse_sweeps(["txt2img.sampler=Euler a, DDIM"]) == [("txt2img.sampler", ["Euler a", "DDIM"])]


def test_numbers_are_shown_for_people():
    assert [format_duration(value) for value in (None, 0.421, 33, 250, 7500)] == [
        "",
        "0.42 s",
        "33 s",
        "4 min 10 s",
        "2 h 5 min",
    ]
    assert [format_bytes(value) for value in (512, 1_400_000, 2_000_000_000_000)] == ["512 bytes", "1.4 MB", "2.0 TB"]


def test_no_variable_of_ours_is_left_from_outside():
    assert "STABLENEW_RUNS_DIR" not in os.environ


@pytest.mark.parametrize(
    "command",
    [
        ["runs"],
        ["show", "latest"],
        ["verify"],
        ["history"],
        ["index", "status"],
        ["index", "update"],
        ["index", "rebuild"],
        ["dataset", "build", "-o", "out"],
        ["learn", "evidence"],
        ["repair"],
        ["merge", "."],
    ],
    ids=" ".join,
)
def test_something_else_in_the_place_of_the_runs_is_named(cli, command):
    said = cli("--runs-dir", "pack.txt", *command, code=2).stderr
    assert "expected a folder of runs, found something else" in said
    assert "pack.txt" in said


READING = "runs history images verify repair copies duel".split()
READING += ["show latest", "path latest", "feedback latest", "undo latest", "rate latest 3", "hold", "trash list"]
READING += ["sources list", "index status", "index rebuild", "learn evidence", "learn defaults", "dataset build -o out"]
READING += ["export xmp -o out", "share -o out.zip", "score --with sharpness"]


@pytest.mark.parametrize("command", READING)
def test_a_folder_that_is_named_and_not_there_is_no_empty_store(cli, tmp_path, command):
    said = cli("--runs-dir", "typo", *command.split(), code=2)
    assert said.stderr == f"stablenew: expected a folder of runs, found none: {tmp_path / 'typo'}\n"
    assert said.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["pack.txt"]


def test_runs_are_made_in_a_folder_that_is_not_there(cli):
    cli("learn", "next", "--prompt", "a hill", *FAST, "--run", "-o", "plan.json", "--runs-dir", "new")
    assert len(json.loads(cli("--runs-dir", "new", "runs", "--json").stdout)) == 1
    assert "Usage" in cli("--runs-dir", "typo", "images", "--help").stdout


def test_a_place_that_is_set_may_be_that_of_runs_to_come(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("STABLENEW_RUNS_DIR", "later")
    assert f"There is no folder {tmp_path / 'later'} yet" in cli("images").stdout
    assert json.loads(cli("history", "--json").stdout) == []


@pytest.mark.parametrize(
    "command",
    [
        ["dataset", "build", "-o", "pack.txt"],
        ["dataset", "build", "-o", "/proc/nowhere"],
        ["schemas", "export", "pack.txt"],
        ["plan", "new", "/proc/nowhere/x.plan.json", "--prompt", "a", "--sweep", "txt2img.steps=1,2"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_written_is_named_in_words(cli, command):
    said = cli(*command, code=1).stderr
    assert "could not write" in said or "pack.txt: File exists" in said
    assert "Errno" not in said
