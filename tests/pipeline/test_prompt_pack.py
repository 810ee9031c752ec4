import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew import PipelineConfig, PromptPack, read_prompt_pack
from stablenew.errors import PromptPackError, StableNewError
from stablenew.formats.digest import digest_bytes
from stablenew.pipeline.prompt_pack import parse_text, unresolved_tokens

TEXT = """\
# Harbour, in two slots
<embedding:fine-detail>
(<embedding:sea-light>:0.87)
a quiet harbour at [[time]],
fishing boats, __mood__ sea
<lora:ink:0.65>
neg: blurry
neg: <embedding:bad-light>

wooden piers
"""
DOCUMENT = {
    "pack_data": {
        "name": "Harbour at dawn",
        "slots": [
            {
                "index": 0,
                "text": "a quiet harbour at [[time]]",
                "negative": "blurry",
                "positive_embeddings": ["fine-detail", ["sea-light", 0.87]],
                "negative_embeddings": ["bad-light"],
                "loras": [["ink", 0.65]],
            },
            {"index": 1, "text": ""},
        ],
        "matrix": {
            "enabled": True,
            "mode": "rotate",
            "limit": 8,
            "slots": [{"name": "time", "values": ["dawn", "noon"]}],
        },
    },
    "preset_data": {
        "txt2img": {"steps": 28, "sampler_name": "DPM++ 2M", "styles": ["x"]},
        "img2img": {"enabled": True, "denoising_strength": 0.4},
        "upscale": {"upscaling_resize": 1.5, "upscale_mode": "img2img"},
        "adetailer": {"enabled": False},
        "pipeline": {"img2img_enabled": False},
        "randomization": {"enabled": True, "prompt_sr": {"enabled": True, "raw_text": "boats => ships | sails"}},
    },
}


def write(path, text):
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def test_a_text_pack_is_read_slot_by_slot(tmp_path):
    pack = read_prompt_pack(write(tmp_path / "harbour.txt", TEXT))
    assert (pack.id, pack.name, len(pack.prompts)) == ("harbour", "harbour", 2)
    first = pack.prompts[0]
    assert first.positive == (
        "<embedding:fine-detail>, (<embedding:sea-light>:0.87), a quiet harbour at [[time]], "
        "fishing boats, __mood__ sea, <lora:ink:0.65>"
    )
    assert first.negative == "blurry, <embedding:bad-light>"
    assert first.loras == (("ink", 0.65),)
    assert first.embeddings == ("fine-detail", "sea-light", "bad-light")
    assert first.prompt_id == "harbour/0"
    assert pack.digest == digest_bytes(TEXT.encode())


def test_a_json_pack_brings_matrix_and_preset(tmp_path):
    pack = read_prompt_pack(write(tmp_path / "harbour.json", DOCUMENT))
    assert (pack.name, pack.mode, pack.combination_limit, len(pack.prompts)) == ("Harbour at dawn", "rotate", 8, 1)
    assert pack.prompts[0].positive.endswith("a quiet harbour at [[time]], <lora:ink:0.65>")
    assert [axis.name for axis in pack.axes] == ["boats", "time"]
    config = PipelineConfig(**pack.preset)
    assert (config.txt2img.sampler, config.txt2img.steps, config.txt2img.extra) == ("DPM++ 2M", 28, {"styles": ["x"]})
    assert (config.upscale.factor, config.upscale.mode) == (1.5, "img2img")
    assert config.img2img is None
    assert config.adetailer is None


def test_of_twins_the_named_file_gives_the_prompts_and_the_json_the_rest(tmp_path):
    write(tmp_path / "harbour.json", DOCUMENT)
    pack = read_prompt_pack(write(tmp_path / "harbour.txt", TEXT))
    assert len(pack.prompts) == 2
    assert [axis.name for axis in pack.axes] == ["boats", "time"]
    assert read_prompt_pack(tmp_path / "harbour").name == "Harbour at dawn"


def test_a_tsv_pack_is_positive_tab_negative(tmp_path):
    pack = read_prompt_pack(write(tmp_path / "a.tsv", "a lake\tblurry\r\n# comment\n\na hill\n"))
    assert [(one.positive, one.negative) for one in pack.prompts] == [("a lake", "blurry"), ("a hill", "")]


