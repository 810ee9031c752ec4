"""What is recorded of a prompt of ComfyUI: each image as its own sampler made it, and when."""

import pytest

from stablenew import RunStore, RunVerifier
from stablenew.controller.hook_listener import HookListener
from stablenew.formats.digest import digest_bytes
from tests.image_metadata.files import make_webm
from tests.image_metadata.graph_files import base_graph, node
from tests.samples import png

STARTED, ENDED = 1_795_872_848_512, 1_795_872_850_544
MESSAGES = [
    ["execution_start", {"prompt_id": "p", "timestamp": STARTED}],
    ["execution_cached", {"prompt_id": "p", "timestamp": STARTED + 2, "nodes": ["4"]}],
    ["execution_success", {"prompt_id": "p", "timestamp": ENDED}],
]
BRANCH = {
    "93": node(
        "KSampler", seed=33, steps=30, cfg=2.0, sampler_name="ddim", scheduler="simple", denoise=1.0,
        model=["94", 0], positive=["96", 0], negative=["7", 0], latent_image=["95", 0],
    ),
    "94": node("CheckpointLoaderSimple", ckpt_name="other.safetensors"),
    "95": node("EmptyLatentImage", width=96, height=32, batch_size=1),
    "96": node("CLIPTextEncode", text="another picture", clip=["94", 1]),
    "98": node("VAEDecode", samples=["93", 0], vae=["94", 2]),
    "99": node("SaveImage", filename_prefix="y", images=["98", 0]),
}  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture
def listener(runs):
    return HookListener(runs.root)


@pytest.fixture
def save(tmp_path):
    def write(name, data, node, **more):
        (tmp_path / name).write_bytes(data)
        return {"path": str(tmp_path / name), "type": "output", "node": node, **more}

    return write


def prompt(graph, *files, **more):
    fields = {"do": "prompt", "tool": "comfyui", "prompt_id": "p", "graph": graph, "images": list(files)}
    return {**fields, "messages": MESSAGES, "status": "success", **more}


def records_of(runs):
    (run,) = runs.iter_runs()
    assert RunVerifier(run, deep=True).verify().is_ok
    return run, list(run.iter_records())


def test_images_of_two_samplers_are_recorded_as_each_was_made(listener, runs, save):
    listener.handle(prompt(base_graph(**BRANCH), save("a.png", png(b"1"), "9"), save("b.png", png(b"2"), "99")))
    _, (first, second) = records_of(runs)
    assert (first.prompt.positive, second.prompt.positive) == ("a quiet harbour", "another picture")
    assert (first.actual.model, second.actual.model) == ("tiny", "other")
    assert (first.actual.seed, second.actual.seed, second.actual.steps) == (42, 33, 30)
    assert (second.actual.width, second.actual.height) == (96, 32)
    assert second.actual.to_dict()["saved_as"] == [{"node": "99", "name": "b.png"}]


def test_two_passes_that_are_both_saved_have_each_its_own_settings(listener, runs, save):
    graph = base_graph(
        **{
            "20": node("LatentUpscaleBy", samples=["3", 0], upscale_method="bilinear", scale_by=2.0),
            "21": node(
                "KSampler", seed=7, steps=12, cfg=5.0, sampler_name="ddim", scheduler="simple", denoise=0.5,
                model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["20", 0],
            ),
            "22": node("VAEDecode", samples=["21", 0], vae=["4", 2]),
            "23": node("SaveImage", filename_prefix="large", images=["22", 0]),
        }
    )  # fmt: skip
    listener.handle(prompt(graph, save("a.png", png(b"1"), "9"), save("b.png", png(b"2"), "23")))
    _, (base, enlarged) = records_of(runs)
    assert "passes" not in base.actual.to_dict()
    passes = enlarged.actual.to_dict()["passes"]
    assert [(found["node"], found["steps"], found["cfg_scale"]) for found in passes] == [
        ("3", 20, 7.0),
        ("21", 12, 5.0),
    ]
    assert passes[1]["denoising_strength"] == 0.5


