"""Images: listed, counted, shown, each with what people think of it."""

import contextlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response, StreamingResponse

from stablenew.controller.light_table.image_feedback import ImageFeedback
from stablenew.errors import ConfigError, OutputNotFound, RunNotFound
from stablenew.exporting.image_places import ImagePlaces
from stablenew.formats.digest import digest_bytes
from stablenew.formats.query_language import FLAGS
from stablenew.image_metadata.containers.sniffing import read_container
from stablenew.recording.side_channel import attempt
from stablenew.web.api import NO_STORE, QUERY, Call, Endpoint, Parameter
from stablenew.web.lan.device_view import check_sort, read_query, show_details, show_facets, show_row
from stablenew.web.lan.roles import OWNER, Viewer
from stablenew.web.outputs import iter_pieces

if TYPE_CHECKING:
    from stablenew.formats.query_language import Query
    from stablenew.index.job_history import ImageSnapshot
    from stablenew.store.run import Run
    from stablenew.store.run_store import RunStore
    from stablenew.web.context import WebContext

SORT: Final = Parameter(
    "sort", "newest, oldest, best, worst, random, metric.NAME, or album: as they were put into it.", default="newest"
)
_GROUP: Final = Parameter("group", "Put together what has this in common: job, prompt, seed or day.")
_MAX_ROWS: Final = 500
_LIMITLESS: Final = 1 << 31
_RATIO_UNITS: Final = 4096
_LARGEST_RATIO: Final = 65535
_MOST_STACKED: Final = 500


def _snapshot(call: Call) -> Response:
    limit = max(0, call.get("limit"))
    found = _find(call, check_sort(call.get("sort"), call.viewer), limit)
    data = pack_snapshot(found, limit, is_blind=call.viewer.is_blind)
    tag = f'"{digest_bytes(data)[7:]}"'
    headers = {"cache-control": "no-cache", "etag": tag}
    if call.header("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/octet-stream", headers=headers)


def _find(call: Call, sort: str, limit: int) -> "ImageSnapshot":
    from stablenew.controller.light_table.albums import ALBUM_ORDER, in_album_order  # noqa: PLC0415

    controller, group, is_stacked = call.context.controller, call.get("group"), call.get("stack") == 1
    if sort == ALBUM_ORDER and not group:
        query = controller.history.parse(_query(call))
        return in_album_order(controller.history, controller.feedback, query, is_stacked=is_stacked)
    sort = "oldest" if sort == ALBUM_ORDER else sort
    return controller.history.image_snapshot(
        _query(call), sort=sort, group=group, is_stacked=is_stacked, limit=limit or None
    )


def _stack(call: Call) -> Response:
    history, sort = call.context.controller.history, check_sort(call.get("sort"), call.viewer)
    data = pack_snapshot(
        history.stack_of(call.get("id"), _query(call), sort=sort), _MOST_STACKED, is_blind=call.viewer.is_blind
    )
    return Response(data, media_type="application/octet-stream", headers=NO_STORE)


def _query(call: Call) -> "str | Query":
    return read_query(call.get("query"), call.viewer, call.context.controller.history)


def pack_snapshot(found: "ImageSnapshot", limit: int, *, is_blind: bool = False) -> bytes:
    """A snapshot as the page reads it, little endian, with the first `limit` images of it.

    Four numbers (32 bits): how many images fit, how many follow, how many groups follow, whether they are stacked. Then
    columns: the images' ids and the groups' starts (32 bits), width / height times 4096 (16 bits), where they are
    stacked how many each stands for (16 bits), whether they are rated (8 bits), which with `is_blind` none is.
    """
    import numpy as np  # noqa: PLC0415

    images, sizes = found.images[:limit], found.stack_sizes
    starts = found.group_starts[found.group_starts < max(1, len(images))]
    ratios = np.nan_to_num(found.aspect_ratios[:limit], nan=1.0) * _RATIO_UNITS
    columns = (
        np.array([found.image_count, len(images), len(starts), int(sizes is not None)], "<u4"),
        images.astype("<i4", copy=False),
        starts.astype("<u4"),
        np.clip(np.rint(ratios), 1, _LARGEST_RATIO).astype("<u2"),
        np.minimum([] if sizes is None else sizes[:limit], _LARGEST_RATIO).astype("<u2"),
        found.is_rated[:limit].astype("u1") * (not is_blind),
    )
    return b"".join(column.tobytes() for column in columns)


