"""Columns of model files under their common names, whatever the arrays look like."""

import pyarrow as pa
import pytest

from stablenew.learning.dataset.parts.file_names import with_common_names

LORAS = pa.list_(pa.struct([("name", pa.string()), ("weight", pa.float64())]))
INK = {"name": "styles/ink.safetensors", "weight": 0.5}


def rename(loras, embeddings=None, **columns):
    texts = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    lists = {"loras": loras, "embeddings": pa.array(embeddings or [None], pa.list_(pa.string()))}
    return {name: column.to_pylist() for name, column in with_common_names(texts | lists).items()}


def test_columns_of_files_are_renamed_and_no_others():
    files = ("model", "vae", "requested_model", "img2img_model", "txt2img_refiner_checkpoint", "upscale_upscaler")
    others = ("sampler", "model_hash", "adetailer_model", "prompt")
    spelled = ["x/a.ckpt", None, "a"]
    found = rename(pa.array([None], LORAS), **dict.fromkeys((*files, *others), spelled))
    assert all(found[name] == ["a", None, "a"] for name in files)
    assert all(found[name] == spelled for name in others)


@pytest.mark.parametrize("start", range(4))
def test_lists_keep_their_places_and_the_rest_of_their_entries(start):
    rows = [[INK, INK | {"name": "b", "weight": None}], None, [], [INK | {"name": None}]]
    expected = [[INK | {"name": "ink"}, {"name": "b", "weight": None}], None, [], [{"name": None, "weight": 0.5}]]
    assert rename(pa.array(rows, LORAS).slice(start))["loras"] == expected[start:]


def test_embeddings_have_their_common_names_too():
    found = rename(pa.array([None], LORAS), embeddings=[["easynegative.pt", "a"], None, []])
    assert found["embeddings"] == [["easynegative", "a"], None, []]
