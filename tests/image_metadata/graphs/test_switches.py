"""Switches, and nodes that give many values on as one."""

import json

import pytest

from stablenew.image_metadata.graphs.outputs import read_outputs
from tests.image_metadata.graph_files import base_graph, node
from tests.image_metadata.tools.reading import read_texts


def only(**changes):
    (output,) = read_outputs(base_graph(**changes))
    return output


def sampler(**changes):
    return node("KSampler", **(base_graph()["3"]["inputs"] | changes))


def loaders(**switch):
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name="first.safetensors"),
        "14": node("CheckpointLoaderSimple", ckpt_name="second.safetensors"),
        "15": node(switch.pop("kind"), **switch),
        "3": sampler(model=["15", 0]),
    }


@pytest.mark.parametrize(
    "switch",
    [
        {"kind": "ComfySwitchNode", "switch": True, "on_false": ["4", 0], "on_true": ["14", 0]},
        {"kind": "ComfySwitchNode", "switch": ["16", 0], "on_false": ["4", 0], "on_true": ["14", 0]},
        {"kind": "ImpactSwitch", "select": 2, "input1": ["4", 0], "input2": ["14", 0]},
        {"kind": "ImpactConditionalBranch", "cond": True, "tt_value": ["14", 0], "ff_value": ["4", 0]},
        {"kind": "Any Switch (rgthree)", "any_02": ["14", 0], "any_03": ["4", 0]},
    ],
)
def test_a_switch_passes_on_the_model_that_it_chose(switch):
    output = only(**loaders(**switch), **{"16": node("PrimitiveBoolean", value=True)})
    assert output.settings["model"] == "second.safetensors"


def test_a_switch_whose_choice_a_run_makes_is_not_guessed():
    switch = {"kind": "ComfySwitchNode", "switch": ["16", 0], "on_false": ["4", 0], "on_true": ["14", 0]}
    assert "model" not in only(**loaders(**switch), **{"16": node("LogicNot", value=True)}).settings


def test_switches_in_a_circle_end():
    circle = {
        "4": node("Switch", switch=True, on_true=["5", 0]),
        "5": node("Switch", switch=True, on_true=["4", 0]),
    }
    assert "model" not in only(**circle, **{"3": sampler(model=["4", 0], latent_image=["5", 0])}).settings


def test_a_context_gives_on_the_seed_that_it_got():
    contexts = {
        "20": node("Seed (rgthree)", seed=77),
        "21": node("Context (rgthree)", model=["4", 0], seed=["20", 0]),
        "22": node("Context (rgthree)", base_ctx=["21", 0], positive=["6", 0], negative=["7", 0]),
        "23": node("Context Switch (rgthree)", ctx_02=["22", 0]),
        "3": sampler(seed=["23", 8], model=["23", 1], positive=["23", 4], negative=["23", 5]),
    }
    output = only(**contexts)
    assert (output.settings["seed"], output.settings["model"]) == (77, "tiny.safetensors")
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")


def rewritten(**changes):
    return base_graph(
        **{
            "6": node("CLIPTextEncode", text=["31", 0]),
            "30": node("PrimitiveStringMultiline", value="a boat"),
            "31": node("PreviewAny", source=["32", 0]),
            "32": node("ComfySwitchNode", switch=True, on_false=["30", 0], on_true=["33", 0]),
            "33": node("TextGenerate", prompt=["34", 0]),
            "34": node("StringConcatenate", string_a="You are an expert.", string_b=["30", 0], delimiter=""),
        }
        | changes
    )


def test_of_a_prompt_that_a_language_model_rewrote_the_draft_is_given_and_noted():
    found = read_texts({"prompt": json.dumps(rewritten())})
    assert found.prompt == "a boat"
    assert any("rewrote the prompt" in note for note in found.notes)


def test_a_language_models_text_without_a_draft_is_unknown():
    output = only(**rewritten(**{"6": node("CLIPTextEncode", text=["33", 0])}))
    assert output.prompt is None


@pytest.mark.parametrize(
    ("slots", "kind", "inputs"),
    [
        ((1, 2), "BrushNet", {"model": ["4", 0]}),
        ((0, 1), "ControlNetApplyAdvanced", {}),
    ],
)
def test_a_node_that_gives_on_the_model_first_has_its_conditionings_behind_it(slots, kind, inputs):
    output = only(
        **{
            "40": node(kind, positive=["6", 0], negative=["7", 0], **inputs),
            "3": sampler(positive=["40", slots[0]], negative=["40", slots[1]]),
        }
    )
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")


def test_pipes_give_both_roles_on():
    output = only(
        **{
            "40": node("ToBasicPipe", model=["4", 0], clip=["4", 1], positive=["6", 0], negative=["7", 0]),
            "41": node("EditBasicPipe", basic_pipe=["40", 0], positive=["42", 0]),
            "42": node("CLIPTextEncode", text="a boat"),
            "3": node("ImpactKSamplerBasicPipe", basic_pipe=["41", 0], seed=1, steps=2, cfg=3.0),
        }
    )
    assert (output.prompt, output.negative_prompt, output.settings["model"]) == ("a boat", "blurry", "tiny.safetensors")


