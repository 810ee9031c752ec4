"""A graph to ask and to walk over: links, switches, and walks that end whatever the graph is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.graphs.graph import Graph, Link, Place, find_nodes
from tests.image_metadata.graph_files import base_graph, node

KEYS = st.sampled_from("abcd")


def graph(**nodes):
    return Graph(nodes)


def everything(_link):
    return True


@pytest.mark.parametrize(
    "value",
    [None, [], "graph", {}, {"1": 5}, {"1": {"class_type": "A"}}, {"1": {"inputs": {}}}, {"1": node(5)},
     {"1": {"class_type": "A", "inputs": []}}, {str(number): node("A") for number in range(5_001)}],
    ids=["null", "list", "text", "empty", "number", "no inputs", "no class", "class 5", "inputs []", "too many"],
)  # fmt: skip
def test_what_is_no_graph_has_no_nodes(value):
    assert find_nodes(value) is None


def test_nodes_are_kept_without_what_stands_beside_them():
    nodes = base_graph()
    assert find_nodes(nodes | {"extra": {"a": 1}, "version": 1}) == nodes
    assert len(find_nodes({str(number): node("A") for number in range(5_000)})) == 5_000
    assert list(find_nodes({7: node("A")})) == ["7"]


def test_a_node_tells_its_class_its_title_and_its_inputs():
    found = graph(a=node("KSampler", "my sampler", seed=1), b=node("B") | {"_meta": {"title": 5}}, c=node("C"))
    assert (found.kind("a"), found.class_type("a"), found.title("a")) == ("ksampler", "KSampler", "my sampler")
    assert (found.title("b"), found.title("c")) == (None, None)
    assert found.inputs("a") == {"seed": 1}
    assert ("a" in found, "z" in found) == (True, False)


def test_an_output_has_a_name_only_where_the_file_says_it():
    found = graph(a=node("A") | {"outputs": ["MODEL", 5]}, b=node("B"), c=node("C") | {"outputs": "MODEL"})
    assert [found.output_name("a", slot) for slot in (-1, 0, 1, 2)] == ["", "model", "", ""]
    assert found.output_name("b", 0) == found.output_name("c", 0) == ""


@pytest.mark.parametrize(
    ("value", "link"),
    [
        (["a", 0], Link("x", "a", 0)),
        (["a", 3], Link("x", "a", 3)),
        ([7, 0], Link("x", "7", 0)),
        (["missing", 0], None),
        (["a"], None),
        (["a", 0, 1], None),
        (["a", "0"], None),
        ([["a"], 0], None),
        (("a", 0), None),
        ("a", None),
        (None, None),
        ({"a": 0}, None),
    ],
)
def test_a_link_is_a_node_of_this_graph_and_the_number_of_an_output(value, link):
    assert Graph({"a": node("A"), "7": node("B")}).link(value, "x") == link


def test_a_place_is_written_as_it_is_read():
    assert str(Place("12", "seed")) == "12.seed"


def switched(**inputs):
    """What a switch with these inputs passes on."""
    return graph(s=node("ImpactSwitch", **inputs), a=node("A"), b=node("B"), **FLAGS).chosen_input("s")


FLAGS = {"yes": node("Boolean", value=True), "two": node("Int", value=2), "not": node("LogicNot", value=True)}


@pytest.mark.parametrize(
    ("inputs", "chosen"),
    [
        ({"switch": True, "on_true": ["a", 0], "on_false": ["b", 0]}, "on_true"),
        ({"switch": False, "on_true": ["a", 0], "on_false": ["b", 0]}, "on_false"),
        ({"boolean": ["yes", 0], "tt_value": ["a", 0], "ff_value": ["b", 0]}, "tt_value"),
        ({"boolean": ["not", 0], "tt_value": ["a", 0], "ff_value": ["b", 0]}, None),
        ({"select": 2, "input1": ["a", 0], "input2": ["b", 0]}, "input2"),
        ({"select": ["two", 0], "input1": ["a", 0], "input2": ["b", 0]}, "input2"),
        ({"Input": 1, "text_01": "a", "text_02": "b"}, "text_01"),
        ({"index": 1, "value10": "a", "value1": "b"}, "value1"),
        ({"select": 3, "input1": ["a", 0]}, None),
        ({"switch": True, "on_false": ["b", 0]}, None),
        ({"select": ["missing", 0], "input1": ["a", 0]}, None),
        ({"any_02": ["b", 0], "any_01": ["a", 0]}, "any_01"),
        ({"ctx_05": ["b", 0]}, "ctx_05"),
        ({}, None),
    ],
)
def test_a_switch_passes_on_the_side_that_its_flag_says(inputs, chosen):
    assert switched(**inputs) == chosen


def test_only_a_switch_chooses():
    found = graph(s=node("KSampler", switch=True, on_true=["a", 0]), a=node("A"))
    assert found.chosen_input("s") is None


def test_a_flag_that_stands_behind_itself_says_nothing():
    loop = graph(s=node("Switch", switch=["f", 0], on_true="x"), f=node("Boolean", value=["f", 0]))
    assert loop.chosen_input("s") is None


def test_a_link_to_a_switch_is_one_to_what_it_passes_on():
    found = graph(
        s=node("Switch", switch=True, on_true=["t", 0], on_false=["b", 1]),
        t=node("Switch", switch=False, on_true=["a", 0], on_false=["b", 2]),
        a=node("A"),
        b=node("B"),
    )
    assert found.link(["s", 0], "x") == Link("x", "b", 2)
    assert found.unchosen_inputs(["s", 0]) == (Place("s", "on_false"),)
    assert found.unchosen_inputs(["a", 0]) == found.unchosen_inputs("text") == ()


def test_a_context_behind_a_switch_keeps_the_output_that_was_asked_for():
    found = graph(s=node("Context Switch (rgthree)", ctx_01=["a", 0]), a=node("Context"))
    assert found.link(["s", 3]) == Link("", "a", 3)
    assert found.link(["s", 0]) == Link("", "a", 0)


def test_switches_that_lead_to_each_other_end():
    found = graph(a=node("Switch", switch=True, on_true=["b", 0]), b=node("Switch", switch=True, on_true=["a", 0]))
    assert found.link(["a", 0]).node in ("a", "b")


def test_a_switch_whose_side_is_no_link_stands_for_itself():
    found = graph(s=node("Switch", switch=True, on_true="text"))
    assert found.link(["s", 0]) == Link("", "s", 0)


def test_the_links_of_a_node_are_its_inputs_that_are_outputs_of_others():
    found = Graph(base_graph())
    assert [(link.name, link.node) for link in found.links("3")] == [
        ("model", "4"), ("positive", "6"), ("negative", "7"), ("latent_image", "5"),
    ]  # fmt: skip
    assert found.links("4") == ()


def test_a_walk_gives_the_nearest_first_and_each_once():
    found = Graph(base_graph())
    assert list(found.walk(["9", "9"], everything)) == ["9", "8", "3", "4", "6", "7", "5"]
    assert list(found.walk(["9"], lambda link: link.name in ("images", "samples"))) == ["9", "8", "3"]
    assert list(found.walk([], everything)) == []


@pytest.mark.parametrize("stop", [("3",), lambda key: key == "3"])
def test_a_walk_gives_where_it_stops_and_nothing_behind_it(stop):
    assert list(Graph(base_graph()).walk(["9"], everything, stop)) == ["9", "8", "3", "4"]


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, st.lists(KEYS | st.integers(0, 3), max_size=3), max_size=4)))
def test_every_walk_over_any_graph_ends_and_reaches_what_is_behind(inputs):
    found = Graph({key: {"class_type": "Switch", "inputs": links} for key, links in inputs.items()})
    reached = list(found.walk(inputs, everything))
    assert sorted(reached) == sorted(inputs)
    assert not found.is_exhausted


def test_a_graph_that_is_too_large_is_left_and_says_so():
    found = Graph(base_graph())
    assert found.spend(199_999)
    assert not found.is_exhausted
    assert not found.spend()
    assert found.is_exhausted
    assert list(found.walk(["9"], everything)) == []
    assert found.links("3") == ()


def test_what_was_asked_before_a_graph_was_exhausted_is_still_known():
    found = Graph(base_graph())
    links = found.links("3")
    found.spend(10**6)
    assert found.links("3") == links
