"""The pictures of a page, embedded in it."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

from PIL import Image


class Figure(NamedTuple):
    """An embedded picture and its caption."""

    caption: str
    src: str
    width: int
    height: int


class Card(NamedTuple):
    """Two pictures under one slider, and other pictures beside them."""

    name: str
    before: Figure
    after: Figure
    beside: tuple[Figure, ...] = ()


def figure(caption: str, image: Image.Image, *, exact: bool = False) -> Figure:
    """Encode a picture as WebP, `exact` without loss; raises ValueError for sides of more than 16,383 pixels."""
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=90, lossless=exact)
    src = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
    return Figure(caption, src, image.width, image.height)
