"""Graphs of InvokeAI: built for a model, read, filled in; and what an item of its queue says."""

from datetime import UTC, datetime

import pytest

from stablenew.engines.invokeai.graph import (
    SAMPLING_NAMES,
    build_graph,
    find_places,
    read_graph,
    read_sampling,
    read_value,
    sampling_values,
    with_values,
)
from stablenew.engines.invokeai.items import describe_failure, image_names, times_of
from stablenew.errors import ConfigError, EngineError

MODEL = {"key": "k-1", "hash": "blake3:1", "name": "dreamshaper-8", "base": "sd-1", "type": "main"}
SD1 = build_graph(MODEL | {"path": "m"})
SDXL = build_graph({"key": "k-2", "name": "juggernaut-xl", "base": "sdxl", "type": "main"})


def links(graph):
    return {" ".join((*edge["source"].values(), *edge["destination"].values())) for edge in graph["edges"]}


def test_a_graph_goes_from_text_and_noise_to_an_image():
    assert links(SD1) == {
        "model clip positive clip", "model clip negative clip", "positive conditioning denoise positive_conditioning",
        "negative conditioning denoise negative_conditioning", "model unet denoise unet", "noise noise denoise noise",
        "denoise latents image latents", "model vae image vae",
    }  # fmt: skip
    assert SD1["nodes"]["model"] == {"id": "model", "type": "main_model_loader", "model": MODEL}


def test_sdxl_has_two_text_encoders():
    assert links(SDXL) - links(SD1) == {"model clip2 positive clip2", "model clip2 negative clip2"}
    assert SDXL["nodes"]["positive"]["type"] == "sdxl_compel_prompt"


@pytest.mark.parametrize("model", [{"base": "flux"}, {}])
def test_for_other_models_a_graph_of_ones_own_is_asked_for(model):
    with pytest.raises(EngineError, match=r"only for sd-1, sd-2, sdxl; give one of your own: txt2img.extra.graph=FILE"):
        build_graph(model)


@pytest.mark.parametrize(("graph", "texts"), [(SD1, ["prompt"]), (SDXL, ["prompt", "style"])])
def test_every_setting_has_its_place(graph, texts):
    assert find_places(graph) == {
        "steps": [("denoise", "steps")], "cfg_scale": [("denoise", "cfg_scale")],
        "scheduler": [("denoise", "scheduler")], "seed": [("noise", "seed")], "width": [("noise", "width")],
        "height": [("noise", "height")], "prompt": [("positive", field) for field in texts],
        "negative_prompt": [("negative", field) for field in texts],
    }  # fmt: skip


def edge(source, out, destination, into):
    return {"source": {"node_id": source, "field": out}, "destination": {"node_id": destination, "field": into}}


def test_an_input_that_an_edge_feeds_is_no_place():
    fed = {**SD1, "edges": [*SD1["edges"], edge("number", "value", "noise", "seed")]}
    assert "seed" not in find_places(fed)
    assert "width" in find_places(fed)


def test_of_classes_that_are_not_known_only_fields_that_stand_there_are_places():
    graph = {
        "nodes": {
            "d": {"type": "flux_denoise", "steps": 4, "seed": 1},
            "b": {"type": "blank_image", "width": 32},
            "i": {"type": "img_noise", "seed": 3},
        },
        "edges": [],
    }
    assert find_places(graph) == {"steps": [("d", "steps")], "width": [("b", "width")], "seed": [("i", "seed")]}


def test_values_go_to_all_their_places_and_the_graph_stays_as_it_was():
    places = find_places(SDXL)
    filled = with_values(SDXL, places, {"prompt": "a pier", "seed": 5, "nothing": 1})
    assert filled["nodes"]["positive"] | {"prompt": "a pier", "style": "a pier"} == filled["nodes"]["positive"]
    assert read_value(filled, places, "seed") == 5
    assert (read_value(SDXL, places, "seed"), read_value(SDXL, places, "nothing")) == (None, None)


