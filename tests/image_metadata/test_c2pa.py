"""C2PA: whether it is there and what it claims, unverified."""

from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import INFOTEXT, box, make_image, make_png


def cbor_text(text):
    return (bytes([0x60 + len(text)]) if len(text) < 24 else b"x" + bytes([len(text)])) + text.encode()


def manifest(name):
    source = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    return b"jumbjumdc2pa" + source + b"tclaim_generator_info\xa1dname" + cbor_text(name) + b"dicon\xa0"


def test_a_manifest_is_there_names_its_maker_and_is_no_generation_data():
    for name in ("Short", "A Generator With A Long Name 2.0"):
        said = read_image_metadata(make_png(chunks=[(b"caBX", manifest(name))]))
        assert (said.has_c2pa, said.c2pa_generator, said.is_ai_declared) == (True, name, True)
        assert (said.has_generation_data, said.tool) == (False, name)


def test_a_manifest_beside_the_text_of_a_tool_leaves_the_tool_its_name():
    said = read_image_metadata(make_png({"parameters": INFOTEXT}, chunks=[(b"caBX", manifest("Signer"))]))
    assert (said.tool, said.has_c2pa, said.c2pa_generator) == ("A1111", True, "Signer")


def test_a_manifest_in_a_jpeg_and_in_a_box_is_found():
    segment = b"JP\0\1\0\0\0\1" + manifest("Camera")
    jpeg = make_image("JPEG")
    jpeg = jpeg[:2] + b"\xff\xeb" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]
    avif = make_image("AVIF") + box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), manifest("Camera"))
    assert [read_image_metadata(data).c2pa_generator for data in (jpeg, avif)] == ["Camera", "Camera"]


def test_an_iptc_field_declares_it_too():
    xmp = b"<a Iptc4xmpExt:DigitalSourceType='http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'/>"
    assert read_image_metadata(make_image("JPEG", xmp=xmp)).is_ai_declared


def test_images_without_one_say_so():
    said = read_image_metadata(make_png())
    assert (said.has_c2pa, said.c2pa_generator, said.is_ai_declared, said.tool) == (False, None, False, None)
