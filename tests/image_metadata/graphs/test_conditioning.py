"""The texts behind a conditioning, through whatever changes it on the way."""

import pytest

from stablenew.image_metadata.graphs.conditioning import Conditionings, join_texts
from stablenew.image_metadata.graphs.graph import Graph, Place
from stablenew.image_metadata.graphs.values import Found, Values
from tests.image_metadata.graph_files import base_graph, node


def conditionings(**nodes):
    """Texts of the usual graph with other nodes in it; `n` before a number is left out: `n3` is the sampler."""
    graph = Graph(base_graph(**{name.removeprefix("n"): value for name, value in nodes.items()}))
    return Conditionings(graph, Values(graph))


def texts(role="positive", sampler="3", **nodes):
    return [found.value for found in conditionings(**nodes).texts_of(sampler, role)]


def sampler(**inputs):
    return node("KSampler", seed=1, steps=2, model=["4", 0], latent_image=["5", 0], **inputs)


def encode(text):
    return node("CLIPTextEncode", text=text, clip=["4", 1])


def test_each_role_has_its_own_text_and_the_place_where_it_stands():
    assert (texts(), texts("negative")) == (["a quiet harbour"], ["blurry"])
    assert conditionings().texts_of("3", "positive") == [Found("a quiet harbour", Place("6", "text"))]
    assert conditionings().encoders_of("3") == ["6"]


@pytest.mark.parametrize(
    ("between", "found"),
    [
        (node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["a", 0]), ["a quiet harbour", "dawn"]),
        (node("ConditioningSetArea", conditioning=["6", 0], label="left"), ["a quiet harbour"]),
        (node("FluxGuidance", conditioning=["6", 0], guidance=3.5), ["a quiet harbour"]),
        (node("ConditioningZeroOut", conditioning=["6", 0]), []),
        (
            node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["a", 0]),
            ["a quiet harbour"],
        ),
        (node("Unheard of", something=["6", 0], image=["7", 0]), ["a quiet harbour"]),
        (node("Unheard of", positive=["6", 0], other=["7", 0]), ["a quiet harbour"]),
        (node("CLIPTextEncodeSDXL", text_g="global", text_l="local", clip=["4", 1]), ["global", "local"]),
        (node("CLIPTextEncodeSDXL", text_g="same", text_l="same "), ["same"]),
        (node("CLIPTextEncodeFlux", clip_l="tags", t5xxl="a sentence"), ["tags", "a sentence"]),
        (node("ImpactWildcardEncode", wildcard_text="{red|blue}", populated_text="red"), ["red"]),
        (node("CLIPTextEncode", text=["b", 0]), ["a long way"]),
        (node("ConditioningCombine", conditioning_1=["m", 0], conditioning_2=["6", 0]), ["a quiet harbour"]),
    ],
)
def test_a_text_is_found_through_what_changes_its_conditioning(between, found):
    others = {"a": encode("dawn"), "b": node("Text", text="a long way")}
    assert texts(n3=sampler(positive=["m", 0], negative=["7", 0]), m=between, **others) == found


@pytest.mark.parametrize(
    ("slot", "names", "found"),
    [
        (0, None, "a quiet harbour"),
        (1, None, "blurry"),
        (0, ["negative", "positive"], "blurry"),
        (2, None, "a quiet harbour"),
    ],
)
def test_a_node_with_both_gives_the_one_of_its_output(slot, names, found):
    both = node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0]) | ({"outputs": names} if names else {})
    assert texts(n3=sampler(positive=["m", slot], negative=["7", 0]), m=both) == [found]


def test_a_node_that_passes_its_model_on_counts_its_outputs_from_there():
    both = node("IPAdapter", model=["4", 0], positive=["6", 0], negative=["7", 0])
    assert texts("negative", n3=sampler(positive=["m", 1], negative=["m", 2]), m=both) == ["blurry"]
    assert texts(n3=sampler(positive=["m", 1], negative=["m", 2]), m=both) == ["a quiet harbour"]


def test_a_loader_that_encodes_its_own_texts_gives_them_by_role():
    loader = node("Efficient Loader", ckpt_name="tiny", positive="good", negative="bad")
    nodes = {"n3": sampler(positive=["m", 1], negative=["m", 2]), "m": loader}
    assert (texts(**nodes), texts("negative", **nodes)) == (["good"], ["bad"])


def test_a_pipe_and_a_guider_bring_their_texts_along():
    pipe = node("ToBasicPipe", model=["4", 0], positive=["6", 0], negative=["7", 0])
    assert texts("negative", n3=sampler(basic_pipe=["m", 0]), m=pipe) == ["blurry"]
    guider = node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=7)
    assert texts(n3=sampler(guider=["m", 0]), m=guider) == ["a quiet harbour"]
    basic = node("BasicGuider", model=["4", 0], conditioning=["6", 0])
    assert (texts(n3=sampler(guider=["m", 0]), m=basic), texts("negative", n3=sampler(guider=["m", 0]), m=basic)) == (
        ["a quiet harbour"],
        [],
    )


def test_words_at_the_sampler_itself_are_its_text():
    assert texts(n3=sampler(positive_prompt="mine", negative_prompt="not")) == ["mine"]
    assert texts("negative", n3=sampler(positive_prompt="mine", neg_negative="not")) == ["not"]


def test_a_blank_text_is_given_where_there_is_no_other():
    assert texts("negative", n7=encode("")) == [""]
    combined = node("ConditioningCombine", conditioning_1=["7", 0], conditioning_2=["6", 0])
    assert texts(n3=sampler(positive=["m", 0], negative=["7", 0]), m=combined, n7=encode(" ")) == ["a quiet harbour"]


def test_every_place_of_a_text_is_known_although_it_is_given_once():
    same = {"n6": encode("same"), "a": encode("same")}
    combined = node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["a", 0])
    found = conditionings(n3=sampler(positive=["m", 0], negative=["7", 0]), m=combined, **same)
    assert [text.place.node for text in found.all_texts_of("3", "positive")] == ["6", "a"]
    assert [text.place.node for text in found.texts_of("3", "positive")] == ["6"]


def test_conditionings_that_lead_back_to_themselves_end():
    circle = node("ConditioningCombine", conditioning_1=["m", 0], conditioning_2=["6", 0])
    assert texts(n3=sampler(positive=["m", 0], negative=["m", 0]), m=circle) == ["a quiet harbour"]


def test_several_texts_are_joined_by_lines_and_none_is_nothing():
    assert join_texts([Found("a", None), Found(5, None)]) == "a\n5"
    assert join_texts([]) is None
