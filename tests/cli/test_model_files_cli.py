"""One checkpoint that programs spell in several ways: imported, found, counted and learned from as one."""

import json
import math

import pyarrow.parquet as pq
import pytest

from stablenew import FeedbackManager, JobHistory, RunStore
from tests import forked_commands
from tests.image_metadata.graph_files import base_graph, node
from tests.importing.images import INFOTEXT, make_png
from tests.web.serving import Client, Server, wait_for

WAI = "waiIllustriousSDXL_v160"
SPELLINGS = [WAI, f"{WAI}.safetensors", f"SDXL\\{WAI}.safetensors", f"sdxl/{WAI}.ckpt", f"{WAI} [45a21ea00a]"]


def from_a1111(seed, model, *, cfg=7):
    """An image that says so in one line."""
    text = INFOTEXT.format(seed=seed, steps=20).replace("dreamshaper_8", model).replace("scale: 7", f"scale: {cfg}")
    return make_png(10 * seed + cfg, text=text)


def from_comfyui(seed, model):
    """An image with its graph, and with a LoRA and a VAE."""
    graph = base_graph()
    graph["3"]["inputs"] |= {"seed": seed, "model": ["10", 0]}
    graph["4"] = node("CheckpointLoaderSimple", ckpt_name=model)
    graph["8"]["inputs"]["vae"] = ["11", 0]
    graph["10"] = node(
        "LoraLoader", lora_name="styles/ink.safetensors", strength_model=0.8, strength_clip=0.8, model=["4", 0],
        clip=["4", 1],
    )  # fmt: skip
    graph["11"] = node("VAELoader", vae_name="sdxl/ae.safetensors")
    return make_png(seed, text="", extra={"prompt": json.dumps(graph)})


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Commands in a folder whose store has one checkpoint from two programs, and another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    files = [from_a1111(1, WAI), from_comfyui(2, f"SDXL\\{WAI}.safetensors"), from_a1111(3, "sd_xl_base_1.0")]
    for number, data in enumerate(files):
        (tmp_path / "outputs" / f"{number}.png").write_bytes(data)
    forked_commands.call("import", "outputs")
    return forked_commands.call


def read_images(cli, *arguments):
    return json.loads(cli("images", *arguments, "--json").stdout)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_any_spelling_of_a_checkpoint_finds_all_its_images(cli, spelling):
    found = read_images(cli, f'model:"{spelling}"')
    assert sorted(image["settings"]["seed"] for image in found) == [1, 2]
    (other,) = read_images(cli, f'-settings.model:"{spelling}"')
    assert other["settings"]["model"] == "sd_xl_base_1.0"


@pytest.mark.parametrize("pattern", ["wai*", "WAI*v160", "wai*.safetensors", "sdxl?wai*", "*v160.ckpt"])
def test_a_pattern_finds_a_checkpoint_by_its_name_or_by_a_spelling(cli, pattern):
    assert len(read_images(cli, f"model:{pattern}")) == 2


def test_loras_and_vaes_are_found_under_each_spelling_too(cli):
    for query in ("lora:ink", "lora:ink.safetensors", "lora:styles/ink.pt", "vae:ae", "vae:sdxl/ae.safetensors"):
        assert [image["settings"]["seed"] for image in read_images(cli, query)] == [2], query


def test_an_image_still_says_what_its_program_called_the_file(cli):
    (image,) = read_images(cli, "lora:ink")
    assert image["settings"]["model"] == f"SDXL\\{WAI}.safetensors"
    assert image["settings"]["vae"] == "sdxl/ae.safetensors"
    assert image["common_names"] == {"model": WAI, "vae": "ae"}
    (record,) = [
        record for run in RunStore("runs").iter_runs() for record, _ in run.iter_outputs() if record.prompt.loras
    ]
    assert record.actual.model == f"SDXL\\{WAI}.safetensors"
    assert forked_commands.call("verify").returncode == 0


def test_lists_of_images_and_names_of_copies_have_the_common_name(cli, tmp_path):
    assert sorted(cli("images").stdout.count(f"model={name} ") for name in (WAI, "sd_xl_base_1.0")) == [1, 2]
    cli("images", "model:wai*", "--export", "copies", "--name", "{model}")
    assert {path.name.partition(".")[0].partition("-")[0] for path in (tmp_path / "copies").iterdir()} == {WAI}


def test_the_rail_of_the_page_has_one_line_for_a_checkpoint(cli, tmp_path):
    server = Server(tmp_path / "runs", tmp_path / "machine").start()
    try:
        client = Client(server).enter()
        wait_for(lambda: client.get("/api/status")["is_indexed"])
        facets = client.get("/api/images/facets?query=")
        assert facets["model"] == [{"value": WAI, "count": 2}, {"value": "sd_xl_base_1.0", "count": 1}]
        assert facets["lora"] == [{"value": "ink", "count": 1}]
        assert client.get(f"/api/images/count?query=model:{WAI}.safetensors")["count"] == 2
    finally:
        server.close()


def test_the_axes_of_grids_and_duels_have_one_name_for_a_checkpoint(cli):
    history = JobHistory("runs", rater="me")
    history.refresh(is_patient=True)
    assert history.image_values("").codes("model").values == ("sd_xl_base_1.0", WAI)
    history.close()


def test_the_dataset_and_the_evidence_know_one_checkpoint(cli, tmp_path):
    cli("dataset", "build", "-o", "data")
    columns = pq.read_table(tmp_path / "data" / "images").to_pydict()
    assert sorted(columns["model"]) == ["sd_xl_base_1.0", WAI, WAI]
    assert {column["name"] for loras in columns["loras"] if loras for column in loras} == {"ink"}
    assert set(columns["vae"]) == {"ae", None}


def fill_with_pairs(folder, count):
    """Pairs that differ in CFG scale alone, but for the spelling of their checkpoint."""
    for number in range(count):
        for cfg, model in ((4, WAI), (8, f"SDXL/{WAI}.safetensors")):
            data = from_a1111(number + 1, model, cfg=cfg)
            (folder / f"{number}-{cfg}.png").write_bytes(data)


def rate_all(taste):
    store = RunStore("runs")
    manager = FeedbackManager(store, rater="anna")
    for run in store.iter_runs():
        for record, output in run.iter_outputs():
            manager.record_feedback(run.run_id, output.digest, taste(record.actual))


def test_ratings_of_one_checkpoint_in_two_spellings_are_compared_with_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    fill_with_pairs(tmp_path / "outputs", 8)
    forked_commands.call("import", "outputs")
    rate_all(lambda settings: 5 if math.isclose(settings.cfg_scale, 8) else 2)
    (found,) = json.loads(forked_commands.call("learn", "evidence", "--by", "cfg", "--json").stdout)["settings"]
    assert found["comparisons"][0]["difference"]["place_count"] == 8
    known = json.loads(forked_commands.call("learn", "next", "--json", "-o", "next.json").stdout)
    assert known["fixed"]["txt2img.model"] == WAI
    assert known["base"]["text"] == "", "all images are of one kind"
    assert known["rating_count"] == 16
    over = ("--over", f"model=old/{WAI}.ckpt|sd_xl_base_1.0.safetensors", "-o", "two.json")
    asked = json.loads(forked_commands.call("learn", "next", *over, "--json").stdout)
    assert asked["tuned"][0]["values"] == [WAI, "sd_xl_base_1.0"]
    assert asked["base"]["image_count"] == 16
