import io
import logging
import subprocess
import sys
import textwrap

import pytest
from PIL import Image

from stablenew import RunRecorder, RunStore, RunVerifier
from stablenew.errors import RunExists, StoreError
from tests.samples import fake_clock, png


def test_a_users_own_pipeline_is_recorded(tmp_path):
    with RunRecorder(
        tmp_path / "runs", config={"steps": 30}, engine="mine", learning_tags=["style:ink"], total=2
    ) as run:
        for number in range(2):
            run.record_variant(
                prompt=f"lake {number}", images=[png(b"%d" % number)], settings={"steps": 30, "seed": number}
            )
    (found,) = RunStore(tmp_path / "runs").iter_runs()
    assert (found.run_id, found.status, found.metadata.record_count) == (run.run_id, "completed", 2)
    assert RunVerifier(found, deep=True).verify().findings == ()
    records = list(found.iter_records())
    assert [one.prompt.positive for one in records] == ["lake 0", "lake 1"]
    assert records[1].requested.seed == 1
    assert (records[0].outputs[0].width, records[0].outputs[0].height) == (8, 6)
    assert found.metadata.stages[0].outputs == tuple(one.outputs[0].path for one in records)


def test_images_come_as_bytes_paths_or_pillow_images(tmp_path):
    (tmp_path / "a.png").write_bytes(png(b"file"))
    picture = Image.new("RGB", (5, 4), (1, 2, 3))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG")
    with RunRecorder(tmp_path / "runs", strict=True) as run:
        one = run.record_variant(
            prompt="x",
            images=[png(), tmp_path / "a.png", str(tmp_path / "a.png"), picture, jpeg.getvalue()],
            seeds=[1, 2, 3, 4, 5],
        )
        alone = run.record_variant(prompt="x", images=picture)
    assert [output.media_type for output in one.outputs] == ["image/png"] * 4 + ["image/jpeg"]
    assert [(output.width, output.height) for output in one.outputs] == [(8, 6)] * 3 + [(5, 4)] * 2
    assert [output.seed for output in one.outputs] == [1, 2, 3, 4, 5]
    assert alone.outputs[0].pixel_digest
    assert RunVerifier(run.run, deep=True).verify().findings == ()


def test_an_exception_of_the_block_seals_the_run_as_failed_and_goes_on(tmp_path):
    with pytest.raises(ZeroDivisionError), RunRecorder(tmp_path / "runs") as run:
        run.record_variant(prompt="x", images=[png()])
        _ = 1 / 0
    assert (run.run.status, run.run.metadata.error.type) == ("failed", "ZeroDivisionError")
    assert len(list(run.run.iter_records())) == 1


