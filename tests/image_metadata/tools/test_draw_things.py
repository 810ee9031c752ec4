"""Draw Things."""

import json

from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image, make_png
from tests.image_metadata.tools.reading import holds


def test_draw_things():
    data = {
        "c": "a harbour",
        "uc": "fog",
        "model": "tiny.ckpt",
        "sampler": "DPM++ 2M Karras",
        "scale": 7,
        "seed": 3,
        "steps": 20,
        "size": "64x48",
        "strength": 1,
        "lora": [{"model": "ink", "weight": 0.6}],
        "v2": {},
    }
    comment = b"ASCII\0\0\0" + json.dumps(data).encode()
    jpeg = make_image("JPEG", exif=make_exif({0x010E: b"text", 0x0131: b"Draw Things"}, inner={0x9286: comment}))
    escaped = json.dumps(data).replace('"', "&quot;")
    xmp = f"<exif:UserComment><rdf:Alt><rdf:li xml:lang='x-default'>{escaped}</rdf:li></rdf:Alt></exif:UserComment>"
    png = make_png(chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.encode())])
    for file in (jpeg, png):
        found = read_image_metadata(file).generation
        assert (found.tool, found.prompt, found.negative_prompt) == ("Draw Things", "a harbour", "fog")
        assert holds(found, sampler="DPM++ 2M", scheduler="Karras", cfg_scale=7.0, width=64, seed=3, model="tiny.ckpt")
        assert found.loras == (Lora("ink", 0.6),)
