"""What the pixels of an image say: the same however they are written, and alike where they look alike."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stablenew.errors import UndecodableImage
from stablenew.importing.pixel_facts import PixelFacts, describe_outputs, describe_pixels
from stablenew.importing.pixel_index import LOOK_DISTANCE, PixelIndex
from tests import samples


def picture(mode="RGB", size=(40, 30), shift=0):
    """A picture with brighter and darker parts."""
    noise = bytes((place * place * 37 + place * 11 + shift) % 256 for place in range(20))
    return Image.frombytes("L", (5, 4), noise).resize(size, Image.Resampling.BICUBIC).convert(mode)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PICTURE = picture()
FACTS = describe_pixels(encode(PICTURE))


@pytest.mark.parametrize(
    "data",
    [encode(PICTURE, compress_level=0), encode(PICTURE, "WEBP", lossless=True), encode(PICTURE, "TIFF")],
    ids=["PNG", "WebP", "TIFF"],
)
def test_a_copy_without_loss_has_the_same_pixels(data):
    assert describe_pixels(data, "d") == FACTS._replace(digest="d")


@pytest.mark.parametrize(
    "data",
    [encode(PICTURE, "JPEG", quality=85), encode(PICTURE.resize((80, 60))), encode(PICTURE.resize((20, 15)))],
    ids=["JPEG", "larger", "smaller"],
)
def test_a_lossy_or_scaled_copy_looks_alike_and_has_other_pixels(data):
    found = describe_pixels(data)
    assert found.pixel_digest != FACTS.pixel_digest
    assert distance(found.look, FACTS.look) <= LOOK_DISTANCE


def test_another_picture_does_not_look_alike():
    assert distance(describe_pixels(encode(picture(shift=90))).look, FACTS.look) > LOOK_DISTANCE


def distance(first, second):
    return ((first ^ second) & ((1 << 64) - 1)).bit_count()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_pixels_of_any_kind_are_described(mode):
    kind = "TIFF" if mode in ("CMYK", "F") else "PNG"
    image = Image.new("I;16", (20, 20), 9) if mode == "I;16" else picture("L" if mode == "F" else "RGB").convert(mode)
    found = describe_pixels(encode(image, kind))
    assert found.pixel_digest
    assert -(2**63) <= found.look < 2**63


def test_a_picture_of_one_colour_has_no_look():
    assert describe_pixels(encode(Image.new("RGB", (30, 30), (9, 9, 9)))).look == 0


@pytest.mark.parametrize("data", [b"", b"no image", encode(PICTURE)[:60]], ids=["empty", "text", "cut"])
def test_what_is_no_image_is_an_error_that_says_so(data):
    with pytest.raises(UndecodableImage):
        describe_pixels(data)


def test_outputs_of_a_run_are_described_and_those_that_cannot_be_are_left_out(store):
    run = samples.sealed_run(store, "r", variants=3)
    first, second, third = [output for _, output in run.iter_outputs()]
    (run.path / third.path).chmod(0o644)
    (run.path / third.path).unlink()
    found = describe_outputs(store.root, "r", [first.digest, third.digest, "xxh128:" + "0" * 32])
    assert [(facts.digest, bool(facts.pixel_digest)) for facts in found] == [(first.digest, True)]
    assert describe_outputs(store.root, "gone", [second.digest]) == []


# The index of them


@pytest.fixture
def pixels(store):
    with PixelIndex(store) as pixels:
        yield pixels


def put(pixels, *facts):
    pixels._connection.executemany("INSERT OR REPLACE INTO pixels VALUES (?, ?, ?, ?)", facts)


LOOKS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4)
FLIPS = st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 63), max_size=6)), max_size=6)


@given(LOOKS, FLIPS)
def test_pairs_that_look_alike_are_those_that_differ_in_few_bits(store_of_pixels, looks, flips):
    for base, bits in flips:
        look = looks[base % len(looks)]
        for bit in bits:
            look ^= 1 << bit
        looks = [*looks, look]
    signed = [look - (1 << 64) if look >> 63 else look for look in looks]
    store_of_pixels._connection.execute("DELETE FROM pixels")
    put(store_of_pixels, *(PixelFacts(f"{n:03}", str(n), "", look) for n, look in enumerate(signed)))
    pairs = [(a, b) for a in range(len(looks)) for b in range(a + 1, len(looks)) if looks[a] and looks[b]]
    found = [(f"{a:03}", f"{b:03}", distance(looks[a], looks[b])) for a, b in pairs]
    expected = [pair for pair in found if pair[2] <= LOOK_DISTANCE]
    assert list(store_of_pixels.alike()) == sorted(expected)


@pytest.fixture(scope="module")
def store_of_pixels(tmp_path_factory):
    """An index of pixels whose rows a test replaces."""
    from stablenew import RunStore

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("pixels")
        patch.setenv("STABLENEW_STATE_DIR", str(folder))
        with PixelIndex(RunStore(folder / "runs")) as pixels:
            yield pixels


def test_copies_are_images_with_the_same_pixels_but_for_those_of_one_colour(pixels):
    rows = [("a", "same", 5), ("b", "same", 5), ("c", "other", 5), ("d", "black", 0), ("e", "black", 0)]
    rows += [("f", "", None), ("g", "", None)]
    put(pixels, *(PixelFacts(digest, pixel, "", look) for digest, pixel, look in rows))
    assert pixels.copies() == [["a", "b"]]
    assert list(pixels.alike()) == [("a", "c", 0), ("b", "c", 0)]
    assert pixels.same_pixels(PixelFacts("x", "same")) == ["a", "b"]
    assert pixels.same_pixels(PixelFacts("x", "")) == []


def test_images_are_found_by_the_sha512_of_their_pixels(pixels):
    put(pixels, PixelFacts("a", "p", "s"), PixelFacts("b", "q", "s"), PixelFacts("c", "r", "t"))
    assert pixels.with_sha512("s") == ["a", "b"]
    assert pixels.with_sha512("u") == []


def test_each_image_is_missing_once_until_it_was_looked_at(store, pixels):
    for run_id in ("one", "two"):
        samples.sealed_run(store, run_id, variants=20)
    tasks = list(pixels.missing())
    digests = [digest for _, some in tasks for digest in some]
    assert len(digests) == len(set(digests)) == 40
    assert max(len(some) for _, some in tasks) == 16
    put(pixels, *(PixelFacts(digest) for digest in digests[:39]))
    assert [some for _, some in pixels.missing()] == [digests[39:]]


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\0" + bytes(100)])
def test_an_index_that_cannot_be_read_is_made_again(store, damage):
    with PixelIndex(store) as pixels:
        put(pixels, PixelFacts("a", "p", "s"))
        pixels._connection.commit()
        path = pixels._connection.execute("PRAGMA database_list").fetchone()[2]
    Path(path).write_bytes(damage)
    with PixelIndex(store) as pixels:
        assert pixels.known() == set()
