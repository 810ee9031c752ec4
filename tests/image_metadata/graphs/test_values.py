"""What an input comes to: a literal behind links, a text that nodes put together, or nothing that could be known."""

import pytest

from stablenew.image_metadata.graphs.graph import Graph, Place
from stablenew.image_metadata.graphs.values import Found, Values, iter_distinct
from tests.image_metadata.graph_files import node

PARAMETERS = "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Model: tiny"


def values(**nodes):
    return Values(Graph(nodes))


def text(maker, **others):
    """The text of an encoder behind the output 0 of a node `m`; None where nothing is known."""
    found = values(e=node("CLIPTextEncode", text=["m", 0]), m=maker, **others).text("e", "text")
    return found and found.value


def number(name, **nodes):
    found = values(s=node("KSampler", **{name: ["m", 0]}), **nodes).scalar("s", name)
    return found and found.value


@pytest.mark.parametrize(
    ("value", "found"), [(7.5, 7.5), (0, 0), ("euler", "euler"), ("", ""), (True, None), ([], None)]
)
def test_a_literal_is_a_number_or_a_word_and_stands_where_it_is(value, found):
    scalar = values(s=node("KSampler", x=value)).scalar("s", "x")
    assert scalar == (None if found is None else Found(found, Place("s", "x")))


def test_of_several_inputs_the_first_that_comes_to_something_counts():
    found = values(s=node("KSampler", a=None, b=["missing", 0], c=3, d=4))
    assert found.scalar("s", "z", "a", "b", "c", "d") == Found(3, Place("s", "c"))
    assert found.scalar("s", "a") is None
    assert found.text("s", "c") is None


@pytest.mark.parametrize(
    ("name", "maker", "found"),
    [
        ("seed", node("Seed (rgthree)", seed=42), 42),
        ("noise_seed", node("Seed", seed=42), 42),
        ("seed", node("RandomNoise", noise_seed=42), 42),
        ("cfg", node("Any", cfg_scale=5), 5),
        ("steps", node("Int", value=20), 20),
        ("steps", node("Constant", Number=20), 20),
        ("sampler_name", node("String", string="euler"), "euler"),
        ("steps", node("Any", steps=20, value=5), 20),
        ("steps", node("Switch", switch=False, on_true=1, on_false=2), 2),
        ("steps", node("Nothing", image=["m", 0]), None),
        ("steps", node("Loop", value=["m", 0]), None),
    ],
)
def test_a_value_behind_a_link_is_found_under_its_name_or_a_plain_one(name, maker, found):
    assert number(name, m=maker) == found


def test_a_value_comes_through_a_pipe_under_its_own_name():
    far = node("Context", base_ctx=["c", 0])
    assert number("steps", m=far, c=node("Context", context=["d", 0]), d=node("Big", steps=33)) == 33
    assert number("steps", m=far, c=node("Context", base_ctx=["m", 0])) is None


@pytest.mark.parametrize(
    ("name", "found"), [("seed", 42), ("steps", 20), ("cfg", 7.5), ("ckpt_name", "tiny"), ("x", None)]
)
def test_what_was_read_of_an_image_is_in_the_text_that_the_node_shows(name, found):
    assert number(name, m=node("SDPromptReader", setting=PARAMETERS, value=1)) == found