def _rows(call: Call) -> dict[str, Any]:
    """Each id's image or null, so that a list can fill its places."""
    ids = call.get("ids")
    if not ids or len(ids) > _MAX_ROWS:
        raise ConfigError(f"expected 1 to {_MAX_ROWS} ids")
    return {"images": rows_of(call.context, ids, call.viewer)}


def rows_of(context: "WebContext", ids: Iterable[int], viewer: Viewer = OWNER) -> list[dict[str, Any] | None]:
    """The images of ids with what people think of them, null where one is gone."""
    wanted = list(ids)
    found = {row["id"]: row for row in context.controller.history.image_rows(wanted)}
    feedback = ImageFeedback(context.controller.feedback)
    rater = viewer.rater or context.controller.feedback.rater
    rows = [row and _with_opinions(context, row, rater, feedback) for row in map(found.get, wanted)]
    return [row and show_row(row, viewer) for row in rows] if viewer.is_device else rows


def _with_opinions(context: "WebContext", row: dict[str, Any], own: str, feedback: "ImageFeedback") -> dict[str, Any]:
    """A row with the opinions as the feedback files have them: the index may be a moment behind.

    Of a run that is being moved or synced away the stars are those that the index knows.
    """
    run_ids = {place["run_id"] for place in row["places"]}
    folded = feedback.opinions(_files_of(row), run_ids)
    if any(feedback.events(run_id) is None for run_id in run_ids):
        for rater, stars in row["ratings"].items():
            folded.setdefault(rater, {}).setdefault("rating", stars)
    colour = context.thumbnails.colour(row["digest"])
    return row | {"mine": folded.pop(own, {}), "others": folded, "colour": colour}


def _files_of(row: Mapping[str, Any]) -> set[str]:
    """The digests of all files of a picture."""
    return {row["digest"], *(place["digest"] for place in row["places"])}


def _details(call: Call) -> dict[str, Any]:
    """An image with its record, its file, and everything that was said of it."""
    (row,) = rows_of(call.context, [call.get("id")], call.viewer)
    if row is None:
        raise OutputNotFound("this image is gone")
    run, place = _open_place(call.context.controller.run_store, row)
    variant = int(place["name"].partition("/")[0])
    records = [record.to_dict() for record in run.read_records()[0] if record.variant.index == variant]
    metadata = run.metadata.to_dict()
    details = {
        "image": row,
        "record": next(iter(records), None),
        "source": metadata.get("source"),
        "correlation": metadata.get("correlation"),
        "events": _events(call, row),
    }
    return show_details(details, call.viewer) if call.viewer.is_device else details


def _open_place(store: "RunStore", row: Mapping[str, Any]) -> "tuple[Run, Mapping[str, Any]]":
    """The first place of an image whose run is here, and the run: one may have been moved away just now."""
    for place in (row, *row["places"]):
        with contextlib.suppress(RunNotFound):
            return store.open(place["run_id"]), place
    raise OutputNotFound("this image is gone")


