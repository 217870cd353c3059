"""Pictures in a grid: samples under named columns, and the channels of feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

from cyclegan.data.convert import to_tensor
from cyclegan.types import Images

GUTTER, FRAME, INK = 4, 24, "#e8e8e8"
"""Pixels between pictures, the grey level between and around them, the colour of the names above them.

The frame is dark so that a grid suits light and dark pages."""
SMALLEST = 8
"""Size of the smallest font that can still be read."""


def grid(columns: Images) -> Tensor:
    """The columns (N, 3, H, W) side by side, their names above them, as a picture (3, H', W') in [-1, 1]."""
    rows = torch.stack(list(columns.values()), dim=1).flatten(0, 1)
    together = make_grid(rows, nrow=len(columns), padding=GUTTER, pad_value=FRAME / 127.5 - 1)
    return torch.cat([header(list(columns), rows.shape[-1]).to(together), together], dim=1)


def joined(parts: Sequence[Images]) -> Images:
    """The columns of several parts, each (N, 3, H, W), below each other.

    Pictures that are smaller than the largest are put into the middle of a frame of its size.
    """
    pictures = [column for columns in parts for column in columns.values()]
    height, width = (max(picture.shape[side] for picture in pictures) for side in (2, 3))
    return {name: torch.cat([_framed(columns[name], height, width) for columns in parts]) for name in parts[0]}


def header(names: Sequence[str], width: int) -> Tensor:
    """A strip (3, h, W') in [-1, 1] with a name above each column of a grid, set to fit columns of `width` pixels."""
    font = _font(names, width)
    height = round(1.5 * font.size)
    strip = Image.new("RGB", (GUTTER + (width + GUTTER) * len(names), height), (FRAME,) * 3)
    draw = ImageDraw.Draw(strip)
    for column, name in enumerate(names):
        while len(name) > 1 and font.getlength(name) > width:
            name = name[:-1]
        middle = GUTTER + (width + GUTTER) * column + width / 2
        draw.text((middle, (height + GUTTER) / 2), name, fill=INK, font=font, anchor="mm")
    return to_tensor(strip)


def channels(features: Tensor, most: int = 16) -> Tensor:
    """The first channels of a feature map (C, h, w) as a grid (3, H', W'), from its 1st to its 99th percentile."""
    maps = features[:most].float()
    low, high = torch.quantile(maps.flatten(1), torch.tensor([0.01, 0.99], device=maps.device), dim=1)[..., None, None]
    scaled = (maps - low) / (high - low).clamp(min=1e-6) * 2 - 1
    together: Tensor = make_grid(scaled[:, None], nrow=4, padding=2, pad_value=FRAME / 127.5 - 1)
    return together


def _framed(pictures: Tensor, height: int, width: int) -> Tensor:
    top, left = (height - pictures.shape[2]) // 2, (width - pictures.shape[3]) // 2
    below, right = height - pictures.shape[2] - top, width - pictures.shape[3] - left
    return F.pad(pictures, (left, right, top, below), value=FRAME / 127.5 - 1)


def _font(names: Sequence[str], width: int) -> ImageFont.FreeTypeFont:
    """The largest size, from 8 pixels to what suits the width, in which the longest name fits."""
    sizes = range(max(SMALLEST, round(8 + width / 8)), SMALLEST - 1, -1)
    fonts = (ImageFont.load_default(size) for size in sizes)
    chosen = next(
        (font for font in fonts if max(map(font.getlength, names)) <= width), ImageFont.load_default(SMALLEST)
    )
    assert isinstance(chosen, ImageFont.FreeTypeFont)
    return chosen
