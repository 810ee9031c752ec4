import dataclasses
import logging
import os
import threading

import pytest

from stablenew import (
    Axis,
    CancelToken,
    InMemoryLearningRecordWriter,
    PipelineConfig,
    PipelineRunner,
    Prompt,
    RunOptions,
    RunStore,
    RunVerifier,
    SketchEngine,
    VariantPlan,
)
from stablenew.disk import group_sync
from stablenew.errors import ConfigError, EngineError
from stablenew.pipeline.prompt_pack import PromptPack
from stablenew.pipeline.randomizer import SWEEP
from stablenew.store.local_state import state_folder
from tests.samples import fake_clock

SMALL = {"width": 32, "height": 32, "steps": 4, "seed": 5}
CONFIG = PipelineConfig(txt2img=SMALL, prompt="a lake")
ALL_STAGES = PipelineConfig(
    txt2img=SMALL | {"batch_size": 2, "n_iter": 2}, img2img={}, adetailer={}, upscale={"factor": 1.5}
)


def sweep(*values):
    return VariantPlan((Prompt("a lake"),), sweeps=(Axis(SWEEP, "txt2img.cfg_scale", values),))


class FailingEngine(SketchEngine):
    """Sketch, but some variants fail: the fault an engine really has, at the place where it has it."""

    def __init__(self, fails_at, error=None, stage="txt2img"):
        super().__init__()
        self.calls = 0
        self.fails_at, self.error, self.stage = fails_at, error or EngineError("out of memory"), stage

    def run_stage(self, request, monitor):
        self.calls += request.stage == self.stage
        if request.stage == self.stage and self.calls - 1 in self.fails_at:
            raise self.error
        return super().run_stage(request, monitor)


def run(engine=None, config=CONFIG, *, plan=None, pack=None, **keywords):
    known = {field.name for field in dataclasses.fields(RunOptions)}
    options = RunOptions(**{name: keywords.pop(name) for name in known & keywords.keys()})
    return PipelineRunner(engine or SketchEngine(), **keywords).run(config, plan=plan, pack=pack, options=options)


def without_times(result):
    """A result but for its id, its place and its times."""

    def plain(value):
        if dataclasses.is_dataclass(value):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if hasattr(value, "model_dump"):
            value = value.model_dump()
        if isinstance(value, dict):
            times = {"started_at", "finished_at", "duration_seconds"}
            dropped = times | {"records", "run_id", "run_path", "recording_error", "closure"}
            return {key: plain(item) for key, item in value.items() if key not in dropped}
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    return plain(result)


def test_all_stages_run_in_order_and_every_image_knows_where_it_comes_from(store):
    result = run(config=ALL_STAGES, run_store=store)
    (variant,) = result.variants
    assert [event.name for event in variant.stages] == ["txt2img", "img2img", "adetailer", "upscale"]
    by_stage = {}
    for output in variant.outputs:
        by_stage.setdefault(output.stage, []).append(output)
    assert {stage: len(outputs) for stage, outputs in by_stage.items()} == dict.fromkeys(by_stage, 4)
    for before, after in (("txt2img", "img2img"), ("img2img", "adetailer"), ("adetailer", "upscale")):
        assert [one.parents for one in by_stage[after]] == [(one.digest,) for one in by_stage[before]]
    assert {one.role for one in by_stage["upscale"]} == {"final"}
    assert {one.role for stage in ("txt2img", "img2img", "adetailer") for one in by_stage[stage]} == {"intermediate"}
    assert [one.seed for one in by_stage["upscale"]] == [5, 6, 7, 8]
    assert (by_stage["upscale"][0].width, by_stage["txt2img"][0].width) == (48, 32)
    assert RunVerifier(store.open(result.run_id), deep=True).verify().findings == ()


