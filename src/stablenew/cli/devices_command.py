"""`stablenew devices`: phones and other computers that may look at this store, or rate it, through the network."""

from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output
from stablenew.errors import ConfigError

if TYPE_CHECKING:
    from stablenew.web.lan.device_book import Device, DeviceBook

app = typer.Typer(help="Devices on the network that may look or rate: list, pair, revoke.", no_args_is_help=True)


@app.command("list")
def list_devices(ctx: typer.Context) -> None:
    """List the devices that are paired."""
    out: Output = ctx.obj
    devices = _open_book(out).devices()
    out.json([device.to_dict() for device in devices])
    if not devices:
        out.print("No device is paired. `stablenew serve --lan` opens the page to the network.")
    out.table(["name", "may", "rates as", "paired", "from", "id"], map(_describe, devices))


def _describe(device: "Device") -> tuple[str, ...]:
    role = f"{device.role}, blind" if device.is_blind else device.role
    return device.name, role, device.rater, device.paired_at[:16], device.address, device.id


@app.command()
def pair(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(metavar="ROLE", help="What it may do: look, or rate.")] = "rate",
    rater: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name it rates under; by default its own name.")
    ] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Hide from it what others think.")] = False,
) -> None:
    """Print a code that pairs one device with the page that `stablenew serve --lan` opened."""
    out: Output = ctx.obj
    origin = _find_origin(out)
    code = _open_book(out).invite(role, rater=rater, is_blind=blind)
    from stablenew.web.lan.qr_code import build_pairing_link

    out.json({"origin": origin, "code": code, "link": build_pairing_link(origin, code)})
    show_code(out, origin, code)


@app.command()
def revoke(
    ctx: typer.Context, device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its name or id.")]
) -> None:
    """Revoke a device: it has no access from now on. What it rated stays."""
    out: Output = ctx.obj
    gone = _open_book(out).revoke(device)
    out.json({"revoked": gone.to_dict()})
    out.print(f"{gone.name} is revoked. What it rated stays, under the name {gone.rater}.")


def _open_book(out: Output) -> "DeviceBook":
    from stablenew.web.lan.device_book import DeviceBook

    return DeviceBook(out.root)


def _find_origin(out: Output) -> str:
    """Where the running server is on the network."""
    from stablenew.web.server import ServerPlace

    place = ServerPlace(out.root)
    is_running = not place.take()
    place.release()
    note = place.read() if is_running else None
    if note is None or note.lan_origin is None:
        raise ConfigError("no page of this store is open to the network; start `stablenew serve --lan`")
    return note.lan_origin


def show_code(out: Output, origin: str, code: str) -> None:
    """Print a code with the link that holds it, as a QR code where the terminal has the letters for it."""
    from stablenew.web.lan.qr_code import build_pairing_link, draw_for_terminal

    out.print("", f"Scan this with the device, or open {origin} there and enter  {code}")
    out.print("The code is good once, for two minutes.", "")
    picture = draw_for_terminal(build_pairing_link(origin, code))
    if _can_print(picture):
        out.print(*picture.split("\n"), "")


def _can_print(text: str) -> bool:
    import sys

    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
