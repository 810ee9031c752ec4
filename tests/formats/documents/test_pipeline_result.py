"""The result of a run: what its variants made, in order."""

import dataclasses

import pytest

from stablenew.formats.documents.pipeline_result import (
    GeneratedImage,
    PipelineRunResult,
    VariantPrompt,
    VariantResult,
)
from stablenew.formats.documents.stage_event import StageEvent
from tests.samples import STARTED
from tests.store.run_files import output_of

IMAGES = [GeneratedImage(name.encode(), output_of(name)) for name in "abc"]


def stage(name):
    return StageEvent(name=name, status="completed", started_at=STARTED, duration_seconds=1.0, output_count=1)


def variant(index, images, *stages):
    return VariantResult(
        index=index, total=2, mode="fanout", label="", overrides={}, prompt=VariantPrompt("a quay"), requested={},
        actual={}, status="completed", started_at=STARTED, finished_at=STARTED, duration_seconds=1.0,
        stages=tuple(map(stage, stages)), images=tuple(images),
    )  # fmt: skip


def result(**fields):
    variants = (variant(0, IMAGES[:2], "txt2img", "upscale"), variant(1, IMAGES[2:], "txt2img"))
    known = {"run_id": "run", "status": "completed", "started_at": STARTED, "finished_at": STARTED}
    rest = {"duration_seconds": 2.0, "plan_size": 2, "mode": "fanout", "variants": variants}
    return PipelineRunResult(**known | rest | fields)


def test_outputs_and_stages_stand_in_the_order_they_were_made():
    assert [output.path[-5] for output in result().outputs] == ["a", "b", "c"]
    assert [event.name for event in result().stage_events] == ["txt2img", "upscale", "txt2img"]
    assert result(variants=()).outputs == result(variants=()).stage_events == ()


@pytest.mark.parametrize(("status", "succeeded"), [("completed", True), ("partial", False), ("cancelled", False)])
def test_a_run_succeeded_when_every_variant_was_completed(status, succeeded):
    assert result(status=status).succeeded == succeeded


def test_an_image_may_leave_its_bytes_and_is_the_same_image():
    light = IMAGES[0].without_data()
    assert (light.data, light.reference) == (None, IMAGES[0].reference)
    assert IMAGES[0].data == b"a"


def test_nobody_changes_a_result():
    with pytest.raises(dataclasses.FrozenInstanceError):
        result().status = "failed"
