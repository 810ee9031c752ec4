import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stablenew
from stablenew import RunRecorder, RunStore
from tests.coroutines import run_coroutine
from tests.samples import png


def runs_of(tmp_path):
    return list(RunStore(tmp_path / "runs").iter_runs())


def test_a_decorated_function_leaves_a_run_a_call_with_its_arguments_as_settings(tmp_path):
    @stablenew.record(tmp_path / "runs", learning_tags=["style:ink"])
    def draw(prompt, steps=30, *, seed=0, model=None, **more):
        """Draws."""
        return png(prompt.encode())

    assert draw("a lake", seed=5, s_churn=0.5) == png(b"a lake")
    draw(prompt="a hill", steps=20, model="sd15")
    assert (draw.__name__, draw.__doc__) == ("draw", "Draws.")
    first, second = sorted((run for run in runs_of(tmp_path)), key=lambda run: run.run_id)
    assert [run.status for run in (first, second)] == ["completed", "completed"]
    (record,) = first.iter_records()
    assert record.prompt.positive == "a lake"
    assert record.requested.to_dict() == {"steps": 30, "seed": 5, "s_churn": 0.5}
    (record,) = second.iter_records()
    assert record.requested.to_dict() == {"steps": 20, "seed": 0, "model": "sd15"}
    assert first.metadata.learning_tags == ("style:ink",)
    assert first.metadata.source.name == "draw"


class Unreadable:
    """Raises whatever it is asked."""

    def __getattribute__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize("name", ["steps", "generator", "mood", "negative_prompt"])
def test_an_argument_that_cannot_be_read_costs_neither_prompt_nor_image(tmp_path, name):
    @stablenew.record(tmp_path / "runs")
    def draw(prompt, steps=30, generator=None, negative_prompt="", **more):
        return png(b"1")

    assert draw("a mill", **{name: Unreadable()}) == png(b"1")
    (run,) = runs_of(tmp_path)
    (record,) = run.iter_records()
    assert (record.prompt.positive, len(record.outputs), run.metadata.status) == ("a mill", 1, "completed")


def test_calls_are_variants_of_a_recorder_that_is_given(tmp_path):
    with RunRecorder(tmp_path / "runs") as run:

        @stablenew.record(run)
        def draw(prompt):
            return [png(prompt.encode()), png(b"second")]

        draw("a")
        draw("b")
    assert [len(record.outputs) for record in run.run.iter_records()] == [2, 2]


def test_what_a_decorated_function_raises_is_recorded_and_raised(tmp_path):
    @stablenew.record(tmp_path / "runs")
    def draw(prompt):
        raise MemoryError("no room")

    with pytest.raises(MemoryError):
        draw("a lake")
    (run,) = runs_of(tmp_path)
    (record,) = run.iter_records()
    assert (run.status, record.error.message) == ("failed", "MemoryError: no room")
    with pytest.raises(TypeError):
        draw()
    assert len(runs_of(tmp_path)) == 1


def test_coroutines_and_generators_stay_what_they_are(tmp_path):
    @stablenew.record(tmp_path / "runs")
    async def later(prompt):
        await asyncio.sleep(0)
        return png(prompt.encode())

    @stablenew.record(tmp_path / "runs")
    def several(prompt):
        for number in range(3):
            yield png(b"%d" % number)

    assert run_coroutine(later("async")) == png(b"async")
    images = several("many")
    assert next(images) == png(b"0")
    assert len(runs_of(tmp_path)) == 1
    assert len(list(images)) == 2
    counts = sorted(len(record.outputs) for run in runs_of(tmp_path) for record in run.iter_records())
    assert counts == [1, 3]


def test_images_that_nobody_takes_any_more_are_recorded_as_far_as_they_came(tmp_path):
    @stablenew.record(tmp_path / "runs")
    def several(prompt):
        for number in range(3):
            yield png(b"%d" % number)

    images = several("many")
    next(images)
    images.close()
    (run,) = runs_of(tmp_path)
    assert (run.status, run.metadata.output_count) == ("completed", 1)


def test_without_parentheses_it_records_beside_the_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @stablenew.record
    def draw(prompt):
        return png()

    draw("a lake")
    assert len(runs_of(tmp_path)) == 1


def test_a_block_may_be_asynchronous(tmp_path):
    async def work(is_cancelled):
        async with RunRecorder(tmp_path / "runs") as run:
            run.log(png(), prompt="a lake")
            if is_cancelled:
                raise asyncio.CancelledError
        return run.run.status

    assert run_coroutine(work(False)) == "completed"
    with pytest.raises(asyncio.CancelledError):
        run_coroutine(work(True))
    assert sorted(run.status for run in runs_of(tmp_path)) == ["cancelled", "completed"]


PROGRAM = """
from stablenew import RunRecorder
from tests.samples import png
for _ in range(2):
    with RunRecorder("runs"{options}) as run:
        run.log(png(), prompt="a lake", steps=30)
"""


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of its own needs POSIX")
def test_a_terminal_is_told_once_where_the_runs_can_be_looked_at(tmp_path):
    import pty

    def stderr_of(program, *, on_terminal):
        ours, theirs = pty.openpty()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
        command = [sys.executable, "-c", program]
        kept = subprocess.PIPE if not on_terminal else theirs
        done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=kept, check=True)
        os.close(theirs)
        text = os.read(ours, 10_000).decode() if on_terminal else done.stderr.decode()
        os.close(ours)
        return done.stdout, text

    stdout, text = stderr_of(PROGRAM.format(options=""), on_terminal=True)
    assert (stdout, text.count("`stablenew serve`")) == (b"", 1)
    assert stderr_of(PROGRAM.format(options=""), on_terminal=False) == (b"", "")


def test_a_quiet_recorder_prints_nothing_even_on_a_terminal(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with RunRecorder(tmp_path / "quiet", quiet=True):
        pass
    assert terminal.getvalue() == ""
    with RunRecorder(tmp_path / "other"):
        pass
    assert f"--runs-dir {tmp_path / 'other'} serve" in terminal.getvalue()
