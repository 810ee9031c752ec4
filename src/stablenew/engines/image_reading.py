"""Images as servers send them: taken as they are, if they are whole."""

from stablenew.engines.engine import EngineImage
from stablenew.errors import EngineError
from stablenew.store.upkeep.deep_checks import open_image


def check_image(data: bytes, *, seed: int | None = None, parent: int | None = None) -> EngineImage:
    """The image in `data`, exactly these bytes, if they are a whole one.

    Raises:
        EngineError: they are not.
    """
    from PIL import Image  # noqa: PLC0415

    try:
        with open_image(data) as image:
            image.load()
            media_type = Image.MIME[image.format or ""]
            return EngineImage(data, media_type, image.width, image.height, seed=seed, parent=parent)
    except (OSError, ValueError, SyntaxError, KeyError, Warning) as error:
        raise EngineError(f"the server sent an image that cannot be decoded: {error}") from None
