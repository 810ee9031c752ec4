import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.controller.image_export import build_name

IMAGE = {
    "created_at": "2026-11-21T10:11:12.000Z",
    "rating": 4.5,
    "run_id": "a-run",
    "name": "1/0",
    "digest": f"xxh128:{'ab' * 16}",
    "stage": "txt2img",
    "prompt": "a harbour / at\n dawn",
    "common_names": {},
    "settings": {"seed": 7},
}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{date}-{time}-{seed}-{prompt:40}", "2026-11-21-101112-7-a harbour _ at dawn"),
        ("{stars} {run} {name} {digest}", "5 a-run 1-0 abababababab"),
        ("{prompt:3}.", "a h"),
        ("../../{seed}", "_.._7"),
        ("con", "_con"),
        ("{sampler}", "_"),
    ],
)
def test_names_are_filled_from_what_is_known(template, name):
    assert build_name(template, IMAGE) == name


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_name_is_safe_on_every_file_system(prompt, template):
    name = build_name(template + "{prompt}", IMAGE | {"prompt": prompt})
    assert 0 < len(name) <= 121
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name not in (".", "..")
    assert name == name.strip(" ")
