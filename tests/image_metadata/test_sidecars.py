"""Files beside images."""

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.reading import read_sidecar
from stablenew.image_metadata.sidecars import sidecar_names
from tests.image_metadata.files import INFOTEXT

ROWS = {
    "Prompt": "a &amp; b",
    "Negative Prompt": "fog",
    "Resolution": "(64, 48)",
    "Guidance Scale": "4.0",
    "Base Model": "jugger",
    "Sampler": "dpmpp_2m",
    "Scheduler": "karras",
    "Seed": "77",
    "Steps": "30",
    "Performance": "Speed",
    "LoRA 1": "ink.safetensors : 0.5",
    "Version": "Fooocus v2.5.0",
}


def log_block(name, rows, copied=None):
    cells = "".join(f"<tr><td class='label'>{key}</td><td class='value'>{rows[key]}</td></tr>\n" for key in rows)
    button = f"<button onclick=\"to_clipboard('{quote(json.dumps(copied), safe='')}')\">Copy</button>" if copied else ""
    image = f"<td><a href='{name}'><img src='{name}'></a><div>{name}</div></td>"
    table = f"<td><table class='metadata'>{cells}</table></br>{button}</td>"
    return (
        f'<div id="{name.replace(".", "_")}" class="image-container"><hr><table><tr>{image}{table}</tr></table></div>'
    )


LOG = "<html>" + log_block("a.png", ROWS) + log_block("b.png", ROWS | {"Seed": "78"}) + "</html>"


def test_a_text_beside_an_image_is_read_as_the_one_within_would_be():
    for data in (INFOTEXT.encode(), b"\xef\xbb\xbf" + INFOTEXT.encode(), INFOTEXT.encode("utf-16")):
        said = read_sidecar(data, "a.txt", "a.png")
        assert (said.generation.tool, said.generation.settings["seed"], said.reader) == ("A1111", 42, "a1111")


def test_the_log_of_fooocus_gives_the_entry_of_each_image():
    for name, seed in (("a.png", 77), ("b.png", 78)):
        found = read_sidecar(LOG.encode(), "log.html", name).generation
        assert (found.tool, found.tool_version, found.prompt, found.negative_prompt) == (
            "Fooocus",
            "Fooocus v2.5.0",
            "a & b",
            "fog",
        )
        assert {"seed": seed, "width": 64, "model": "jugger", "scheduler": "Karras"}.items() <= found.settings.items()
        assert found.loras == (Lora("ink.safetensors", 0.5),)
    assert not read_sidecar(LOG.encode(), "log.html", "c.png").has_generation_data
    assert not read_sidecar(LOG.encode(), "log.html").has_generation_data


def test_what_the_button_of_the_log_copies_is_preferred():
    copied = {"prompt": "a (b) 'c'", "base_model": "jugger", "guidance_scale": 4, "seed": "99", "steps": 30}
    log = log_block("a.png", ROWS, copied | {"lora_combined_1": "ink : 0.5"})
    found = read_sidecar(log.encode(), "log.html", "a.png").generation
    assert (found.prompt, found.settings["seed"], found.loras) == ("a (b) 'c'", 99, (Lora("ink", 0.5),))


def test_the_files_of_easy_diffusion_are_read():
    lines = "Prompt: a harbour\nWidth: 64\nHeight: 48\nSeed: 5\nSteps: 25\nGuidance Scale: 7.5\nSampler: euler_a\n"
    lines += "Negative Prompt: fog\nStable Diffusion model: tiny\nClip Skip: true\n"
    as_json = json.dumps(
        {"prompt": "a harbour", "negative_prompt": "fog", "seed": 5, "use_stable_diffusion_model": "tiny"}
    )
    for data, name in ((lines, "a.txt"), (as_json, "a.json")):
        found = read_sidecar(data.encode(), name, "a.jpeg").generation
        assert (found.tool, found.prompt, found.negative_prompt) == ("Easy Diffusion", "a harbour", "fog")
        assert {"seed": 5, "model": "tiny"}.items() <= found.settings.items()


def test_the_file_of_swarmui_is_read():
    data = json.dumps({"sui_image_params": {"prompt": "a cat", "seed": 1, "model": "tiny"}})
    assert read_sidecar(data.encode(), "a.swarm.json", "a.png").generation.prompt == "a cat"


def test_a_caption_for_training_is_no_generation():
    assert not read_sidecar(b"1girl, solo, harbour", "a.txt", "a.png").has_generation_data


def test_the_usual_names_come_first():
    assert sidecar_names("a.b.png")[:3] == ("a.b.txt", "a.b.json", "a.b.swarm.json")


@given(st.binary(max_size=200), st.sampled_from(["a.txt", "a.json", "log.html"]))
def test_any_bytes_give_an_answer(data, name):
    read_sidecar(data, name, "a.png")
    read_sidecar(b'<div id="a_png">' + data, name, "a.png")