@pytest.mark.parametrize(
    ("maker", "found"),
    [
        (node("Primitive", value="a quay"), "a quay"),
        (node("ShowAnything", anything=["t", 0]), "a quay"),
        (node("Reroute", **{"": ["t", 0]}), "a quay"),
        (node("Both", positive="good", negative="bad"), "good"),
        (node("Wildcards", populated_text="red", wildcard_text="{red|blue}"), "red"),
        (node("StringReplace", string="a dog", find="dog", replace="cat"), "a cat"),
        (node("StringReplace", string="a dog", find="", replace="cat"), "a dog"),
        (node("StringReplace", string="a dog", find=["missing", 0], replace="cat"), None),
        (node("StringTrim", string="  a quay \n", mode="Both"), "a quay"),
        (node("CaseConverter", string="a Quay", mode="UPPERCASE"), "A QUAY"),
        (node("CaseConverter", string="a Quay", mode="Title Case"), "A Quay"),
        (node("CaseConverter", string="a Quay", mode="unheard of"), "a Quay"),
        (node("StringConcatenate", string_a="a", string_b=["t", 0], delimiter=" "), "a a quay"),
        (node("TextConcat", a="x", b="y", delimiter="\\n"), "x\ny"),
        (node("JoinText", a="x", b="", c="  ", d="y"), "x, y"),
        (node("Join", a="x", b="y", linebreak_addition="true"), "x\ny"),
        (node("Join", a="x", b="y", linebreak_addition="false"), "xy"),
        (node("Join", a="x", b="y", longest_text=" | "), "x | y"),
        (node("Join", image=["missing", 0]), None),
        (node("OllamaGenerate", text="write a prompt"), None),
        (node("WD14Tagger", text="tags"), None),
        (node("RegexExtract", string="a"), None),
        (node("Any", note="perhaps"), "perhaps"),
        (node("Nothing", number=5), None),
    ],
)
def test_a_text_is_put_together_as_the_nodes_do_or_is_unknown(maker, found):
    assert text(maker, t=node("Text", text="a quay")) == found


def test_a_value_that_leads_back_to_itself_leaves_the_rest_of_the_graph_to_be_read():
    loops = {name: ["m", 0] for name in ("value", "int", "float", "number", "seed", "input", "context")}
    circle = Graph({"s": node("KSampler", steps=["m", 0]), "m": node("Loop", **loops)})
    assert Values(circle).scalar("s", "steps", "seed") is None
    assert circle.spend(199_000), "a circle costs about as much as its nodes have inputs"
    assert number("steps", m=node("Loop", value=["m", 0], int=["n", 0]), n=node("Int", value=20)) == 20


def test_a_text_that_leads_back_to_itself_is_none():
    assert text(node("Join", a=["m", 0], b="x")) == "x"
    assert text(node("Reroute", x=["m", 0])) is None
    assert text(node("Text", text=["n", 0]), n=node("Text", text=["m", 0])) is None


def test_a_node_that_doubles_its_text_again_and_again_is_left():
    doubling = {f"n{number}": node("Join", a=[f"n{number + 1}", 0], b=[f"n{number + 1}", 0]) for number in range(20)}
    assert text(node("Join", a=["n0", 0]), **doubling, n20=node("Text", text="x" * 1_000)) is None


def test_a_replacement_that_would_make_a_text_too_long_is_left():
    grow = node("StringReplace", string="x" * 2_000, find="x", replace="y" * 2_000)
    assert text(grow) == "x" * 2_000


@pytest.mark.parametrize(("slot", "names", "found"), [(0, None, "good"), (1, None, "bad"), (0, ["NEGATIVE"], "bad")])
def test_a_node_with_both_texts_gives_the_one_of_its_output(slot, names, found):
    both = node("Both", positive="good", negative="bad") | ({"outputs": names} if names else {})
    assert values(e=node("E", text=["m", slot]), m=both).text("e", "text").value == found


def test_a_switch_that_would_have_passed_on_a_person_s_words_gives_them_as_a_draft():
    side = {"switch": True, "on_true": ["o", 0], "on_false": "my words"}
    found = values(e=node("E", text=["s", 0]), s=node("Switch", **side), o=node("OllamaGenerate", text="x"))
    assert found.text("e", "text") == Found("my words", Place("s", "on_false"), is_draft=True)


def test_a_text_that_the_page_showed_is_what_the_node_made():
    shown = {"o": node("OllamaGenerate", text="x"), "p": node("ShowText|pysssss", text=["o", 0], longest_text="made")}
    assert values(e=node("E", text=["o", 0]), **shown).text("e", "text") == Found("made", None)


def test_a_text_tells_where_one_would_write_for_another():
    joined = node("Join", a="x", b=["t", 0])
    found = values(e=node("E", text=["m", 0]), m=joined, t=node("Text", text="y")).text("e", "text")
    assert found.sources == (Place("m", "a"), Place("t", "text"))
    assert Found("x", Place("m", "a")).sources == (Place("m", "a"),)
    assert Found("x", None).sources == ()


def test_each_text_is_given_once_and_blank_ones_are_not():
    found = [Found(value, None) for value in ("a", " ", "a ", "b", "")]
    assert [text.value for text in iter_distinct(found)] == ["a", "b"]