def _events(call: Call, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything that was said of a picture, also what was taken back."""
    feedback, files = ImageFeedback(call.context.controller.feedback), _files_of(row)
    run_ids = dict.fromkeys(place["run_id"] for place in row["places"])
    events = {event.id: event for run_id in run_ids for event in feedback.events(run_id) or ()}
    about = (event for event in events.values() if event.image_id in files)
    return [event.to_dict() for event in sorted(about, key=lambda event: (event.clock, event.id))]


def _workflow(call: Call) -> dict[str, Any]:
    """The workflow in an image's file, as ComfyUI opens it."""
    (row,) = rows_of(call.context, [call.get("id")])
    if row is None:
        raise OutputNotFound("this image is gone")
    data, _ = ImagePlaces(call.context.controller.run_store).read(row)
    texts = {text.key.lower(): text.text for text in read_container(data).texts}
    found, _ = attempt(json.loads, texts.get("workflow") or texts.get("prompt") or "null")
    if not isinstance(found, dict):
        raise OutputNotFound("this image holds no ComfyUI workflow")
    return {"workflow": found, "name": f"{row['digest'][7:19]}.json"}


def _export(call: Call) -> Response:
    from stablenew.controller.image_export import export_images  # noqa: PLC0415
    from stablenew.web.request_bodies import ExportBody  # noqa: PLC0415

    body: ExportBody = call.body(ExportBody)
    controller = call.context.controller
    images = controller.history.image_rows(body.ids)
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the response closes it
    report = export_images(
        controller.run_store,
        images,
        file,
        body.template,
        sidecar=body.settings,
        xmp=body.xmp,
        captions=body.captions,
    )
    file.seek(0)
    headers = {
        **NO_STORE,
        "content-disposition": 'attachment; filename="images.zip"',
        "x-exported": str(len(report.names)),
        "x-missing": str(len(report.problems)),
    }
    return StreamingResponse(iter_pieces(file), media_type="application/zip", headers=headers)


def _facets(call: Call) -> dict[str, Any]:
    history = call.context.controller.history
    query = history.parse(_query(call))
    facets = history.image_facets(query, limit=call.get("limit"))
    found = {
        name: [{"value": item.value, "count": item.job_count} for item in values] for name, values in facets.items()
    }
    flagless, starless = query.without("flag"), query.without("unrated").without("rating")
    found["flag"] = [{"value": flag, "count": _count_both(call, flagless, f"flag:{flag}")} for flag in FLAGS]
    found["unrated"] = [{"value": "yes", "count": _count_both(call, starless, "unrated:yes")}]
    return show_facets(found, call.viewer) if call.viewer.is_device else found


def _count_both(call: Call, query: "Query", condition: str) -> int:
    """How many images fit a query and one condition more."""
    history = call.context.controller.history
    conditions = (*query.conditions, *history.parse(condition).conditions)
    return history.count_images(replace(query, conditions=conditions))


def _count(call: Call) -> dict[str, int]:
    return {"count": call.context.controller.history.count_images(_query(call))}


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/images/snapshot",
        "All images that fit, in order. Four numbers of 32 bits, little endian: how many fit, how many follow, "
        "how many groups follow, whether they are stacked; then their ids and the groups' starts (32 bits each), width "
        "/ height times 4096 (16 bits), where they are stacked how many each stands for (16 bits), and whether they "
        "are rated (8 bits).",
        _snapshot,
        (
            QUERY,
            SORT,
            _GROUP,
            Parameter("stack", "1: of images that differ in the seed alone only the first.", "integer", 0),
            Parameter("limit", "At most the first N images.", "integer", _LIMITLESS),
        ),
        media_type="application/octet-stream",
    ),
    Endpoint(
        "GET",
        "/api/images/stack",
        "The other images that fit and differ from one in the seed alone, in the form of `/api/images/snapshot`.",
        _stack,
        (QUERY, SORT, Parameter("id", "The id of an image.", "integer", 0)),
        media_type="application/octet-stream",
    ),
    Endpoint(
        "GET",
        "/api/images/rows",
        "The images of some ids, in their order, with what people think of them; null where one is gone.",
        _rows,
        (Parameter("ids", "Ids of images, with commas between them.", "numbers"),),
    ),
    Endpoint(
        "GET",
        "/api/images/details",
        "One image with its record, and everything that was said of it.",
        _details,
        (Parameter("id", "The id of an image.", "integer", 0),),
    ),
    Endpoint(
        "GET",
        "/api/images/facets",
        "For each facet its values, and how many of the images that fit have them.",
        _facets,
        (QUERY, Parameter("limit", "At most N values of each.", "integer", 20)),
    ),
    Endpoint(
        "GET",
        "/api/images/workflow",
        "The ComfyUI workflow that an image's file holds.",
        _workflow,
        (Parameter("id", "The id of an image.", "integer", 0),),
    ),
    Endpoint(
        "POST",
        "/api/images/export",
        "Images as a zip file; the headers `x-exported` and `x-missing` count them.",
        _export,
        (),
        "ExportBody",
        media_type="application/zip",
    ),
    Endpoint("GET", "/api/images/count", "How many images fit.", _count, (QUERY,)),
)
