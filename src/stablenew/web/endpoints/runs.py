"""One run: shown, checked, repaired, opened; its outputs and thumbnails."""

from typing import Any, Final

from starlette.responses import Response

from stablenew.errors import OutputNotFound, RunNotFound
from stablenew.formats.digest import is_digest
from stablenew.formats.run_id import is_run_id
from stablenew.store.run import Run
from stablenew.web.api import Call, Endpoint
from stablenew.web.lan.roles import without_places
from stablenew.web.outputs import FOREVER, output_response, read_output
from stablenew.web.pictures.thumbnail_making import SIZES, NoPicture


def _run(call: Call) -> Run:
    return call.context.controller.run_store.open(call.path["run_id"])


def _show(call: Call) -> dict[str, Any]:
    from stablenew.store.run_description import describe_run  # noqa: PLC0415

    return describe_run(_run(call)) | {"feedback": _feedback(call)}


def _feedback(call: Call) -> dict[str, Any]:
    """As `feedback --json`, and the rater of this page."""
    manager = call.context.controller.feedback
    reading = manager.read(call.path["run_id"])
    document = reading.build_document().to_dict()
    return document | {"problems": [str(problem) for problem in reading.problems], "rater": manager.rater}


def _neighbours(call: Call) -> dict[str, Any]:
    found = call.context.controller.history.similar_variants(call.path["run_id"], limit=20)
    return {"neighbours": [variant._asdict() for variant in found]}


def _reproduction(call: Call) -> dict[str, Any]:
    found = call.context.controller.reproduction_of(_run(call))
    return {"reproduction": found.to_dict() if found is not None else None}


def _verify(call: Call) -> dict[str, Any]:
    from stablenew.formats.clock import SYSTEM_CLOCK  # noqa: PLC0415
    from stablenew.store.upkeep.verifying.verifier_pool import iter_reports  # noqa: PLC0415
    from stablenew.web.request_bodies import VerifyBody  # noqa: PLC0415

    (report,) = iter_reports([_run(call)], deep=call.body(VerifyBody).deep)
    return report.to_dict() | {"verified_at": SYSTEM_CLOCK.timestamp()}


def _open_folder(call: Call) -> dict[str, Any]:
    import typer  # noqa: PLC0415

    path = _run(call).path.absolute()
    return {"path": str(path), "is_open": typer.launch(str(path)) == 0}


def _output(call: Call) -> Response:
    return output_response(_run(call), _digest(call))


def _thumbnail(call: Call) -> Response:
    """The thumbnail, or a picture that says that there is none: a wall of images must not be a wall of errors."""
    digest, size = _digest(call), {str(side): side for side in SIZES}.get(call.path["size"])
    if size is None:
        raise OutputNotFound(f"thumbnails are {' or '.join(map(str, SIZES))} pixels long")
    if not is_run_id(call.path["run_id"]):
        raise OutputNotFound("expected the id of a run")
    try:
        data = call.context.thumbnails.get(digest, size, lambda: read_output(_run(call), digest))
    except NoPicture as error:
        return _no_picture("cannot be shown", without_places(str(error), call.viewer))
    except (RunNotFound, OutputNotFound, OSError) as error:
        return _no_picture("file not found", without_places(str(error), call.viewer))
    return Response(data, media_type="image/webp", headers={"cache-control": FOREVER})


def _digest(call: Call) -> str:
    digest = f"xxh128:{call.path['digest']}"
    if not is_digest(digest):
        raise OutputNotFound("expected 32 hex digits")
    return digest


def _no_picture(title: str, reason: str) -> Response:
    words = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in reason)[:300]
    headers = {"cache-control": "no-store", "content-security-policy": "default-src 'none'; sandbox", "x-reason": words}
    return Response(_NO_PICTURE.replace("no preview", title), media_type="image/svg+xml", headers=headers)


_NO_PICTURE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="320" viewBox="0 0 320 320">'
    '<rect width="320" height="320" fill="#8883"/>'
    '<path d="M115 105h90v60h-90z M115 165l30-30 19 19 15-15 26 26" fill="none" stroke="#888" stroke-width="5"/>'
    '<path d="M108 187L212 83" stroke="#888" stroke-width="5"/>'
    '<text x="160" y="221" text-anchor="middle" font-family="sans-serif" font-size="18" fill="#888">no preview</text>'
    "</svg>"
)

ENDPOINTS: Final = (
    Endpoint("GET", "/api/runs/{run_id}", "A run in full, as `show --json` prints it, and its feedback.", _show),
    Endpoint("GET", "/api/runs/{run_id}/feedback", "The feedback on a run, as `feedback --json`.", _feedback),
    Endpoint(
        "GET",
        "/api/runs/{run_id}/neighbours",
        "Variants of any run that differ from one of this run in exactly one setting.",
        _neighbours,
    ),
    Endpoint(
        "GET",
        "/api/runs/{run_id}/reproduction",
        "Whether a run that ran again gave the same images, and what changed; null where it repeats none.",
        _reproduction,
    ),
    Endpoint(
        "POST",
        "/api/runs/{run_id}/verify",
        "Whether every byte is still what was recorded, as a report of `verify --json`.",
        _verify,
        (),
        "VerifyBody",
    ),
    Endpoint(
        "POST", "/api/runs/{run_id}/open", "Show the folder in the file manager.", _open_folder, (), "NothingBody"
    ),
    Endpoint("GET", "/outputs/{run_id}/{digest}", "An output, byte for byte.", _output, media_type="*/*"),
    Endpoint(
        "GET",
        "/thumbnails/{run_id}/{digest}/{size}",
        "A small picture of an output, 320 or 1024 pixels long.",
        _thumbnail,
        media_type="image/webp",
    ),
)
