"""Evidence as a picture: means with their intervals, as PNG or SVG."""

import io
import re
from html import escape
from typing import Any, Final

from stablenew.errors import ConfigError
from stablenew.learning.evidence.evidence import Evidence
from stablenew.learning.evidence.value_evidence import ValueEvidence

_WIDTH: Final = 860
_LEFT: Final = 240
_RIGHT: Final = 110
_ROW: Final = 34
_HEAD: Final = 60
_FOOT: Final = 40
_MOST: Final = 40
_INK: Final = "#202124"
_PALE: Final = "#6e7178"
_LINE: Final = "#d5d8dc"
_MARK: Final = "#1a5fb4"
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A name may hold such characters; XML may not, and no program opens a picture that does (XML 1.0, section 2.2)."""

Shape = tuple[str, tuple[Any, ...]]
"""`line` (x1, y1, x2, y2, colour, width), `dot` (x, y, radius, colour) or `text` (x, y, words, colour, size,
anchor)."""


def draw_evidence(evidence: Evidence, suffix: str) -> bytes:
    """The means of a setting's values with their intervals, the best on top; at most 40 of them.

    Raises:
        ConfigError: `suffix` is neither `.png` nor `.svg`.
    """
    shown = evidence.values[:_MOST]
    height = _HEAD + len(shown) * _ROW + _FOOT
    shapes = [
        *_axes(evidence, len(shown)),
        *(shape for place, entry in enumerate(shown) for shape in _row(place, entry)),
    ]
    if suffix.lower() == ".svg":
        return _to_svg(shapes, height)
    if suffix.lower() == ".png":
        return _to_png(shapes, height)
    raise ConfigError(f"expected a file that ends in .png or .svg, found {suffix or 'no ending'!r}")


def _x(stars: float) -> float:
    return _LEFT + min(5.0, max(0.0, stars)) / 5 * (_WIDTH - _LEFT - _RIGHT)


def _axes(evidence: Evidence, rows: int) -> list[Shape]:
    title = evidence.setting + (f" and {evidence.against}" if evidence.against else "")
    bottom = _HEAD + rows * _ROW
    shapes: list[Shape] = [("text", (16, 26, f"{title}: mean stars, with 95 % intervals", _INK, 17, "start"))]
    for stars in range(6):
        shapes.append(("line", (_x(stars), _HEAD - 10, _x(stars), bottom, _LINE, 1)))
        shapes.append(("text", (_x(stars), bottom + 18, str(stars), _PALE, 13, "middle")))
    return shapes


def _row(place: int, entry: ValueEvidence) -> list[Shape]:
    y = _HEAD + place * _ROW + _ROW // 2
    values = entry.value if isinstance(entry.value, list) else [entry.value]
    name = " + ".join("unknown" if value is None else str(value) for value in values)
    return [
        ("text", (_LEFT - 12, y + 5, name if len(name) < 30 else f"{name[:28]}…", _INK, 14, "end")),
        ("line", (_x(entry.mean.low), y, _x(entry.mean.high), y, _MARK, 3)),
        ("dot", (_x(entry.mean.estimate), y, 6, _MARK)),
        (
            "text",
            (_WIDTH - _RIGHT + 14, y + 5, f"{entry.mean.estimate:.2f}  n={entry.image_count:,}", _PALE, 13, "start"),
        ),
    ]


def _to_svg(shapes: list[Shape], height: int) -> bytes:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for kind, values in shapes:
        if kind == "line":
            x1, y1, x2, y2, colour, width = values
            parts.append(
                f'<line x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke="{colour}" stroke-width="{width}"/>'
            )
        elif kind == "dot":
            x, y, radius, colour = values
            parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="{colour}"/>')
        else:
            x, y, words, colour, size, anchor = values
            style = f'fill="{colour}" font-size="{size}" text-anchor="{anchor}"'
            parts.append(f'<text x="{x:.1f}" y="{y}" {style}>{_as_xml(words)}</text>')
    return "\n".join([*parts, "</svg>"]).encode()


def _as_xml(words: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", words))


def _to_png(shapes: list[Shape], height: int) -> bytes:
    from PIL import Image, ImageDraw  # noqa: PLC0415

    image = Image.new("RGB", (_WIDTH, height), "#ffffff")
    draw = ImageDraw.Draw(image)
    for kind, values in shapes:
        if kind == "line":
            *ends, colour, width = values
            draw.line(ends, fill=colour, width=width)
        elif kind == "dot":
            x, y, radius, colour = values
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        else:
            x, y, words, colour, size, anchor = values
            place = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
            draw.text((x, y), words, fill=colour, font_size=size, anchor=place)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
