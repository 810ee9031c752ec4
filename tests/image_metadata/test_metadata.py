"""What an image says as a whole: which tool, and whether that is about a generation."""

from stablenew.image_metadata.metadata import Generation, ImageMetadata, Tool


def metadata(**fields):
    known = {"media_type": "image/png", "width": 8, "height": 6, "raw": (), "generation": Generation()}
    return ImageMetadata(**known | fields)


def test_an_image_that_says_nothing_has_neither_tool_nor_generation():
    assert (metadata().tool, metadata().has_generation_data, metadata().rating) == (None, False, None)
    assert metadata().generation == Generation(kind="image", settings={})


def test_a_claim_of_a_manifest_names_the_tool_and_is_no_generation():
    claimed = metadata(has_c2pa=True, c2pa_generator="Firefly", is_ai_declared=True)
    assert (claimed.tool, claimed.has_generation_data) == ("Firefly", False)


def test_the_metadata_of_a_tool_says_more_than_a_manifest():
    both = metadata(generation=Generation(tool=Tool.FORGE), reader="a1111", c2pa_generator="Firefly")
    assert (both.tool, both.has_generation_data) == ("Forge", True)


def test_a_tool_is_its_name_as_records_have_it():
    assert f"{Tool.SD_NEXT}" == Tool.SD_NEXT == "SD.Next"
    assert len({tool.casefold() for tool in Tool}) == len(Tool)
