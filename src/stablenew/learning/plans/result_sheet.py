"""The result sheet of a learning plan: one picture with every image in its place, axes labelled, stars below."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stablenew.errors import UndecodableImage
from stablenew.formats.documents.learning_plan import GRID, LearningPlan, LearningRunStep
from stablenew.formats.image_files import open_image

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_MARGIN: Final = 16
_GAP: Final = 8
_LINE: Final = 22
_LEFT: Final = 190
_INK: Final = (32, 33, 36)
_PALE: Final = (110, 113, 120)
_PAPER: Final = (255, 255, 255)
_EMPTY: Final = (233, 235, 238)
_STAR: Final = (178, 108, 0)


@dataclass(frozen=True)
class SheetImage:
    """An image in a cell of the sheet."""

    data: bytes
    rating: float | None = None


Cells = Mapping[tuple[int, int], SheetImage]
"""Images by (step, cell of the plan)."""


def build_result_sheet(plan: LearningPlan, cells: Cells, *, cell_size: int = 256) -> bytes:
    """The sheet as the bytes of a PNG. Where there is no image yet, the cell says so.

    A sweep or a comparison of presets has a row a step; a grid has a block of rows a step.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415

    layout = _Layout.of(plan, cell_size)
    sheet = Image.new("RGB", layout.size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), plan.name, fill=_INK, font_size=20)
    draw.text((_MARGIN, _MARGIN + 28), _subtitle(plan), fill=_PALE, font_size=13)
    for column, label in enumerate(layout.columns):
        draw.text((layout.left(column), layout.head - _LINE), _fit(label, cell_size), fill=_INK, font_size=14)
    for step in plan.steps:
        _draw_step(sheet, draw, layout, step, cells)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class _Layout:
    """Where everything is on a sheet. All lengths are in pixels."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    """Labels of the rows of one step; a single empty one but for grids."""
    step_count: int
    cell: int

    @classmethod
    def of(cls, plan: LearningPlan, cell: int) -> "_Layout":
        """The layout for a plan: a grid's two axes are columns and rows; other plans have a column for each cell."""
        if plan.method == GRID:
            first, second = plan.axes
            columns = tuple(f"{second.name.partition('.')[2]} {value}" for value in second.values)
            rows = tuple(f"{first.name.partition('.')[2]} {value}" for value in first.values)
            return cls(columns, rows, len(plan.steps), cell)
        labels = tuple(cell.label.partition("=")[2] for cell in plan.cells)
        return cls(labels, ("",), len(plan.steps), cell)

    @property
    def head(self) -> int:
        """The height of what stands above the images."""
        return _MARGIN + 56 + _LINE

    @property
    def row_height(self) -> int:
        """The height of an image with its line of text."""
        return self.cell + _LINE + _GAP

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        width = _LEFT + len(self.columns) * (self.cell + _GAP) + _MARGIN
        return width, self.head + self.step_count * len(self.rows) * self.row_height + _MARGIN

    def left(self, column: int) -> int:
        """The left edge of a column."""
        return _LEFT + column * (self.cell + _GAP)

    def top(self, step: int, row: int) -> int:
        """The upper edge of a row of one step."""
        return self.head + (step * len(self.rows) + row) * self.row_height


def _subtitle(plan: LearningPlan) -> str:
    axes = " by ".join(axis.name for axis in plan.axes) or "presets"
    runs = "1 run" if len(plan.steps) == 1 else f"{len(plan.steps)} runs"
    return f"{plan.method} of {axes} · {runs} · plan {plan.plan_id}"


def _draw_step(sheet: "Image", draw: "ImageDraw", layout: _Layout, step: LearningRunStep, cells: Cells) -> None:
    for row, label in enumerate(layout.rows):
        top = layout.top(step.number, row)
        lines = [*([label] if label else []), f"seed {step.seed}", *_wrap(step.prompt.positive, 26, 6)]
        for number, line in enumerate(lines if row == 0 or not label else lines[:1]):
            draw.text((_MARGIN, top + number * 17), line, fill=_INK if number == 0 else _PALE, font_size=13)
        for column in range(len(layout.columns)):
            cell = row * len(layout.columns) + column
            _draw_cell(sheet, draw, (layout.left(column), top), layout.cell, cells.get((step.number, cell)))


def _draw_cell(sheet: "Image", draw: "ImageDraw", place: tuple[int, int], size: int, image: SheetImage | None) -> None:
    left, top = place
    picture = _thumbnail(image.data, size) if image is not None else None
    if picture is None:
        draw.rectangle((left, top, left + size, top + size), fill=_EMPTY)
        reason = "not yet" if image is None else "cannot be decoded"
        draw.text((left + size // 2, top + size // 2), reason, fill=_PALE, font_size=13, anchor="mm")
        return
    sheet.paste(picture, (left + (size - picture.width) // 2, top + (size - picture.height) // 2))
    if image is not None and image.rating is not None:
        draw.text((left, top + size + 3), f"{image.rating:g} of 5", fill=_STAR, font_size=14)


def _thumbnail(data: bytes, size: int) -> "Image | None":
    try:
        with open_image(data) as image:
            small = image.convert("RGB")
    except UndecodableImage:
        return None
    small.thumbnail((size, size))
    return small


def _wrap(text: str, width: int, most: int) -> list[str]:
    import textwrap  # noqa: PLC0415

    return textwrap.wrap(text, width, max_lines=most, placeholder=" …")


def _fit(text: str, size: int) -> str:
    most = max(4, size // 8)
    return text if len(text) <= most else f"{text[: most - 1]}…"