@pytest.mark.parametrize(
    ("asked", "theirs"),
    [
        ({"sampler": "DPM++ 2M", "scheduler": "Karras"}, "dpmpp_2m_k"), ({"sampler": "DPM++ 2M"}, "dpmpp_2m"),
        ({"sampler": "Euler a", "scheduler": "Karras"}, "euler_a"), ({"sampler": "dpmpp_2m"}, "dpmpp_2m"),
        ({"sampler": "EulerDiscreteScheduler", "scheduler": "karras"}, "euler_k"), ({"sampler": "kdpm_2"}, "kdpm_2"),
        ({"sampler": "DPM++ 2M Karras"}, "dpmpp_2m_k"), ({"sampler": "Euler Normal"}, "euler"),
        ({"sampler": "DPM++ 2M Karras", "scheduler": "Normal"}, "dpmpp_2m"), ({"scheduler": "Karras"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_samplers_are_asked_for_by_any_of_their_names(asked, theirs):
    assert sampling_values(asked) == ({} if theirs is None else {"scheduler": theirs})


@pytest.mark.parametrize("sampler", ["DPM fast", "Restart", "euler_k"])
def test_a_sampler_that_is_not_there_names_those_that_are(sampler):
    with pytest.raises(EngineError, match=f"InvokeAI has no sampler '{sampler}'; it has Euler, Euler a, Heun"):
        sampling_values({"sampler": sampler})


@pytest.mark.parametrize("sampler", SAMPLING_NAMES["samplers"])
def test_what_ran_has_the_name_that_was_asked_for(sampler):
    places = find_places(SD1)
    graph = with_values(SD1, places, sampling_values({"sampler": sampler, "scheduler": "Normal"}))
    assert read_sampling(graph, places) == {"sampler": sampler, "scheduler": "Normal"}


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        ("euler_k", {"sampler": "Euler", "scheduler": "Karras"}), ("tcd", {"sampler": "tcd", "scheduler": "Normal"}),
        (None, {}),
    ],
)  # fmt: skip
def test_sampler_and_noise_schedule_are_read_apart(theirs, found):
    places = find_places(SD1)
    assert read_sampling(with_values(SD1, places, {"scheduler": theirs}), places) == found


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"nodes": []}', '{"nodes": {"a": 1}}', '{"nodes": {"a": {"id": "a"}}}']
)
def test_what_is_no_graph_says_what_was_expected(text):
    with pytest.raises(ConfigError, match=r"^portrait.json: expected a graph of InvokeAI"):
        read_graph(text, "portrait.json")


@pytest.mark.parametrize("edges", ["", ', "edges": null', ', "edges": []'])
def test_a_graph_without_edges_has_none(edges):
    assert read_graph(f'{{"nodes": {{"a": {{"type": "noise"}}}}{edges}}}', "x")["edges"] == []


def result(name):
    return {"type": "image_output", "image": {"image_name": name}}


def item(*results, intermediate=()):
    """An ended item whose nodes made these results; those of `intermediate` nodes were on the way."""
    places = range(len(results))
    return {
        "session": {
            "results": {f"r{place}": results[place] for place in places},
            "prepared_source_mapping": {f"r{place}": f"n{place}" for place in places},
            "graph": {"nodes": {f"n{place}": {"is_intermediate": place in intermediate} for place in places}},
        }
    }


@pytest.mark.parametrize(
    ("ended", "names"),
    [
        (item(result("a.png"), result("b.png")), ["a.png", "b.png"]),
        (item(result("a.png"), result("b.png"), intermediate=[0]), ["b.png"]),
        (item(result("a.png"), result("b.png"), intermediate=[0, 1]), ["b.png"]),
        (item(result("a.png"), result("a.png")), ["a.png"]),
        (item({"type": "latents_output"}, None, {"image": "a.png"}, result("c.png")), ["c.png"]),
        (item(), []),
        ({"session": None}, []),
        ({"session": {"results": {"x": result("a.png")}}}, ["a.png"]),
        ({}, []),
    ],
)
def test_the_images_of_an_item_are_those_it_keeps_or_else_the_last(ended, names):
    assert image_names(ended) == names


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        ({"error_type": "OutOfMemoryError", "error_message": "CUDA"}, "OutOfMemoryError: CUDA"),
        ({"error_type": None, "error_message": None}, "error: its window says why"),
    ],
)
def test_a_failure_is_told_in_the_words_of_the_program(failed, words):
    assert describe_failure(failed) == words


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-28 13:00:01.250", datetime(2026, 11, 28, 13, 0, 1, 250_000, UTC)),
        ("2026-11-28T15:00:01+02:00", datetime(2026, 11, 28, 13, 0, 1, tzinfo=UTC)),
        ("soon", None),
        (None, None),
    ],
)
def test_times_without_an_offset_are_utc(text, moment):
    assert times_of({"started_at": text, "completed_at": text}) == (moment, moment)
    assert times_of({}) == (None, None)
