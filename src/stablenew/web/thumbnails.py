"""The door of `pictures` for programs that make thumbnails themselves, in their own process."""

from stablenew.web.pictures.thumbnail_making import make_thumbnails

__all__ = ["make_thumbnails"]