def test_times_are_those_of_the_server(listener, runs, save):
    listener.handle(prompt(base_graph(), save("a.png", png(), "9")))
    _, (record,) = records_of(runs)
    assert (record.started_at, record.finished_at) == ("2026-11-28T13:34:08.512Z", "2026-11-28T13:34:10.544Z")
    assert record.duration_seconds == record.stages[0].duration_seconds == 2.032


def test_only_loras_that_are_connected_were_used(listener, runs, save):
    graph = base_graph(
        **{
            "30": node("LoraLoader", lora_name="used.safetensors", strength_model=0.7, model=["4", 0], clip=["4", 1]),
            "31": node("LoraLoader", lora_name="idle.safetensors", strength_model=1.0, model=["4", 0], clip=["4", 1]),
        }
    )
    graph["3"]["inputs"]["model"] = ["30", 0]
    listener.handle(prompt(graph, save("a.png", png(), "9")))
    _, (record,) = records_of(runs)
    assert record.actual.to_dict()["loras"] == [{"name": "used.safetensors", "weight": 0.7}]


def test_an_image_that_was_painted_on_is_the_parent(listener, runs, save):
    graph = base_graph(
        **{
            "5": node("VAEEncode", pixels=["50", 0], vae=["4", 2]),
            "50": node("LoadImage", image="sketch.png"),
        }
    )
    graph["3"]["inputs"]["denoise"] = 0.6
    sketch = save("sketch.png", png(b"sketch"), "50")
    inputs = [{"name": "sketch.png", "path": sketch["path"]}, {"name": "gone.png", "path": "/not/there.png"}]
    listener.handle(prompt(graph, save("a.png", png(), "9"), inputs=inputs))
    _, (record,) = records_of(runs)
    assert record.outputs[0].parents == (digest_bytes(png(b"sketch")),)
    assert (record.outputs[0].stage, record.actual.denoising_strength) == ("img2img", 0.6)
    assert record.actual.to_dict()["input_images"] == [{"name": "sketch.png", "role": "init"}]


@pytest.mark.parametrize(
    ("middle", "stage"),
    [("ImageInvert", "edit"), ("ImageScaleBy", "edit"), ("ImageUpscaleWithModel", "upscale")],
)
def test_what_no_sampler_made_is_an_upscale_only_where_something_enlarges_it(listener, runs, save, middle, stage):
    graph = {
        "1": node("LoadImage", image="a.png"),
        "2": node(middle, image=["1", 0]),
        "9": node("SaveImage", filename_prefix="x", images=["2", 0]),
    }
    listener.handle(prompt(graph, save("b.png", png(), "9")))
    _, (record,) = records_of(runs)
    assert record.outputs[0].stage == stage


def test_videos_and_animations_are_no_images_of_txt2img(listener, runs, save):
    graph = base_graph(**{"9": node("SaveWEBM", filename_prefix="x", images=["8", 0])})
    listener.handle(prompt(graph, save("a.webm", make_webm({}), "9", animated=True)))
    _, (record,) = records_of(runs)
    assert (record.outputs[0].media_type, record.outputs[0].stage) == ("video/webm", "txt2video")


def test_what_comfyui_was_working_on_when_it_died_is_an_interrupted_run(listener, runs, save):
    begun = {"do": "begin", "tool": "comfyui", "graph": base_graph()}
    listener.handle({**begun, "prompt_id": "p"})
    listener.handle({**begun, "prompt_id": "q"})
    listener.handle(prompt(base_graph(), save("a.png", png(), "9")))
    listener.close()
    done, lost = sorted(runs.iter_runs(), key=lambda run: run.run_id)
    assert (done.metadata.status, lost.metadata.status) == ("completed", "interrupted")
    (record,) = lost.iter_records()
    assert (record.status, record.prompt.positive, record.actual.steps) == ("interrupted", "a quiet harbour", 20)
    assert "ComfyUI ended while it worked on the prompt" in record.error.message


def test_a_prompt_that_somebody_interrupted_keeps_its_settings(listener, runs):
    stopped = [MESSAGES[0], ["execution_interrupted", {"node_id": "3", "timestamp": ENDED}]]
    listener.handle(prompt(base_graph(), messages=stopped, status="error"))
    run, (record,) = records_of(runs)
    assert (run.metadata.status, record.status, record.actual.seed) == ("cancelled", "cancelled", 42)
