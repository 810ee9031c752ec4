"""The samplers that an image went through, and their settings wherever these stand."""

import pytest

from stablenew.image_metadata.graphs.graph import Graph
from stablenew.image_metadata.graphs.node_inputs import setting_of_class, to_node_value
from stablenew.image_metadata.graphs.sampling import Samplers
from stablenew.image_metadata.graphs.values import Values
from tests.image_metadata.graph_files import base_graph, node


def samplers(**nodes):
    graph = Graph(base_graph(**{name.removeprefix("n"): value for name, value in nodes.items()}))
    return Samplers(graph, Values(graph))


def settings(key="3", **nodes):
    return {name: found.value for name, found in samplers(**nodes).settings_of(key).items()}


def second_pass(latent):
    return node("KSampler", seed=7, steps=9, positive=["6", 0], negative=["7", 0], model=["4", 0], latent_image=latent)


def test_a_plain_image_went_through_one_sampler_with_its_settings():
    assert samplers().passes_to("9") == ["3"]
    assert samplers().image_path("9") == ["8", "3", "5"]
    assert settings() == {
        "seed": 42, "steps": 20, "cfg_scale": 7.0, "sampler": "euler_ancestral", "scheduler": "karras",
        "denoising_strength": 1.0,
    }  # fmt: skip


def test_the_first_pass_stands_first():
    nodes = {"a": node("LatentUpscale", samples=["3", 0]), "b": second_pass(["a", 0])}
    assert samplers(n8=node("VAEDecode", samples=["b", 0], vae=["4", 2]), **nodes).passes_to("9") == ["3", "b"]
    assert settings("b", **nodes)["steps"] == 9


def test_of_samplers_side_by_side_the_one_that_goes_on_from_the_other_is_the_last():
    nodes = {"b": second_pass(["3", 0]), "c": node("ImageBatch", image1=["8", 0], image2=["d", 0])}
    nodes |= {"d": node("VAEDecode", samples=["b", 0]), "n9": node("SaveImage", images=["c", 0])}
    assert samplers(**nodes).passes_to("9") == ["3", "b"]


def test_an_image_that_was_only_loaded_went_through_none():
    assert samplers(n9=node("SaveImage", images=["l", 0]), l=node("LoadImage", image="a.png")).passes_to("9") == []


def test_samplers_that_lead_back_to_themselves_end():
    assert samplers(n3=second_pass(["8", 0])).passes_to("9") == ["3"]


def test_a_node_that_saves_what_it_samples_is_its_own_sampler():
    assert samplers(s=second_pass(["5", 0])).passes_to("s") == ["s"]


def test_what_an_earlier_stage_of_cascade_sampled_comes_as_a_conditioning():
    stage_b = node("StableCascade_StageB_Conditioning", conditioning=["6", 0], stage_c=["3", 0])
    last = node("KSampler", seed=1, steps=10, positive=["c", 0], negative=["7", 0], latent_image=["5", 0])
    nodes = {"c": stage_b, "b": last, "n8": node("VAEDecode", samples=["b", 0], vae=["4", 2])}
    assert samplers(**nodes).passes_to("9") == ["3", "b"]


def test_settings_of_a_sampler_may_stand_at_the_nodes_that_carry_them():
    parts = {
        "n3": node(
            "SamplerCustomAdvanced", noise=["n", 0], guider=["g", 0], sampler=["k", 0], sigmas=["s", 0],
            latent_image=["5", 0],
        ),
        "nn": node("RandomNoise", noise_seed=42),
        "g": node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=3.5),
        "k": node("KSamplerSelect", sampler_name="euler"),
        "s": node("BasicScheduler", model=["4", 0], scheduler="beta", steps=20, denoise=0.8),
    }  # fmt: skip
    assert settings(**parts) == {
        "seed": 42, "cfg_scale": 3.5, "sampler": "euler", "scheduler": "beta", "steps": 20, "denoising_strength": 0.8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("carrier", "found"),
    [
        ("KarrasScheduler", {"scheduler": "Karras"}),
        ("AlignYourStepsScheduler", {"scheduler": "Align Your Steps"}),
        ("BasicScheduler", {}),
        ("SamplerEulerAncestral", {"sampler": "eulerancestral"}),
    ],
)
def test_the_class_of_a_carrier_may_be_a_setting(carrier, found):
    custom = node("SamplerCustom", noise_seed=1, positive=["6", 0], negative=["7", 0], sigmas=["s", 0])
    known = settings(n3=custom, s=node(carrier, steps=20))
    assert {name: known[name] for name in known if name in ("sampler", "scheduler")} == found


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("KarrasScheduler", ("scheduler", "Karras")),
        ("GITSScheduler", ("scheduler", "GITS")),
        ("BasicScheduler", None),
        ("SamplerDPMPP_2M_SDE", ("sampler", "dpmpp_2m_sde")),
        ("Sampler_", ("sampler", "Sampler_")),
        ("SamplerCustom", None),
        ("KSampler", None),
    ],
)
def test_a_class_is_a_setting_by_its_name(kind, setting):
    assert setting_of_class(kind) == setting


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("sampler", "Euler a", "euler_ancestral"),
        ("scheduler", "Karras", "karras"),
        ("clip_skip", 2, -2),
        ("clip_skip", -2, -2),
        ("clip_skip", 0, 0),
        ("sampler", None, None),
        ("sampler", "", ""),
        ("steps", 20, 20),
    ],
)
def test_a_setting_is_written_as_nodes_take_it(name, value, written):
    assert to_node_value(name, value) == written
