"""Reading texts in the places where tools put them."""

from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import exif_with_comment, make_image, make_png


def read_texts(texts, **options):
    return read_image_metadata(make_png(texts, **options)).generation


def read_comment(text, kind="JPEG", order="be"):
    return read_image_metadata(make_image(kind, exif=exif_with_comment(text, order))).generation


def holds(generation, **settings):
    return settings.items() <= dict(generation.settings).items()


def with_version(line):
    return (
        f"a quiet harbour\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x48{line}"
    )
