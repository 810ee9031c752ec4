"""Images that no generator made."""

import pytest

from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image, make_png, user_comment


@pytest.mark.parametrize(
    "texts",
    [
        {"Comment": "Created with GIMP"},
        {"date:create": "2025-03-27T21:10:17+00:00", "Software": "Adobe Photoshop"},
        {"Description": "Camera: X, Lens: Y, Aperture: 2, Shutter: 1"},
        {"Comment": '{"width": 3, "prompt": 5}'},
        {"prompt": '{"a": {"class_type": "x"}}', "workflow": "[]"},
    ],
)
def test_images_of_other_programs_say_nothing(texts):
    assert not read_image_metadata(make_png(texts)).has_generation_data


def test_a_comment_of_a_camera_says_nothing():
    exif = make_exif(
        {0x010F: b"Canon", 0x0110: b"EOS", 0x9003: b"2026:01:02 03:04:05"}, inner={0x9286: user_comment("holiday")}
    )
    said = read_image_metadata(make_image("JPEG", exif=exif))
    assert not said.has_generation_data
    assert said.generation.made_at == "2026-01-02T03:04:05"
