"""SavedViews: searches that somebody gave a name, kept beside the settings."""

from pathlib import Path
from typing import Final

from stablenew.app_config import read_settings_file
from stablenew.disk.atomic_file import replace_file
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import ConfigError
from stablenew.formats.strict_json import encode_pretty_json

FILE_NAME: Final = "views.json"
MAX_NAME: Final = 80
MAX_VIEWS: Final = 200


class SavedViews:
    """Names and their searches."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        """Every view, in the order in which they were made.

        Raises:
            ConfigError: the file cannot be read.
        """
        views = read_settings_file(self.path)
        if not all(isinstance(query, str) for query in views.values()):
            raise ConfigError(f"{self.path}: expected texts as searches; mend or remove the file")
        return views

    def put(self, name: str, query: str | None) -> dict[str, str]:
        """Save a search under a name, replacing the one it had; None deletes the name. Returns every view.

        Raises:
            ConfigError: the name is empty or too long, or there are too many.
            WriteFailed: the file could not be written; it is unchanged.
        """
        name = name.strip()
        if not name or len(name) > MAX_NAME:
            raise ConfigError(f"expected a name of 1 to {MAX_NAME} characters for the view")
        views = self.read()
        if query is None:
            views.pop(name, None)
        else:
            views[name] = query
        if len(views) > MAX_VIEWS:
            raise ConfigError(f"expected at most {MAX_VIEWS} views; remove one first")
        make_private_folder(self.path.parent)
        replace_file(self.path, encode_pretty_json(dict(views)))
        return views
