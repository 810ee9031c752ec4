"""`stablenew serve`: the web page of a store."""

from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output

if TYPE_CHECKING:
    from stablenew.web.server import ServerPlace


def serve(
    ctx: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 picks any, by default the one used before.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link without opening a browser.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Allow no changes from the page.")] = False,
) -> int:
    """Open the web page: history, review, new runs. Ctrl-C ends it."""
    out: Output = ctx.obj
    from stablenew.web.interrupts import Interrupts
    from stablenew.web.server import ServerPlace, serving

    place = ServerPlace(out.root)
    if not place.take():
        return _show_other(out, place, no_browser=no_browser)
    try:
        with serving(out.controller, place, port=port, is_read_only=read_only) as (note, run):
            interrupts = Interrupts()
            interrupts.heed()
            _show(out, "serving", note.build_url(), no_browser=no_browser)
            out.print("Ctrl-C ends it.")
            run(interrupts)
    finally:
        place.release()
    return 0


def _show_other(out: Output, place: "ServerPlace", *, no_browser: bool) -> int:
    note = place.read()
    if note is None:
        out.warn("another process is starting to serve this store; try again")
        return 1
    _show(out, "already served", note.build_url(), no_browser=no_browser)
    return 0


def _show(out: Output, state: str, url: str, *, no_browser: bool) -> None:
    """Print the link and flush it: whoever started us may be waiting for it."""
    import sys

    out.json({"state": state, "url": url, "store": str(out.root.absolute())})
    if state == "serving":
        out.print(f"Serving {out.root.absolute()}")
    else:
        out.print(f"{out.root.absolute()} is served by another process already.")
    if not _open(url, no_browser=no_browser):
        out.print("Open this link; it works once (run `stablenew serve` again for a new one):")
    out.print(url)
    sys.stdout.flush()


def _open(url: str, *, no_browser: bool) -> bool:
    """Whether a browser was opened. One that runs in the terminal does not count: it would take the terminal over."""
    if no_browser:
        return False
    import os
    import sys
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(url)
