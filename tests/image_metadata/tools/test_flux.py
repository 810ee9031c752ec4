"""The program that Black Forest Labs publishes with its models."""

from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image


def test_flux_names_its_maker_and_its_model_in_exif():
    tags = {0x010E: b"a quiet harbour", 0x010F: b"Black Forest Labs", 0x0110: b"flux-dev", 0x0131: b"AI generated;flux"}
    found = read_image_metadata(make_image("JPEG", exif=make_exif(tags))).generation
    assert (found.tool, found.prompt, found.settings["model"]) == ("Black Forest Labs", "a quiet harbour", "flux-dev")
