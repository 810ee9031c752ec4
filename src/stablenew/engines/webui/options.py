"""Leaving a WebUI's options as they were.

A call's `override_settings` are meant for that call only. AUTOMATIC1111, Forge and reForge put back only those that
stand in their config file (`process_images` in `modules/processing.py`), and a server whose owner never saved its
settings has few there: what one call overrode would hold for everybody until the next start.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stablenew.engines.webui.client import WebUIClient

_OPTIONS: Final = "/sdapi/v1/options"
_FOLLOWING: Final = {"sd_model_checkpoint": ("sd_checkpoint_hash",)}
"""Options that the program changes with another one and never puts back (`modules/sd_models.py`)."""


@contextlib.contextmanager
def keeping_options(client: WebUIClient, overrides: Mapping[str, Any]) -> Iterator[None]:
    """After the block, also after a failure, the overridden options are what they were before it."""
    touched = [name for option in overrides for name in (option, *_FOLLOWING.get(option, ()))]
    before = _read(client) if overrides else {}
    try:
        yield
    finally:
        if before:
            _put_back(client, {name: before[name] for name in touched if name in before})


def _put_back(client: WebUIClient, wanted: Mapping[str, Any]) -> None:
    after = _read(client)
    changed = {name: value for name, value in wanted.items() if name in after and after[name] != value}
    if changed:
        client.set_options(changed)


def _read(client: WebUIClient) -> Mapping[str, Any]:
    options = client.find(_OPTIONS)
    return options if isinstance(options, dict) else {}