def test_stage_events_carry_times_durations_and_both_settings():
    result = run(config=ALL_STAGES, clock=fake_clock())
    for event in result.stage_events:
        assert event.started_at < event.finished_at
        assert event.duration_seconds > 0
        assert event.output_count == 4
        assert event.requested
        assert event.actual
    assert result.stage_events[1].requested["sampler"] == "Euler a"
    assert result.duration_seconds > sum(event.duration_seconds for event in result.stage_events)


def test_requested_and_actual_settings_are_both_recorded():
    config = PipelineConfig(txt2img=SMALL | {"seed": -1, "model": "landscape.safetensors"})
    seen = []
    (record,) = run(SketchEngine(random_bits=lambda bits: 99), config, on_learning_record=seen.append).records
    assert seen == [record]
    assert (record.requested.seed, record.requested.model) == (-1, "landscape.safetensors")
    assert (record.actual.seed, record.actual.model) == (99, "sketch-1")


def test_a_recorded_run_holds_every_variant(store):
    pack = PromptPack(
        "harbour", "Harbour", (Prompt("a lake at [[time]]", "blurry", "harbour/0"),), digest="xxh128:" + "0" * 32
    )
    plan = VariantPlan(
        pack.prompts, (Axis("matrix", "time", ("dawn", "noon")),), (Axis(SWEEP, "txt2img.cfg_scale", (5, 7)),)
    )
    config = CONFIG.model_copy(update={"one_click_action": "moody", "learning_tags": ("experiment:cfg",)})
    result = run(config=config, plan=plan, pack=pack, run_store=store)
    found = store.open(result.run_id)
    records = list(found.iter_records())
    assert tuple(records) == result.records
    assert [one.variant.label for one in records] == [one.label for one in plan]
    assert [one.prompt.prompt_id for one in records] == ["harbour/0"] * 4
    metadata = found.metadata
    assert (metadata.status, metadata.record_count, metadata.output_count) == ("completed", 4, 4)
    assert (metadata.packs[0].id, metadata.one_click_action, metadata.learning_tags) == (
        "harbour",
        "moody",
        ("experiment:cfg",),
    )
    assert metadata.config == config.to_dict()
    assert metadata.variant_plan.size == 4
    assert [one.path for one in result.outputs] == list(metadata.stages[0].outputs)


def test_without_writer_or_callback_the_result_is_the_same_and_nothing_is_written(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)

    def fail(_record):
        raise OSError(28, "No space left on device")

    class AlwaysRaises:
        append_record = staticmethod(fail)

    plain = run(config=ALL_STAGES, plan=None)
    assert plain.records == (), "learning is off"
    assert list(tmp_path.iterdir()) == []
    assert not state_folder().exists(), "not even this machine's own state"
    others = [
        run(
            config=ALL_STAGES,
            learning_record_writer=InMemoryLearningRecordWriter(),
            on_learning_record=lambda record: None,
        ),
        run(config=ALL_STAGES, learning_record_writer=AlwaysRaises(), on_learning_record=fail, on_event=fail),
        run(config=ALL_STAGES, run_store=store),
    ]
    for other in others:
        assert without_times(other) == without_times(plain)


def test_writer_and_callback_get_the_same_instance():
    writer, seen = InMemoryLearningRecordWriter(), []
    result = run(plan=sweep(5, 7), learning_record_writer=writer, on_learning_record=seen.append)
    assert all(a is b is c for a, b, c in zip(writer.iter_records(), seen, result.records, strict=True))
    assert len(seen) == 2


def test_a_writer_that_always_raises_is_logged_once(caplog):
    class AlwaysRaises:
        def append_record(self, record):
            raise OSError(28, "No space left on device")

    with caplog.at_level(logging.ERROR):
        result = run(plan=sweep(5, 6, 7), learning_record_writer=AlwaysRaises())
    assert result.succeeded
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


