"""What the wall shows first, put into the page itself: the first pictures are asked for as soon as the script runs."""

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import StableNewError
from stablenew.recording.side_channel import attempt
from stablenew.web.endpoints.images import pack_snapshot, rows_of
from stablenew.web.endpoints.upkeep import status_of_store
from stablenew.web.lan.device_view import check_sort, read_query
from stablenew.web.lan.roles import OWNER, Viewer

if TYPE_CHECKING:
    from stablenew.web.context import WebContext

_BLOCK: Final = 1024
"""The page lays images out in blocks of so many, counted from the end of the list."""
_ROWS: Final = 36
_SLOT: Final = b'<main id="main"'


def with_first_screen(
    page: bytes, context: "WebContext", parameters: Mapping[str, str], viewer: Viewer = OWNER
) -> bytes:
    """The page with the first images of its search; as it is where they cannot be had at once."""
    if not context.is_warm:
        return page
    # The screen asks for what is missing, and reports errors.
    found, _ = attempt(_first_images, context, parameters, viewer)
    if found is None:
        return page
    text = json.dumps(found, ensure_ascii=True, separators=(",", ":"))
    escaped = text.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
    return page.replace(_SLOT, b"%s data-first='%s'" % (_SLOT, escaped.encode()), 1)


def _first_images(context: "WebContext", parameters: Mapping[str, str], viewer: Viewer) -> dict[str, Any]:
    status = status_of_store(context, viewer)
    query, sort = parameters.get("q", status["wall_query"]), parameters.get("sort", "newest")
    group = parameters.get("group", "")
    try:
        history = context.controller.history
        wanted = read_query(query, viewer, history)
        sort_by = check_sort(sort, viewer)
        snapshot = history.image_snapshot(wanted, sort=sort_by, group=group or None, limit=2 * _BLOCK)
    except StableNewError:
        return {"status": status, "query": None, "rows": []}
    limit = snapshot.image_count % _BLOCK + _BLOCK
    return {
        "status": status,
        "query": query,
        "sort": sort,
        "group": group,
        "snapshot": base64.b64encode(pack_snapshot(snapshot, limit, is_blind=viewer.is_blind)).decode(),
        "rows": rows_of(context, snapshot.images[:_ROWS].tolist(), viewer),
    }