def test_wildcard_files_beside_the_pack_are_used(tmp_path):
    (tmp_path / "wildcards").mkdir()
    write(tmp_path / "wildcards" / "mood.txt", "# moods\ncalm\nstormy\n")
    pack = read_prompt_pack(write(tmp_path / "harbour.txt", TEXT))
    assert pack.axes[0].values == ("calm", "stormy")
    assert unresolved_tokens(pack.prompts, pack.axes) == ["[[time]]"]


def test_a_byte_order_mark_and_other_scripts_are_no_trouble(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeff静かな港 🌊\r\nneg: ぼやけた\r\n".encode())
    (prompt,) = read_prompt_pack(tmp_path / "a.txt").prompts
    assert (prompt.positive, prompt.negative) == ("静かな港 🌊", "ぼやけた")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{", "a.json: not JSON"),
        ("a.json", "[]", "expected the file to be an object"),
        ("a.json", '{"pack_data": {"slots": {}}}', "expected slots to be a list"),
        ("a.json", '{"pack_data": {"slots": [7]}}', "expected slot 0 to be an object"),
        ("a.json", '{"pack_data": {"slots": [{"text": "a", "loras": [3]}]}}', r"a LoRA as \[name, weight\]"),
        ("a.json", '{"pack_data": {"slots": [{"text": "a"}], "matrix": {"limit": -1}}}', "matrix.limit"),
        ("a.txt", "# only a comment\n", "at least one prompt"),
        ("a.png", "x", "expected a .txt, .json or .tsv"),
    ],
)
def test_a_pack_that_cannot_be_read_says_where_and_why(tmp_path, name, content, says):
    with pytest.raises(PromptPackError, match=says):
        read_prompt_pack(write(tmp_path / name, content))


def test_bytes_that_are_no_text_name_the_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"fine\nbad \xff\n")
    with pytest.raises(PromptPackError, match="line 2: not UTF-8"):
        read_prompt_pack(tmp_path / "a.txt")


def test_a_missing_pack_is_a_clear_error(tmp_path):
    with pytest.raises(PromptPackError, match="no prompt pack"):
        read_prompt_pack(tmp_path / "gone.txt")


@given(st.text())
def test_any_text_gives_prompts(text):
    for positive, negative in parse_text(text):
        assert positive or negative or "," in text


@given(st.binary(max_size=60), st.sampled_from([".txt", ".json", ".tsv"]))
def test_any_bytes_give_a_pack_or_our_error(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("pack") / f"a{suffix}"
    path.write_bytes(data)
    with contextlib.suppress(PromptPackError):
        assert isinstance(read_prompt_pack(path), PromptPack)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(value, place=()):
    """The way to every value in a document."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*place, key))


def put(document, place, value):
    if not place:
        return value
    changed = json.loads(json.dumps(document))
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return changed


@pytest.mark.heavy
@pytest.mark.parametrize("place", list(places(DOCUMENT)), ids=lambda place: ".".join(map(str, place)) or "document")
@given(value=ANY_JSON)
def test_any_value_anywhere_in_a_pack_is_a_pack_or_an_error_that_names_the_file(tmp_path_factory, place, value):
    path = write(tmp_path_factory.getbasetemp() / "mutated.json", json.dumps(put(DOCUMENT, place, value)))
    try:
        assert isinstance(read_prompt_pack(path), PromptPack)
    except StableNewError as error:
        assert str(error)


@pytest.mark.parametrize("field", ["loras", "positive_embeddings", "negative_embeddings", "text", "negative"])
@pytest.mark.parametrize("value", [True, {"a": 1}, [[1, 2, 3]], [None], [{}]])
def test_a_part_of_a_slot_that_is_none_is_named_with_its_slot(tmp_path, field, value):
    if (field in {"text", "negative"}) == (value is True):
        return  # a true text is the text True
    path = write(tmp_path / "pack.json", {"slots": [{"text": "a"}, {"text": "b", field: value}]})
    with pytest.raises(PromptPackError, match=r"pack\.json: .*slot 1"):
        read_prompt_pack(path)


def test_a_name_with_a_dot_needs_no_extension(tmp_path):
    write(tmp_path / "v1.5-prompts.txt", "a hill\n")
    assert read_prompt_pack(tmp_path / "v1.5-prompts").id == "v1.5-prompts"


def test_a_json_file_about_something_else_does_not_hide_a_pack(tmp_path):
    write(tmp_path / "pack.txt", "a hill\n")
    for other in ('["a", "list"]', '{"dependencies": {}}'):
        write(tmp_path / "pack.json", other)
        assert [prompt.positive for prompt in read_prompt_pack(tmp_path / "pack.txt").prompts] == ["a hill"]