def test_ctrl_c_seals_the_run_as_cancelled(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunRecorder(tmp_path / "runs") as run:
        run.record_variant(prompt="x", images=[png()])
        raise KeyboardInterrupt
    assert run.run.status == "cancelled"


def test_a_failed_variant_is_recorded_with_its_reason(tmp_path):
    with RunRecorder(tmp_path / "runs") as run:
        one = run.record_variant(prompt="x", images=[], error="out of memory")
    assert (one.status, one.error.message, one.outputs) == ("failed", "out of memory", ())


def test_a_store_that_cannot_be_written_is_logged_once_and_the_block_goes_on(tmp_path, caplog):
    (tmp_path / "runs").write_text("a file, not a folder")
    made = []
    with caplog.at_level(logging.ERROR, "stablenew"), RunRecorder(tmp_path / "runs") as run:
        for number in range(3):
            made.append(number)
            assert run.record_variant(prompt="x", images=[png()]) is None
    assert made == [0, 1, 2]
    assert run.run is None
    assert "expected a folder of runs" in run.failure
    assert len(caplog.records) == 1
    assert "recording failed" in caplog.text


def test_strict_raises_instead(tmp_path):
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(StoreError), RunRecorder(tmp_path / "runs", strict=True):
        pass


def test_a_chosen_id_is_used_and_never_twice(tmp_path):
    with RunRecorder(tmp_path / "runs", run_id="my-run", strict=True):
        pass
    with pytest.raises(RunExists), RunRecorder(tmp_path / "runs", run_id="my-run", strict=True):
        pass


def test_times_come_from_the_clock_that_was_given(tmp_path):
    with RunRecorder(tmp_path / "runs", clock=fake_clock()) as run:
        one = run.record_variant(prompt="x", images=[png()])
    assert run.run_id.startswith("2027")
    assert one.started_at < one.finished_at < run.run.metadata.finished_at


def test_a_full_disk_keeps_what_was_finished_and_says_what_was_not(tmp_path):
    """A real limit on the size of files: the second image does not fit, the third does."""
    script = """
        import logging, resource, sys
        from stablenew import RunRecorder
        from tests.samples import png
        logging.basicConfig(level=logging.ERROR, format="%(message)s")
        with RunRecorder(sys.argv[1]) as run:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
            for text in (b"small", b"x" * 60_000, b"small again"):
                run.record_variant(prompt="x", images=[png(text)])
        print(run.failure)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "runs"], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("File too large") == done.stderr.count("File too large") == 1
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    assert [one.variant.index for one in run.iter_records()] == [0, 2]
    assert [(lost.index, "File too large" in lost.reason) for lost in run.metadata.unrecorded] == [(1, True)]
    assert RunVerifier(run).verify().is_ok


def test_a_run_can_be_finished_when_the_program_ends(tmp_path):
    """By then the interpreter starts no threads any more."""
    script = """
import atexit, sys
from stablenew import RunRecorder
from tests.samples import png

run = RunRecorder(sys.argv[1], strict=True)
run.start()
run.record_variant(prompt="a lake", images=[png()])

def end():
    run.record_variant(prompt="a pier", images=[png(b"1"), png(b"2")])
    run.finish()

atexit.register(end)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "runs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    assert (run.status, run.metadata.record_count) == ("completed", 2)
    assert RunVerifier(run).verify().findings == ()


def test_one_line_logs_an_image_with_any_settings_and_scores(tmp_path):
    with RunRecorder(tmp_path / "runs", strict=True) as run:
        record = run.log(png(), prompt="a lake", metrics={"aesthetic": 6.1}, guidance_scale=7.5, s_churn=0.5, seed=3)
    assert record.requested.to_dict() == {"cfg_scale": 7.5, "s_churn": 0.5, "seed": 3}
    assert [score.to_dict() for score in record.metrics] == [{"metric": "aesthetic", "value": 6.1}]
    assert run.run.status == "completed"


def test_scores_belong_to_the_variant_or_to_each_image(tmp_path):
    with RunRecorder(tmp_path / "runs", strict=True) as run:
        images = [png(b"a"), png(b"b")]
        by_name = run.record_variant(prompt="x", images=images, metrics={"aesthetic": [6.1, 5.4], "seconds": 2})
        by_image = run.record_variant(prompt="x", images=images, metrics=[{"aesthetic": 6.1}, {"aesthetic": 5.4}])
    first, second = (output.digest for output in by_name.outputs)
    of_images = [(first, "aesthetic", 6.1), (second, "aesthetic", 5.4)]
    scores = [(score.image_id, score.metric, score.value) for score in by_name.metrics]
    assert scores == [*of_images, (None, "seconds", 2)]
    assert [(score.image_id, score.metric, score.value) for score in by_image.metrics] == of_images


def test_scores_that_fit_no_image_are_kept_as_text_and_unreadable_images_shift_nothing(tmp_path):
    with RunRecorder(tmp_path / "runs") as run:
        wrong = run.record_variant(prompt="x", images=[png()], metrics=[{"aesthetic": 1}, {"aesthetic": 2}])
        partly = run.record_variant(prompt="x", images=[object(), png(b"b")], metrics={"aesthetic": [1, 2]})
    assert wrong.metrics is None
    assert "aesthetic" in wrong.odd["metrics"]
    assert [(score.image_id, score.value) for score in partly.metrics] == [(partly.outputs[0].digest, 2)]
