"""Who asks, and what each may ask for: one table of all addresses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from stablenew.errors import ConfigError


class Role(IntEnum):
    """What somebody may do; each includes the ones before it."""

    LOOK = 1
    """See images, and what is said of them."""
    RATE = 2
    """Rate them as well, under a name of one's own."""
    OWNER = 3
    """Everything. Only the page on the computer itself is the owner's; no device is."""


DEVICE_ROLES: Final = {"look": Role.LOOK, "rate": Role.RATE}
"""The roles that a device can have, by the names that people type."""
VIEWER: Final = "stablenew.viewer"
"""Where the guard of the network leaves who asks; a request cannot set it."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks."""

    role: Role
    rater: str | None = None
    """The name that feedback is kept under; None is the rater of the settings."""
    device_id: str | None = None
    device_name: str | None = None
    is_blind: bool = False
    """Whether what others think is hidden."""

    @property
    def is_device(self) -> bool:
        """Whether it asks through the network."""
        return self.device_id is not None


OWNER: Final = Viewer(Role.OWNER)
_FOLDERS: Final = re.compile(r"(?:\b[A-Za-z]:|(?<![\w.]))[\\/]+(?:[^\\/'\":*?<>|\n]+[\\/]+)+")
"""The folders of a path from its root on, in a text."""


def without_places(value: Any, viewer: Viewer) -> Any:
    """An error in JSON, or its text, as somebody may see it: a device learns of no folder of this computer."""
    if not viewer.is_device:
        return value
    if isinstance(value, dict):
        return {name: without_places(item, viewer) for name, item in value.items()}
    if isinstance(value, list):
        return [without_places(item, viewer) for item in value]
    return _FOLDERS.sub("…/", value) if isinstance(value, str) else value


def check_feedback(batch: Iterable[Any], viewer: Viewer) -> None:
    """Return where a device may say all of this.

    Raises:
        ConfigError: it would put an image into the trash.
    """
    if viewer.is_device and any(item.trashed is not None for item in batch):
        raise ConfigError("the trash is the owner's; reject an image instead")


def viewer_of(scope: Any) -> Viewer:
    """Who asks: a device, or the owner at the computer itself."""
    viewer: Viewer = scope.get(VIEWER, OWNER)
    return viewer


ROLES: Final[dict[str, Role]] = {
    "GET /api/status": Role.LOOK,
    "GET /api/live": Role.LOOK,
    "GET /api/images/snapshot": Role.LOOK,
    "GET /api/images/stack": Role.LOOK,
    "GET /api/images/rows": Role.LOOK,
    "GET /api/images/details": Role.LOOK,
    "GET /api/images/facets": Role.LOOK,
    "GET /api/images/count": Role.LOOK,
    "GET /api/query": Role.LOOK,
    "GET /api/query/fields": Role.LOOK,
    "GET /api/grid": Role.LOOK,
    "GET /api/duel/pairs": Role.RATE,
    "GET /api/duel/report": Role.RATE,
    "GET /outputs/{run_id}/{digest}": Role.LOOK,
    "GET /thumbnails/{run_id}/{digest}/{size}": Role.LOOK,
    "POST /api/feedback": Role.RATE,
    "POST /api/albums/move": Role.RATE,
    "POST /api/undo": Role.RATE,
    "POST /api/redo": Role.RATE,
    "POST /api/duel/votes": Role.RATE,
    "GET /": Role.LOOK,
    "GET /compare": Role.LOOK,
    "GET /grid": Role.LOOK,
    "GET /duel": Role.RATE,
    "GET /static/{path:path}": Role.LOOK,
    **dict.fromkeys(
        (
            "GET /api/jobs",
            "GET /api/jobs/rows",
            "GET /api/jobs/numbers",
            "GET /api/jobs/count",
            "GET /api/facets",
            "GET /api/runs/{run_id}",
            "GET /api/runs/{run_id}/feedback",
            "GET /api/runs/{run_id}/neighbours",
            "GET /api/runs/{run_id}/reproduction",
            "POST /api/runs/{run_id}/verify",
            "POST /api/runs/{run_id}/open",
            "GET /api/grid/plan",
            "GET /api/grid/data",
            "GET /api/trash",
            "POST /api/trash/restore",
            "POST /api/trash/empty",
            "GET /api/copies",
            "POST /api/copies",
            "GET /api/choices",
            "POST /api/plans",
            "GET /api/running",
            "POST /api/running",
            "GET /api/running/{run_id}",
            "POST /api/running/{run_id}/cancel",
            "GET /previews/{run_id}/{number}",
            "POST /api/import/places",
            "POST /api/import/preview",
            "POST /api/import",
            "POST /api/import/stop",
            "POST /api/import/watch",
            "GET /api/insights",
            "GET /api/tuning",
            "GET /api/health",
            "POST /api/tasks",
            "POST /api/repair",
            "POST /api/settings",
            "GET /api/views",
            "POST /api/views",
            "GET /api/images/workflow",
            "POST /api/images/export",
            "POST /api/workflows",
            "POST /api/rounds",
            "POST /api/packs",
            "POST /api/grid/fill",
            "POST /api/engines/check",
            "GET /api/devices",
            "POST /api/devices/invite",
            "POST /api/devices/revoke",
            "GET /api/openapi.json",
            "GET /jobs",
            "GET /runs/{run_id}",
            "GET /trash",
            "GET /copies",
            "GET /new",
            "GET /insights",
            "GET /tune",
            "GET /health",
            "GET /import",
        ),
        Role.OWNER,
    ),
}
"""The role that each address needs, by method and path. One that is not here is the owner's."""


def role_for(method: str, path: str) -> Role:
    """The role that an address needs; `path` is that of its route."""
    return ROLES.get(f"{method} {path}", Role.OWNER)
