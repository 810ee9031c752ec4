"""What the output nodes of a graph show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.graphs.graph import Graph, find_nodes
from stablenew.image_metadata.graphs.outputs import read_outputs
from stablenew.image_metadata.metadata import InputImage, Lora
from tests.image_metadata.graph_files import base_graph, node


def only(nodes):
    (output,) = read_outputs(find_nodes(nodes))
    return output


def changed(key, **inputs):
    graph = base_graph()
    graph[key]["inputs"] |= inputs
    return graph


def test_a_plain_graph_gives_all_its_settings_and_where_they_stand():
    output = only(base_graph())
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")
    assert dict(output.settings) == {
        "model": "tiny.safetensors",
        "sampler": "Euler a",
        "scheduler": "Karras",
        "steps": 20,
        "cfg_scale": 7.0,
        "seed": 42,
        "width": 64,
        "height": 48,
        "denoising_strength": 1.0,
        "batch_size": 1,
    }
    assert {name: str(place) for name, place in output.places.items()} == {
        "model": "4.ckpt_name",
        "sampler": "3.sampler_name",
        "scheduler": "3.scheduler",
        "steps": "3.steps",
        "cfg_scale": "3.cfg",
        "seed": "3.seed",
        "width": "5.width",
        "height": "5.height",
        "denoising_strength": "3.denoise",
        "batch_size": "5.batch_size",
        "prompt": "6.text",
        "negative_prompt": "7.text",
    }
    assert (output.node, output.class_type, output.filename_prefix) == ("9", "SaveImage", "ComfyUI")


def test_an_empty_prompt_is_said_to_be_empty_and_has_its_place():
    output = only(changed("6", text=""))
    assert output.prompt == ""
    assert str(output.places["prompt"]) == "6.text"


def test_values_behind_links_are_found_as_numbers_or_as_text():
    graph = changed("3", seed=["20", 0], steps=["21", 0], cfg=["22", 0])
    graph |= {
        "20": node("Seed (rgthree)", seed=7),
        "21": node("PrimitiveString", value="30"),
        "22": node("Reroute", input=["23", 0]),
        "23": node("PrimitiveFloat", value=3.5),
    }
    output = only(graph)
    assert [output.settings[name] for name in ("seed", "steps", "cfg_scale")] == [7, 30, 3.5]
    assert str(output.places["cfg_scale"]) == "23.value"


TEXTS = {
    "concatenated": (
        {
            "30": node("StringConcatenate", string_a="a", string_b=["31", 0], delimiter=" - "),
            "31": node("S", value="b"),
        },
        "a - b",
    ),
    "joined": (
        {
            "30": node("Text Concatenate", text_a=["31", 0], text_b="b", delimiter=", "),
            "31": node("Text Multiline", text="a"),
        },
        "a, b",
    ),
    "replaced": ({"30": node("StringReplace", string="a CITY", find="CITY", replace="harbour")}, "a harbour"),
    "trimmed": ({"30": node("StringTrim", string="  a  ", mode="Both")}, "a"),
    "switched": ({"30": node("Text Input Switch", select=2, text1="a", text2="b")}, "b"),
    "wildcards": ({"30": node("ImpactWildcardProcessor", wildcard_text="__a__", populated_text="cat")}, "cat"),
    "shown": ({"30": node("ShowText|pysssss", text=["31", 0], text_0="old"), "31": node("S", string="new")}, "new"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_nodes_put_together_is_put_together(name):
    nodes, expected = TEXTS[name]
    output = only(changed("6", text=["30", 0]) | nodes)
    assert output.prompt == expected


@pytest.mark.parametrize("kind", ["RegexExtract", "Florence2Run", "OllamaGenerate", "RandomPrompt"])
def test_text_that_only_its_node_knows_is_unknown(kind):
    output = only(changed("6", text=["30", 0]) | {"30": node(kind, string="write a prompt")})
    assert output.prompt is None
    assert output.negative_prompt == "blurry"


def test_conditionings_are_followed_through_what_changes_them():
    graph = changed("3", positive=["40", 0], negative=["40", 1])
    graph |= {
        "40": node("ControlNetApplyAdvanced", positive=["41", 0], negative=["7", 0], strength=1.0),
        "41": node("FluxGuidance", guidance=3.5, conditioning=["42", 0]),
        "42": node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["43", 0]),
        "43": node("GLIGENTextBoxApply", text="sun", conditioning_to=["44", 0]),
        "44": node("CLIPTextEncode", text="at dawn", clip=["4", 1]),
    }
    output = only(graph)
    assert output.prompt == "a quiet harbour\nat dawn"
    assert output.negative_prompt == "blurry"
    assert output.settings["distilled_cfg_scale"] == 3.5


def test_a_negative_made_from_the_positive_is_no_negative_prompt():
    graph = changed("3", negative=["50", 0]) | {"50": node("ConditioningZeroOut", conditioning=["6", 0])}
    assert only(graph).negative_prompt is None
    assert only(changed("3", negative=["6", 0])).negative_prompt is None


def test_a_sampler_whose_settings_lie_in_nodes_of_their_own_is_read():
    graph = base_graph(
        **{
            "3": node(
                "SamplerCustomAdvanced",
                noise=["10", 0],
                guider=["11", 0],
                sampler=["12", 0],
                sigmas=["13", 0],
                latent_image=["5", 0],
            ),
            "10": node("RandomNoise", noise_seed=9),
            "11": node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=4.0),
            "12": node("KSamplerSelect", sampler_name="dpmpp_2m"),
            "13": node("BasicScheduler", model=["4", 0], scheduler="simple", steps=8, denoise=1.0),
        }
    )
    output = only(graph)
    expected = {
        "seed": 9,
        "cfg_scale": 4.0,
        "sampler": "DPM++ 2M",
        "scheduler": "Simple",
        "steps": 8,
        "model": "tiny.safetensors",
    }
    assert expected.items() <= dict(output.settings).items()
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")


def test_a_guider_of_two_conditionings_has_the_first_as_its_prompt():
    graph = base_graph(
        **{
            "3": node(
                "SamplerCustom", model=["4", 0], guider=["11", 0], noise_seed=1, sigmas=["13", 0], latent_image=["5", 0]
            ),
            "11": node(
                "DualCFGGuider", model=["4", 0], cond1=["6", 0], cond2=["7", 0], negative=["7", 0], cfg_conds=5.0
            ),
            "13": node("KarrasScheduler", steps=8),
        }
    )
    output = only(graph)
    assert (output.prompt, output.negative_prompt) == ("a quiet harbour", "blurry")
    assert (output.settings["cfg_scale"], output.settings["scheduler"]) == (5.0, "Karras")


def two_passes():
    return base_graph(
        **{
            "10": node("LatentUpscale", samples=["3", 0], width=128, height=96),
            "11": node(
                "KSampler",
                seed=43,
                steps=10,
                cfg=5.0,
                sampler_name="euler",
                scheduler="simple",
                denoise=0.4,
                model=["4", 0],
                positive=["12", 0],
                negative=["7", 0],
                latent_image=["10", 0],
            ),
            "12": node("CLIPTextEncode", text="much detail", clip=["4", 1]),
            "8": node("VAEDecode", samples=["11", 0], vae=["4", 2]),
        }
    )


def test_of_two_passes_the_base_gives_the_settings_and_both_are_kept():
    output = only(two_passes())
    assert [sampling.node for sampling in output.passes] == ["3", "11"]
    assert [sampling.settings["seed"] for sampling in output.passes] == [42, 43]
    assert output.passes[1].prompt == "much detail"
    assert (output.prompt, output.settings["seed"], output.settings["width"]) == ("a quiet harbour", 42, 64)
    assert output.settings["denoising_strength"] == 0.4


def test_each_output_has_its_own_origin_and_what_saves_comes_first():
    graph = two_passes() | {
        "13": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "14": node("PreviewImage", images=["13", 0]),
    }
    first, second = read_outputs(find_nodes(graph))
    assert (first.node, first.is_preview, len(first.passes)) == ("9", False, 2)
    assert (second.node, second.is_preview, len(second.passes)) == ("14", True, 1)


def test_only_loras_that_are_connected_took_part():
    graph = changed("3", model=["20", 0]) | {
        "20": node("LoraLoader", lora_name="used.safetensors", strength_model=0.7, model=["21", 0], clip=["4", 1]),
        "21": node(
            "Power Lora Loader (rgthree)",
            model=["22", 0],
            lora_1={"on": True, "lora": "row.safetensors", "strength": 0.5},
            lora_2={"on": False, "lora": "off.safetensors", "strength": 1},
        ),
        "22": node("CR Apply LoRA Stack", model=["4", 0], lora_stack=["23", 0]),
        "23": node(
            "CR LoRA Stack",
            switch_1="On",
            lora_name_1="stacked.safetensors",
            model_weight_1=0.3,
            switch_2="Off",
            lora_name_2="switched off.safetensors",
            model_weight_2=1.0,
        ),
        "24": node("LoraLoader", lora_name="dangling.safetensors", strength_model=1.0, model=["4", 0], clip=["4", 1]),
    }
    output = next(output for output in read_outputs(find_nodes(graph)) if output.node == "9")
    assert set(output.loras) == {
        Lora("stacked.safetensors", 0.3),
        Lora("row.safetensors", 0.5),
        Lora("used.safetensors", 0.7),
    }
    assert output.settings["model"] == "tiny.safetensors"


def test_vae_and_clip_skip_are_those_on_the_way():
    graph = changed("6", clip=["30", 0])
    graph["8"]["inputs"]["vae"] = ["31", 0]
    graph |= {
        "30": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["4", 1]),
        "31": node("VAELoader", vae_name="v.pt"),
    }
    output = only(graph)
    assert (output.settings["clip_skip"], output.settings["vae"]) == (2, "v.pt")


def test_images_it_was_made_from_are_named_with_their_role():
    graph = changed("3", latent_image=["20", 0], positive=["22", 0], denoise=0.5) | {
        "20": node("VAEEncode", pixels=["21", 0], vae=["4", 2]),
        "21": node("LoadImage", image="sketch.png") | {"is_changed": ["ab" * 32]},
        "22": node("unCLIPConditioning", conditioning=["6", 0], clip_vision_output=["23", 0]),
        "23": node("CLIPVisionEncode", image=["24", 0]),
        "24": node("LoadImage", image="style.png"),
    }
    output = only(graph)
    assert set(output.input_images) == {
        InputImage("sketch.png", "init", "ab" * 32),
        InputImage("style.png", "reference"),
    }
    assert "width" not in output.settings
    assert output.settings["denoising_strength"] == 0.5


def test_a_preprocessor_with_a_sampler_of_its_own_is_not_the_base_pass():
    graph = changed("3", positive=["40", 0]) | {
        "40": node("ControlNetApply", conditioning=["6", 0], image=["41", 0], strength=1.0),
        "41": node("VAEDecode", samples=["42", 0], vae=["4", 2]),
        "42": node("SamplerCustomAdvanced", guider=["43", 0], sigmas=["44", 0], latent_image=["5", 0]),
        "43": node("BasicGuider", model=["45", 0], conditioning=["6", 0]),
        "44": node("BasicScheduler", steps=1, scheduler="normal"),
        "45": node("UNETLoader", unet_name="depth.safetensors"),
    }
    output = only(graph)
    assert (output.settings["model"], output.settings["steps"], output.prompt) == (
        "tiny.safetensors",
        20,
        "a quiet harbour",
    )


def test_an_image_of_a_service_has_the_prompt_of_its_node():
    output = only(
        {"1": node("FluxProUltraImageNode", prompt="a harbour", seed=5), "2": node("SaveImage", images=["1", 0])}
    )
    assert (output.prompt, output.settings["seed"], output.settings["model"]) == (
        "a harbour",
        5,
        "FluxProUltraImageNode",
    )


def test_an_image_that_was_only_loaded_is_passed_on():
    output = only({"1": node("LoadImage", image="a.png"), "2": node("PreviewImage", images=["1", 0])})
    assert output.is_passed_on
    assert not output.is_generated


def test_a_video_is_an_output_too():
    graph = base_graph(
        **{
            "9": None,
            "10": node("CreateVideo", images=["8", 0], fps=24),
            "11": node("SaveVideo", video=["10", 0], filename_prefix="video"),
            "12": node("PreviewImage", images=["13", 0]),
            "13": node("LoadImage", image="control.png"),
        }
    )
    assert only(graph).node == "11"


@pytest.mark.heavy
def test_graphs_in_circles_and_of_any_size_end():
    ring = {
        str(key): node(
            "KSampler", latent_image=[str((key + 1) % 4_900), 0], positive=[str((key + 7) % 4_900), 0], seed=1
        )
        for key in range(4_900)
    }
    ring["save"] = node("SaveImage", images=["0", 0])
    read_outputs(find_nodes(ring))
    ends = {str(key): node("SaveImage", images=["x", 0]) for key in range(4_900)} | {"x": node("KSampler", seed=1)}
    assert len(read_outputs(find_nodes(ends))) <= 32


def test_what_is_no_graph_is_none():
    for value in (None, [], {}, {"1": 2}, {"1": {"class_type": "A"}}, {"1": {"inputs": {}, "class_type": 3}}):
        assert find_nodes(value) is None


links = st.lists(st.sampled_from(["1", "2", "3", "4", 0, 1, 2]), max_size=3)
inputs = st.dictionaries(
    st.sampled_from(
        [
            "text",
            "positive",
            "negative",
            "seed",
            "steps",
            "model",
            "images",
            "latent_image",
            "conditioning",
            "lora_name",
            "image",
            "width",
            "height",
            "sigmas",
            "guider",
            "clip",
            "vae",
        ]
    ),
    st.one_of(
        links,
        st.text(max_size=3),
        st.integers(),
        st.floats(),
        st.none(),
        st.dictionaries(st.text(max_size=2), st.none()),
    ),
    max_size=8,
)
kinds = st.sampled_from(
    ["KSampler", "SaveImage", "LoraLoader", "Text Concatenate", "Switch", "StringReplace", "LoadImage", ""]
)


@pytest.mark.heavy
@given(
    st.dictionaries(
        st.sampled_from("1234"), st.builds(lambda kind, given: {"class_type": kind, "inputs": given}, kinds, inputs)
    )
)
def test_any_graph_gives_an_answer(nodes):
    found = find_nodes(nodes)
    if found:
        assert len(read_outputs(found)) <= len(nodes)
        assert set(Graph(found).walk(["1"] if "1" in found else [], lambda _: True)) <= found.keys()


@pytest.mark.heavy
def test_a_graph_that_is_too_large_says_that_it_was_not_read_whole():
    large = {str(key): node("Mix", **{f"image_{n}": [str(key + n), 0] for n in range(1, 60)}) for key in range(4_900)}
    large["save"] = node("SaveImage", images=["0", 0])
    assert not read_outputs(find_nodes(large))[0].is_complete
    assert only(base_graph()).is_complete


def test_texts_that_are_joined_with_themselves_again_and_again_stay_small():
    graph = changed("6", text=["t0", 0])
    for number in range(22):
        twice = [f"t{number + 1}", 0]
        graph[f"t{number}"] = node("Text Concatenate", text_a=twice, text_b=twice, delimiter=",")
    graph["t22"] = node("Text Multiline", text="x" * 1000)
    assert only(graph).prompt is None


def test_a_text_that_leads_back_to_itself_ends():
    graph = changed("6", text=["20", 0])
    graph["20"] = node("Text Concatenate", text_a=["21", 0], text_b="end", delimiter=", ")
    graph["21"] = node("Text Concatenate", text_a="begin", text_b=["20", 0], delimiter=", ")
    assert only(graph).prompt == "begin, end"