def test_a_store_that_cannot_be_written_leaves_the_result_whole(store, caplog):
    store.root.write_text("a file, not a folder")
    with caplog.at_level(logging.ERROR):
        result = run(plan=sweep(5, 7), run_store=store)
    assert result.status == "completed"
    assert len(result.variants) == 2
    assert result.run_path is None
    assert "expected a folder of runs" in result.recording_error
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [EngineError("out of memory"), RuntimeError("CUDA \ud800"), ValueError()])
def test_a_variant_that_fails_is_recorded_and_the_others_go_on(store, error):
    result = run(FailingEngine({1}, error), plan=sweep(5, 6, 7), run_store=store)
    assert (result.status, [one.status for one in result.variants]) == ("partial", ["completed", "failed", "completed"])
    found = store.open(result.run_id)
    records = list(found.iter_records())
    assert records[1].error.type == type(error).__name__
    assert (records[1].error.stage, records[1].outputs) == ("txt2img", ())
    assert (found.status, found.metadata.error.type) == ("partial", type(error).__name__)
    assert RunVerifier(found).verify().findings == ()


def test_a_run_stops_at_the_first_failure_when_it_shall(store):
    result = run(FailingEngine({1}), plan=sweep(5, 6, 7), run_store=store, on_variant_error="stop")
    assert [one.status for one in result.variants] == ["completed", "failed"]
    assert store.open(result.run_id).metadata.record_count == 2


def test_a_failure_in_a_later_stage_keeps_what_was_made_before_it(store):
    result = run(FailingEngine({0}, stage="adetailer"), ALL_STAGES, run_store=store)
    (record,) = store.open(result.run_id).iter_records()
    assert (result.status, record.status, record.error.stage) == ("failed", "failed", "adetailer")
    assert {output.stage for output in record.outputs} == {"txt2img", "img2img"}
    assert {output.role for output in record.outputs} == {"intermediate"}
    assert [event.status for event in record.stages] == ["completed", "completed", "failed"]


def test_a_wish_to_stop_seals_the_run_as_cancelled_with_every_finished_variant(store):
    cancel = CancelToken()

    def stop_after_two(event):
        if event.kind == "variant_finished" and event.variant == 1:
            cancel.cancel()

    result = run(plan=sweep(4, 5, 6, 7), cancel=cancel, run_store=store, on_event=stop_after_two)
    found = store.open(result.run_id)
    assert (result.status, found.status, found.state) == ("cancelled", "cancelled", "sealed")
    assert [one.variant.index for one in found.iter_records()] == [0, 1]
    assert RunVerifier(found).verify().findings == ()


def test_a_wish_to_stop_from_another_thread_is_heard(store):
    cancel, started = CancelToken(), threading.Event()
    thread = threading.Thread(target=lambda: (started.wait(10), cancel.cancel()))
    thread.start()
    plan = sweep(*[5 + n / 1000 for n in range(5000)])
    result = run(plan=plan, cancel=cancel, run_store=store, on_event=lambda event: started.set())
    thread.join()
    assert result.status == "cancelled"
    assert len(result.variants) < 5000


def test_ctrl_c_in_the_engine_seals_the_run_and_goes_on_its_way(store):
    with pytest.raises(KeyboardInterrupt):
        run(FailingEngine({1}, KeyboardInterrupt()), plan=sweep(5, 6, 7), run_store=store)
    (found,) = store.iter_runs()
    assert (found.status, found.metadata.record_count) == ("cancelled", 1)


def test_images_cut_off_in_a_later_stage_are_kept(store):
    cancel = CancelToken()

    def stop_at_img2img(event):
        if event.kind == "stage_started" and event.stage == "img2img":
            cancel.cancel()

    result = run(config=ALL_STAGES, cancel=cancel, run_store=store, on_event=stop_at_img2img)
    (record,) = store.open(result.run_id).iter_records()
    assert (record.status, len(record.outputs)) == ("cancelled", 4)


