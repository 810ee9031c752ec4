"""The link that pairs a device, as a QR code."""

from urllib.parse import quote


def build_pairing_link(origin: str, code: str) -> str:
    """The address with the code. What follows the # stays in the browser: it is sent to no server and is in no log."""
    return f"{origin}/pair#{quote(code)}"


def draw_for_terminal(text: str) -> str:
    """A QR code of letters that are half as wide as high, light on dark."""
    import segno  # noqa: PLC0415

    rows = [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    letters = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        "".join(letters[int(bool(top)), int(bool(bottom))] for top, bottom in zip(*pair, strict=True)) for pair in pairs
    )


def draw_for_page(text: str) -> str:
    """A QR code as the address of a picture."""
    import segno  # noqa: PLC0415

    uri: str = segno.make(text, error="l", micro=False).svg_data_uri(border=4, light="#fff", dark="#000", scale=5)
    return uri
