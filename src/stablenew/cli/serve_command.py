"""`stablenew serve`: the web page of a store."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output

if TYPE_CHECKING:
    from stablenew.web.lan.lan_door import LanDoor
    from stablenew.web.server import ServerNote, ServerPlace


_Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The port; 0 picks any, by default the one used before.")
]
_Lan = Annotated[
    bool,
    typer.Option(
        "--lan",
        help="Also open it to the network, over HTTPS: devices that you pair may look and rate, and nothing else.",
    ),
]
_LanAddress = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="With --lan: the address of this machine to open.")
]
_LanPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="With --lan: its port; by default 8443 or the next free one.")
]
_Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="With --lan: plain HTTP, for devices that refuse the certificate, on a network that you trust.",
    ),
]


def serve(
    ctx: typer.Context,
    port: _Port = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link without opening a browser.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Allow no changes from the page.")] = False,
    lan: _Lan = False,
    lan_address: _LanAddress = None,
    lan_port: _LanPort = None,
    insecure: _Insecure = False,
) -> int:
    """Open the web page: look, rate, compare, start runs. Ctrl-C ends it."""
    out: Output = ctx.obj
    if not lan and (lan_address is not None or lan_port is not None or insecure):
        raise typer.BadParameter("--lan-address, --lan-port and --insecure need --lan")
    from stablenew.web.interrupts import Interrupts
    from stablenew.web.server import ServerPlace, serving

    place = ServerPlace(out.root)
    if not place.take():
        return _show_other(out, place, no_browser=no_browser, lan=lan)
    try:
        with (
            _open_door(out, lan_address, lan_port, is_insecure=insecure) if lan else contextlib.nullcontext() as door,
            serving(out.controller, place, port=port, is_read_only=read_only, lan_door=door) as (note, run),
        ):
            interrupts = Interrupts()
            interrupts.heed()
            _show(out, "serving", note, no_browser=no_browser, door=door)
            run(interrupts)
    finally:
        place.release()
    return 0


@contextlib.contextmanager
def _open_door(out: Output, address: str | None, port: int | None, *, is_insecure: bool) -> "Iterator[LanDoor]":
    from stablenew.web.lan.lan_door import open_lan_door

    door = open_lan_door(out.root, address=address, port=port, is_insecure=is_insecure)
    try:
        yield door
    finally:
        door.close()


def _show_other(out: Output, place: "ServerPlace", *, no_browser: bool, lan: bool) -> int:
    note = place.read()
    if note is None:
        out.warn("another process is starting to serve this store; try again")
        return 1
    _show(out, "already served", note, no_browser=no_browser)
    if lan and note.lan_origin is None:
        out.warn("that server is not open to the network: end it, then start `stablenew serve --lan`")
        return 1
    return 0


def _show(out: Output, state: str, note: "ServerNote", *, no_browser: bool, door: "LanDoor | None" = None) -> None:
    """Print the link and flush it: whoever started us may be waiting for it."""
    import sys

    url = note.build_url()
    code = door.book.invite() if door else None
    opened = {"lan": {"origin": door.origin, "code": code, "fingerprint": door.fingerprint}} if door else {}
    out.json({"state": state, "url": url, "store": str(out.root.absolute())} | opened)
    if state == "serving":
        out.print(f"Serving {out.root.absolute()}")
    else:
        out.print(f"{out.root.absolute()} is served by another process already.")
    if not _open(url, no_browser=no_browser):
        out.print("Open this link; it works once (run `stablenew serve` again for a new one):")
    out.print(url)
    if door and code:
        _show_door(out, door, code)
    if state == "serving":
        out.print("Ctrl-C ends it.")
    sys.stdout.flush()


def _show_door(out: Output, door: "LanDoor", code: str) -> None:
    from stablenew.cli.devices_command import show_code

    out.print(
        "",
        f"Open to the network at {door.origin}, and at no other address of this machine.",
        "Devices that you pair may look and rate, and nobody else gets anything. New runs, imports, settings and",
        "emptying the trash stay at this computer.",
    )
    if door.fingerprint:
        out.print("Browsers warn because the certificate is this machine's own. Its SHA-256 fingerprint is")
        out.print(door.fingerprint)
    else:
        out.print(
            "Over plain HTTP: whoever shares this network can see the images, and act as a device that you paired."
        )
    show_code(out, door.origin, code)
    out.print("For another device: `stablenew devices pair`, or Health on the page.")


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
