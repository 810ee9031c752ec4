"""Images as servers send them: whole ones are taken as they are, others refused."""

from stablenew.engines.engine import EngineImage
from stablenew.errors import EngineError, UndecodableImage
from stablenew.formats.image_files import open_image


def read_image(data: bytes, *, seed: int | None = None, parent: int | None = None) -> EngineImage:
    """The image in `data`, exactly these bytes.

    Raises:
        EngineError: they are not a complete image.
    """
    media_type, width, height = check_image(data)
    return EngineImage(data, media_type, width, height, seed=seed, parent=parent)


def check_image(data: bytes) -> tuple[str, int, int]:
    """The media type, width and height of an image whose pixels are all there.

    Raises:
        EngineError: some are not.
    """
    from PIL import Image  # noqa: PLC0415

    try:
        with open_image(data) as image:
            image.load()
            return Image.MIME[image.format or ""], image.width, image.height
    except (UndecodableImage, KeyError) as error:
        raise EngineError(f"the server sent an image that cannot be decoded: {error}") from None