def test_a_sampler_whose_texts_come_as_embeddings_is_read():
    nodes = {
        "1": node("WanVideoModelLoader", model="wan.gguf", lora=["2", 0]),
        "2": node("WanVideoLoraSelect", lora="quick.safetensors", strength=0.5),
        "3": node("WanVideoTextEncode", positive_prompt="waves", negative_prompt="fog", t5=["4", 0]),
        "4": node("LoadWanVideoT5TextEncoder", model_name="umt5.safetensors"),
        "5": node("WanVideoSampler", model=["1", 0], text_embeds=["3", 0], steps=6, cfg=1.0, seed=8, scheduler="unipc"),
        "6": node("WanVideoDecode", samples=["5", 0]),
        "7": node("VHS_VideoCombine", images=["6", 0]),
    }
    (output,) = read_outputs(nodes)
    assert (output.prompt, output.negative_prompt, output.settings["seed"]) == ("waves", "fog", 8)
    assert output.settings["model"] == "wan.gguf"
    assert [(lora.name, lora.weight) for lora in output.loras] == [("quick.safetensors", 0.5)]


def test_nodes_that_give_all_they_know_on_as_one_are_read():
    nodes = {
        "1": node("Prompts", main_prompt=["2", 0], negative_main_prompt="fog"),
        "2": node("TextInput", prompt="a harbour"),
        "3": node("Parameters", seed=5, steps=30, cfg=6.0, sampler_name="dpmpp_2m", scheduler="karras", data=["1", 0]),
        "4": node("ModelSelector", base_checkpoint="base.safetensors", data=["3", 0]),
        "5": node("MagicBox", stage="sampling", data=["4", 0]),
        "6": node("Shown", custom_output=["5", 1]),
        "7": node("SaveImage", images=["6", 0]),
    }
    (output,) = read_outputs(nodes)
    expected = {"seed": 5, "steps": 30, "cfg_scale": 6.0, "sampler": "DPM++ 2M", "model": "base.safetensors"}
    assert expected.items() <= dict(output.settings).items()
    assert (output.prompt, output.negative_prompt) == ("a harbour", "fog")


@pytest.mark.parametrize(
    ("inputs", "joined"),
    [
        ({"linebreak_addition": "false"}, "a boatat dawn"),
        ({"linebreak_addition": "true"}, "a boat\nat dawn"),
        ({"delimiter": "; "}, "a boat; at dawn"),
        ({}, "a boat, at dawn"),
    ],
)
def test_joined_texts_have_between_them_what_the_node_puts_there(inputs, joined):
    parts = {"text_a": "a boat", "text_b": "at dawn"}
    join = {"50": node("Text Concatenate", **inputs, **parts), "6": node("CLIPTextEncode", text=["50", 0])}
    assert only(**join).prompt == joined


def test_blank_texts_that_are_joined_are_an_empty_prompt():
    join = {
        "50": node("Text Concatenate", text_a="", text_b=" ", linebreak_addition="false"),
        "6": node("CLIPTextEncode", text=["50", 0]),
    }
    assert only(**join).prompt == ""


def test_a_context_gives_on_its_negative_prompt_too():
    contexts = {
        "22": node("Context (rgthree)", positive=["6", 0], negative=["7", 0]),
        "23": node("Context (rgthree)", base_ctx=["22", 0]),
        "3": sampler(positive=["23", 4], negative=["23", 5]),
    }
    output = only(**contexts)
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")


def test_a_stage_that_another_one_is_conditioned_on_is_the_base_pass():
    stages = {
        "30": node("StableCascade_StageB_Conditioning", conditioning=["6", 0], stage_c=["3", 0]),
        "31": sampler(seed=7, steps=10, positive=["30", 0], model=["32", 0]),
        "32": node("CheckpointLoaderSimple", ckpt_name="stage_b.safetensors"),
        "8": node("VAEDecode", samples=["31", 0]),
    }
    output = only(**stages)
    assert [sampling.node for sampling in output.passes] == ["3", "31"]
    assert (output.settings["seed"], output.settings["model"]) == (42, "tiny.safetensors")


def test_samplers_of_the_first_comfyui_have_the_names_of_today():
    assert only(**{"3": sampler(sampler_name="sample_dpmpp_2m")}).settings["sampler"] == "DPM++ 2M"


@pytest.mark.parametrize("name", ["Baked VAE", "baked VAE", ".use_ckpt_vae"])
def test_the_vae_of_the_checkpoint_is_none_of_its_own(name):
    loader = {"60": node("Loader", vae_name=name), "8": node("VAEDecode", samples=["3", 0], vae=["60", 0])}
    output = only(**loader)
    assert "vae" not in output.settings
    assert str(output.places["vae"]) == "60.vae_name"
