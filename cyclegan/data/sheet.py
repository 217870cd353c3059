"""Write pictures side by side on a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cyclegan.data.write import write_image

CELL = 192  # pixels; smaller pictures are enlarged by the integer factor that comes nearest to it
GUTTER = 12
HEADING = 40
PAPER, INK = "#f7f3ec", "#1d2b2f"


def write_sheet(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str], path: Path) -> Path:
    """Write pictures as a table with a title above each column, and return `path`.

    Pictures keep their shape; those that are smaller than their column or row are in the middle of their cell. The file
    is written completely or not at all. Raises ValueError for a row that has more or fewer pictures than there are
    titles.
    """
    for number, row in enumerate(rows, start=1):
        if len(row) != len(titles):
            raise ValueError(f"row {number} has {len(row)} pictures for {len(titles)} titles")
    widest = max(picture.width for row in rows for picture in row)
    factor = max(1, round(CELL / widest))
    width, heights = widest * factor, [max(picture.height for picture in row) * factor for row in rows]
    across, bottom = width + GUTTER, HEADING + sum(heights) + GUTTER * len(rows)
    sheet = Image.new("RGB", (GUTTER + across * len(titles), bottom), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=18)
    for column, title in enumerate(titles):
        draw.text((GUTTER + across * column + width // 2, HEADING // 2), title, fill=INK, font=font, anchor="mm")
    top = HEADING
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            size = picture.width * factor, picture.height * factor
            corner = GUTTER + across * column + (width - size[0]) // 2, top + (height - size[1]) // 2
            sheet.paste(picture.resize(size, Image.Resampling.NEAREST), corner)
        top += height + GUTTER
    write_image(sheet, path)
    return path
