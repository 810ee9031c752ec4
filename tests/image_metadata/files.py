"""Files as tools write them: PNG, JPEG and others with texts in the places where they put them."""

import gzip
import io
import struct
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

INFOTEXT = (
    "a quiet harbour, <lora:ink:0.7>\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 64x48, "
    'Model hash: 45a21ea00a, Model: tiny, Lora hashes: "ink: 0123456789ab", Version: v1.10.1'
)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(texts=None, *, size=(64, 48), chunks=(), late=(), mode="RGB", pixels=None):
    """A PNG with texts as Pillow writes them, chunks of one's own before the pixels, and others behind."""
    info = PngImagePlugin.PngInfo()
    for key, text in (texts or {}).items():
        info.add_text(key, text)
    file = io.BytesIO()
    image = Image.new(mode, size) if pixels is None else Image.fromarray(pixels)
    image.save(file, "PNG", pnginfo=info)
    data = file.getvalue()
    at = 8 + 25
    end = len(data) - 12
    early = b"".join(png_chunk(*chunk) for chunk in chunks)
    return data[:at] + early + data[at:end] + b"".join(png_chunk(*chunk) for chunk in late) + data[end:]


def make_exif(tags, *, order="<", inner=None):
    """EXIF data with tags of type ASCII in its first directory and of type UNDEFINED in its Exif directory."""
    inner = inner or {}
    count = len(tags) + bool(inner)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    place = 8 + 2 + 12 * count + 4
    values, entries = b"", []
    for tag, data in tags.items():
        entries.append(struct.pack(f"{order}HHII", tag, 2, len(data), place + len(values)))
        values += data + b"\0" * (len(data) % 2)
    if inner:
        directory = place + len(values)
        entries.append(struct.pack(f"{order}HHII", 0x8769, 4, 1, directory))
        values += struct.pack(f"{order}H", len(inner))
        data_place = directory + 2 + 12 * len(inner) + 4
        stored = b""
        for tag, data in inner.items():
            values += struct.pack(f"{order}HHII", tag, 7, len(data), data_place + len(stored))
            stored += data
        values += b"\0\0\0\0" + stored
    return head + struct.pack(f"{order}H", count) + b"".join(entries) + b"\0\0\0\0" + values


def user_comment(text, order="be"):
    """A comment as piexif writes it."""
    return b"UNICODE\0" + text.encode(f"utf-16-{order}")


def exif_with_comment(text, order="be"):
    return make_exif({}, inner={0x9286: user_comment(text, order)})


def make_image(kind, *, exif=b"", xmp=b"", comment=None, size=(64, 48)):
    """A JPEG, WebP or AVIF by Pillow with given EXIF, XMP and comment."""
    file = io.BytesIO()
    options = {"exif": (b"Exif\0\0" if kind == "JPEG" else b"") + exif} if exif else {}
    if xmp:
        options["xmp"] = xmp
    if comment is not None:
        options["comment"] = comment
    Image.new("RGB", size).save(file, kind, **options)
    return file.getvalue()


def make_gif(comment):
    file = io.BytesIO()
    Image.new("P", (64, 48)).save(file, "GIF", comment=comment)
    return file.getvalue()


def box(kind, *parts):
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data


def make_mp4(tags):
    """An MP4 with tags under names of their own, as ComfyUI's SaveVideo writes them."""
    names = [box(b"mdta", name.encode()) for name in tags]
    keys = box(b"keys", struct.pack(">II", 0, len(names)), *names)
    values = [
        box(struct.pack(">I", number), box(b"data", struct.pack(">II", 1, 0), text.encode()))
        for number, text in enumerate(tags.values(), 1)
    ]
    header = struct.pack(">I", 0) + bytes(72) + struct.pack(">II", 64 << 16, 48 << 16)
    meta = box(b"meta", box(b"hdlr", bytes(24)), keys, box(b"ilst", *values))
    movie = box(b"moov", box(b"trak", box(b"tkhd", header)), meta)
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"mdat", bytes(500)) + movie


def element(kind, data):
    return bytes.fromhex(kind) + (len(data) | 1 << 56).to_bytes(8, "big") + data


def make_webm(tags):
    """A WebM with tags, as ComfyUI's SaveWEBM writes them."""
    simple = [
        element("67c8", element("45a3", name.upper().encode()) + element("4487", text.encode()))
        for name, text in tags.items()
    ]
    video = element("e0", element("b0", b"\x40") + element("ba", b"\x30"))
    tracks = element("1654ae6b", element("ae", video))
    segment = tracks + element("1f43b675", bytes(300)) + element("1254c367", element("7373", b"".join(simple)))
    return element("1a45dfa3", element("4282", b"webm")) + element("18538067", segment)


def hide_text(text, *, mode="RGBA", size=(64, 64), is_packed=True):
    """Pixels with a text in their lowest bits, column by column."""
    payload = gzip.compress(text.encode()) if is_packed else text.encode()
    mark = {"RGBA": "stealth_png", "RGB": "stealth_rgb"}[mode] + ("comp" if is_packed else "info")
    data = mark.encode() + struct.pack(">I", len(payload) * 8) + payload
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    pixels = np.full((size[1], size[0], len(mode)), 254, np.uint8)
    columns = pixels.transpose(1, 0, 2)
    flat = columns[:, :, [3] if mode == "RGBA" else [0, 1, 2]]
    shape = flat.shape
    flat = flat.reshape(-1)
    flat[: len(bits)] |= bits
    columns[:, :, [3] if mode == "RGBA" else [0, 1, 2]] = flat.reshape(shape)
    return pixels


def make_jxl(*boxes, size="ff0acb06"):
    """A JPEG XL in its container, with the head of one of 64 by 48 pixels as libjxl writes it."""
    head = bytes.fromhex("0000000c4a584c200d0a870a") + box(b"ftyp", b"jxl ", bytes(4), b"jxl ")
    return head + box(b"jxlp", bytes(4), bytes.fromhex(size), bytes(30)) + b"".join(boxes)


def stored_brotli(data):
    """A Brotli stream (RFC 7932) that holds `data` as it is."""
    # window of 16 bits; not the last; length in 4 nibbles; uncompressed; then an empty last block
    assert len(data) <= 1 << 16
    head = 0 | 0 << 1 | 0 << 2 | (len(data) - 1) << 4 | 1 << 20
    return head.to_bytes(3, "little") + data + b"\x03"
