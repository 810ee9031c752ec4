"""Devices on the network: which are paired, a code for the next one, taking one off."""

import time
from typing import Any, Final

from stablenew.errors import ConfigError
from stablenew.web.api import Call, Endpoint
from stablenew.web.lan.device_book import CODE_SECONDS, DeviceBook


def _book(call: Call) -> DeviceBook:
    return DeviceBook(call.context.controller.root)


def _devices(call: Call) -> dict[str, Any]:
    door = call.context.lan_door
    return {
        "lan": door and {"origin": door.origin, "fingerprint": door.fingerprint},
        "devices": [device.to_dict() for device in _book(call).devices()],
    }


def _invite(call: Call) -> dict[str, Any]:
    from stablenew.web.lan.qr_code import build_pairing_link, draw_for_page  # noqa: PLC0415
    from stablenew.web.request_bodies import InviteBody  # noqa: PLC0415

    body: InviteBody = call.body(InviteBody)
    door = call.context.lan_door
    if door is None:
        raise ConfigError("this server is not open to the network; start it with `stablenew serve --lan`")
    code = _book(call).invite(body.role, rater=body.rater, is_blind=body.is_blind)
    link = build_pairing_link(door.origin, code)
    expires_at = time.time() + CODE_SECONDS
    return {"code": code, "link": link, "picture": draw_for_page(link), "expires_at": expires_at}


def _revoke(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import RevokeBody  # noqa: PLC0415

    body: RevokeBody = call.body(RevokeBody)
    _book(call).revoke(body.device)
    return _devices(call)


ENDPOINTS: Final = (
    Endpoint("GET", "/api/devices", "The devices that are paired, and the address that they use.", _devices),
    Endpoint(
        "POST",
        "/api/devices/invite",
        "A code that pairs one device, good once and for two minutes, with its link and the link as a QR code.",
        _invite,
        (),
        "InviteBody",
    ),
    Endpoint(
        "POST", "/api/devices/revoke", "Take a device off; it gets nothing from now on.", _revoke, (), "RevokeBody"
    ),
)
