"""Which reader a file gets, by its first bytes, and that nothing it holds raises."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.containers.sniffing import read_container

HEADS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff\xe0": "image/jpeg",
    b"RIFF\0\0\0\0WEBP": "image/webp",
    b"\0\0\0\x10ftypavif": "image/avif",
    b"\0\0\0\x10ftypisom": "video/mp4",
    b"GIF89a": "image/gif",
    b"GIF87a": "image/gif",
    bytes.fromhex("0000000c4a584c200d0a870a"): "image/jxl",
    b"\xff\x0a": "image/jxl",
    b"II*\0\x08\0\0\0": "image/tiff",
    b"MM\0*\0\0\0\x08": "image/tiff",
    b"\x1a\x45\xdf\xa3": "video/webm",
}


@pytest.mark.parametrize("head", HEADS)
def test_the_first_bytes_say_what_a_file_is(head):
    assert read_container(head + bytes(60)).media_type == HEADS[head]


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", b"RIFF\0\0\0\0WAVE", b"<svg>", b"PK\3\4", b"\xff\xd8", b"II+\0", bytes(64)]
)
def test_what_is_no_known_format_is_said_to_be_bytes(data):
    container = read_container(data)
    assert (container.media_type, container.texts) == ("application/octet-stream", [])
    assert container.problems == []


@given(st.sampled_from(sorted(HEADS)), st.binary(max_size=120))
def test_any_bytes_behind_a_head_give_what_there_is(head, rest):
    container = read_container(head + rest)
    assert container.media_type.partition("/")[0] in ("image", "video")
    assert all(isinstance(text.text, str) for text in container.texts)


def test_a_file_that_cannot_be_read_on_gives_what_was_found_until_then():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 0:
                raise OSError(5, "Input/output error")
            return super().read(size)

    container = read_container(Failing(b"\x89PNG\r\n\x1a\n" + bytes(40_000)))
    assert container.media_type == "image/png"
    assert container.problems == ["it could not be read on: [Errno 5] Input/output error"]