def test_events_tell_the_whole_story_in_order():
    events = []
    run(config=CONFIG, plan=sweep(5, 7), on_event=events.append)
    variant = ["variant_started", "stage_started", "stage_progress", "stage_finished", "variant_finished"]
    assert [event.kind for event in events] == ["run_started", *variant, *variant, "run_finished"]
    assert {event.run_id for event in events} == {events[0].run_id}
    assert events[4].stage_event.duration_seconds >= 0


def test_it_is_told_of_a_variant_when_it_is_on_the_disk(store):
    kinds, recorded, records = [], [], []

    def look(record):
        assert record in list(store.open(record.run_id).iter_records())
        assert (store.root / record.run_id / record.outputs[0].path).is_file()
        records.append(record)

    def follow(event):
        kinds.append((event.kind, event.variant))
        if event.kind == "variant_recorded":
            recorded.append(event.variant)
            assert event.record == records[-1]

    result = run(plan=sweep(5, 7, 9), run_store=store, on_event=follow, on_learning_record=look)
    assert recorded == [0, 1, 2]
    assert tuple(records) == result.records
    assert all(kinds.index(("variant_recorded", one)) > kinds.index(("variant_finished", one)) for one in recorded)
    assert kinds[-1] == ("run_finished", None)


@pytest.mark.parametrize("at", ["run_started", "variant_started", "stage_finished", "variant_finished"])
def test_an_interrupt_at_any_moment_leaves_a_sealed_run(store, at):
    def interrupt(event):
        if event.kind == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan=sweep(5, 7), run_store=store, on_event=interrupt)
    (found,) = store.iter_runs()
    assert found.status == "cancelled"
    assert RunVerifier(found).verify().findings == ()


def test_records_are_told_of_where_they_cannot_be_recorded_too(tmp_path):
    (tmp_path / "file").write_text("no folder")
    events, records = [], []
    store = RunStore(tmp_path / "file")
    result = run(plan=sweep(5, 7), run_store=store, on_event=events.append, on_learning_record=records.append)
    assert tuple(records) == result.records
    assert len(records) == 2
    assert "variant_recorded" not in {event.kind for event in events}
    assert result.run_path is None


def test_a_slow_disk_keeps_the_engine_from_nothing(store, monkeypatch):
    """The disk does not answer before the engine is through with everything."""
    is_through = threading.Event()
    fsync = os.fsync

    def patient(descriptor):
        assert is_through.wait(20)
        fsync(descriptor)

    def follow(event):
        if event.kind == "variant_finished" and event.variant == 2:
            is_through.set()

    monkeypatch.setattr(group_sync.os, "fsync", patient)
    result = run(plan=sweep(5, 7, 9), run_store=store, on_event=follow)
    assert result.recording_error is None
    assert RunVerifier(store.open(result.run_id)).verify().findings == ()


def test_a_run_can_be_light_on_memory(store):
    result = run(run_store=store, keep_images=False)
    assert [image.data for variant in result.variants for image in variant.images] == [None]
    assert (store.root / result.run_id / result.outputs[0].path).is_file()


def test_an_override_that_does_not_fit_fails_its_variant_only(store):
    result = run(plan=sweep(5, "much", 7), run_store=store)
    assert [one.status for one in result.variants] == ["completed", "failed", "completed"]
    assert "cfg_scale" in result.variants[1].error.message


def test_nothing_to_run_is_an_error():
    with pytest.raises(ConfigError, match="nothing to run"):
        run(plan=VariantPlan(()))
    with pytest.raises(ConfigError, match="on_variant_error"):
        RunOptions(on_variant_error="panic")


def test_a_chosen_run_id_is_used(store):
    assert run(config=PipelineConfig(run_id="mine", txt2img=SMALL), run_store=store).run_id == "mine"
    again = run(config=PipelineConfig(run_id="mine", txt2img=SMALL), run_store=store)
    assert again.succeeded
    assert "recorded once" in again.recording_error
