"""The grammar of the WebUIs' text, with what real programs made of it."""

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.infotext import parse_infotext, parse_parameters

LINE = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, Model: tiny"


def test_prompt_negative_prompt_and_parameters_are_told_apart():
    found = parse_infotext(f"two lines\nof prompt\nNegative prompt: fog,\nrain\n{LINE}")
    assert (found.prompt, found.negative_prompt) == ("two lines\nof prompt", "fog,\nrain")
    assert found.parameters["Sampler"] == "Euler a"
    assert found.is_generation


def test_windows_line_ends_and_blank_lines_do_not_matter():
    found = parse_infotext(f"a,\r\nb\r\n\r\nNegative prompt: c\r\n\r\n{LINE}\r\n")
    assert (found.prompt, found.negative_prompt) == ("a,\nb", "c")


def test_a_prompt_may_have_lines_that_look_like_parameters():
    found = parse_infotext(f"Steps: 1, Seed: 2, Size: 3x3, Model: no\nlast line\n{LINE}")
    assert found.prompt == "Steps: 1, Seed: 2, Size: 3x3, Model: no\nlast line"
    assert found.parameters["Seed"] == "1"


def test_unquoted_json_is_one_value_and_invents_no_keys():
    resources = json.dumps([{"type": "lora", "url": "https://a.b/c,d"}])
    found = parse_parameters(f'{LINE}, Civitai resources: {resources}, Hashes: {{"model": "ab, c"}}, Version: 1')
    assert json.loads(found["Civitai resources"])[0]["url"] == "https://a.b/c,d"
    assert list(found)[-3:] == ["Civitai resources", "Hashes", "Version"]
    assert "https" not in found


def test_brackets_that_are_no_json_cost_only_their_own_value():
    found = parse_parameters("Steps: 1, Odd: [broken, Seed: 5, Other: {x, Size: 1x1")
    assert (found["Odd"], found["Seed"], found["Other"], found["Size"]) == ("[broken", "5", "{x", "1x1")


def test_templates_before_the_parameters_are_not_part_of_the_negative_prompt():
    text = f"a cat\nNegative prompt: fog\nTemplate: a __animal__\nof two lines\nNegative Template: __bad__\n{LINE}"
    found = parse_infotext(text)
    assert (found.prompt, found.negative_prompt) == ("a cat", "fog")
    assert found.parameters["Template"] == "a __animal__\nof two lines"
    assert found.parameters["Negative Template"] == "__bad__"


def test_templates_behind_the_parameters_are_read_too():
    found = parse_infotext(f"a cat\nNegative prompt: fog\n{LINE}\nTemplate: a __animal__\nNegative Template: x")
    assert (found.prompt, found.negative_prompt, found.parameters["Seed"]) == ("a cat", "fog", "1")
    assert found.parameters["Template"] == "a __animal__"


def test_a_text_without_parameters_is_a_prompt():
    found = parse_infotext("just: words, and: more, words: here")
    assert found.prompt == "just: words, and: more, words: here"
    assert not found.is_generation


def test_any_text_with_colons_is_no_generation():
    assert not parse_infotext("Camera: X, Lens: Y, Aperture: 2, Shutter: 1").is_generation


values = st.one_of(
    st.integers(0, 10**6).map(str),
    st.text(string.ascii_letters + " +-_.", min_size=1, max_size=12).map(str.strip).filter(bool),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(lambda text: text + ", : x"),
)
keys = st.text(string.ascii_letters, min_size=1, max_size=8).map(lambda name: f"K{name}")


@given(st.dictionaries(keys, values, min_size=1, max_size=6))
def test_what_a_webui_writes_is_read_back(parameters):
    quoted = {k: json.dumps(v, ensure_ascii=False) if set(v) & set(",:\n") else v for k, v in parameters.items()}
    line = "Steps: 20, Seed: 1, " + ", ".join(f"{name}: {value}" for name, value in quoted.items())
    found = parse_infotext(f"prompt\n{line}").parameters
    assert found == {"Steps": "20", "Seed": "1"} | parameters


@given(st.text(st.sampled_from('ab,: "[]{}\\\n0N'), max_size=200))
def test_any_text_gives_an_answer(text):
    found = parse_infotext(text)
    assert isinstance(found.prompt, str)
