"""The door of the package: never an exception, bounded, and raw texts whole."""

import io
import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.metadata import READER_VERSION, ImageMetadata
from stablenew.image_metadata.reading import read_image_metadata
from stablenew.image_metadata.registry import READERS
from tests.image_metadata.files import (
    INFOTEXT,
    exif_with_comment,
    make_exif,
    make_gif,
    make_image,
    make_mp4,
    make_png,
    make_webm,
    png_chunk,
)
from tests.image_metadata.graph_files import base_graph
from tests.strategies import json_values

GRAPH = json.dumps(base_graph())
FILES = (
    make_png({"parameters": INFOTEXT}),
    make_png({"prompt": GRAPH}, chunks=[(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"nodes": []}'))]),
    make_png(chunks=[(b"eXIf", exif_with_comment(INFOTEXT)), (b"caBX", b"c2pa")]),
    make_image("JPEG", exif=exif_with_comment(INFOTEXT, "le"), xmp=b"<a xmp:Rating='3'/>"),
    make_image("WEBP", exif=make_exif({0x0110: b"prompt:" + GRAPH.encode()}), xmp=b"<a/>"),
    make_image("AVIF", exif=exif_with_comment(INFOTEXT)),
    make_gif(INFOTEXT.encode()),
    make_mp4({"prompt": GRAPH}),
    make_webm({"prompt": GRAPH}),
)


def test_a_file_and_its_bytes_and_a_view_of_them_say_the_same(tmp_path):
    (tmp_path / "a").write_bytes(FILES[0])
    with (tmp_path / "a").open("rb") as file:
        assert read_image_metadata(file) == read_image_metadata(FILES[0]) == read_image_metadata(memoryview(FILES[0]))


def test_every_text_is_kept_whole_and_what_was_derived_names_its_reader():
    said = read_image_metadata(make_png({"parameters": INFOTEXT, "Note": "kept too"}))
    assert [(text.key, text.text) for text in said.raw] == [("parameters", INFOTEXT), ("Note", "kept too")]
    assert (said.reader, said.reader_version) == ("a1111", READER_VERSION)
    assert {reader.name for reader in READERS} >= {"a1111", "comfyui"}


def test_the_size_is_that_of_the_image_whatever_the_text_says():
    said = read_image_metadata(make_png({"parameters": INFOTEXT}, size=(128, 96)))
    assert (said.width, said.height, said.generation.settings["width"]) == (128, 96, 64)


@pytest.mark.parametrize("data", FILES)
def test_every_file_cut_anywhere_gives_an_answer(data):
    chance = random.Random(1)
    for _ in range(40):
        assert isinstance(read_image_metadata(data[: chance.randrange(len(data))]), ImageMetadata)


@given(st.sampled_from(FILES), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), min_size=1, max_size=8))
def test_a_changed_file_gives_an_answer_and_no_reader_stumbles(data, changes):
    changed = bytearray(data)
    for where, new in changes:
        at = int(where * len(changed))
        changed[at : at + len(new)] = new
    said = read_image_metadata(bytes(changed))
    assert not [problem for problem in said.problems if "stumbled" in problem]


@given(st.binary(max_size=300), st.sampled_from([data[:24] for data in FILES] + [b""]))
def test_any_bytes_give_an_answer(data, head):
    assert isinstance(read_image_metadata(head + data), ImageMetadata)


KEYS = [
    "parameters",
    "prompt",
    "workflow",
    "Comment",
    "invokeai_metadata",
    "sd-metadata",
    "Dream",
    "generation_data",
    "parameters-json",
    "use_stable_diffusion_model",
    "fooocus_scheme",
    "Software",
    "postprocessing",
]
FIELDS = [
    "prompt",
    "c",
    "uc",
    "model",
    "sampler",
    "scale",
    "v2",
    "Prompt",
    "software",
    "base_model_name",
    "base_model",
    "steps",
    "guidance_scale",
    "sui_image_params",
    "sui_models",
    "loras",
    "lora",
    "image",
    "PositivePrompt",
    "Comment",
    "v4_prompt",
    "caption",
    "use_stable_diffusion_model",
    "use_lora_model",
    "num_inference_steps",
    "baseModel",
    "models",
    "extraMetadata",
    "seed",
    "size",
    "nodes",
    "links",
    "clip_skip",
]
telling = st.dictionaries(
    st.sampled_from(FIELDS), st.one_of(json_values, st.dictionaries(st.sampled_from(FIELDS), json_values))
)


@given(
    st.dictionaries(
        st.sampled_from(KEYS), st.one_of(st.text(max_size=40), telling.map(json.dumps)), min_size=1, max_size=3
    )
)
def test_texts_of_any_content_make_no_reader_stumble(texts):
    chunks = [(b"iTXt", key.encode() + b"\0\0\0\0\0" + text.encode()) for key, text in texts.items()]
    said = read_image_metadata(make_png(chunks=chunks))
    assert said.problems == ()


def test_a_file_that_breaks_while_it_is_read_gives_what_there_was():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 0:
                raise OSError(5, "Input/output error")
            return super().read(size)

    said = read_image_metadata(Broken(FILES[0][:100] + bytes(40_000)))
    assert "could not be read on" in said.problems[0]


def test_a_text_too_large_to_be_understood_is_still_kept():
    large = json.dumps(base_graph() | {"pad": "x" * 5_000_000})
    said = read_image_metadata(make_png(chunks=[(b"tEXt", b"prompt\0" + large.encode())]))
    assert said.raw[0].text == large
    assert "too large" in said.problems[0]
    assert not said.has_generation_data


def test_ten_thousand_texts_are_not_all_kept():
    data = FILES[0][:33] + b"".join(png_chunk(b"tEXt", b"k%d\0v" % number) for number in range(10_000)) + FILES[0][33:]
    said = read_image_metadata(data)
    assert len(said.raw) <= 512
    assert said.problems
