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

    Pictures keep their shape; those that are smaller than the largest are in the middle of their cell. The file is
    written completely or not at all. Raises ValueError for a row that has more or fewer pictures than there are titles.
    """
    width, height = (max(picture.size[side] for row in rows for picture in row) for side in (0, 1))
    factor = max(1, round(CELL / width))
    width, height = width * factor, height * factor
    across, down = width + GUTTER, height + GUTTER
    sheet = Image.new("RGB", (GUTTER + across * len(titles), HEADING + down * len(rows)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=18)
    for column, title in enumerate(titles):
        middle = GUTTER + across * column + width // 2
        draw.text((middle, HEADING // 2), title, fill=INK, font=font, anchor="mm")
        for row, pictures in enumerate(rows):
            if len(pictures) != len(titles):
                raise ValueError(f"row {row + 1} has {len(pictures)} pictures for {len(titles)} titles")
            size = pictures[column].width * factor, pictures[column].height * factor
            left, top = (
                GUTTER + across * column + (width - size[0]) // 2,
                HEADING + down * row + (height - size[1]) // 2,
            )
            sheet.paste(pictures[column].resize(size, Image.Resampling.NEAREST), (left, top))
    write_image(sheet, path)
    return path
