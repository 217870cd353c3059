"""How large a picture may be, checked before it takes memory."""

from __future__ import annotations

from PIL import Image

from cyclegan.data.files import LARGEST_FILE


def check_size(width: int, height: int, bytes_of_a_pixel: int = 1) -> None:
    """Raise ValueError for a picture without pixels, with too many, or that takes more than `LARGEST_FILE` bytes."""
    if width <= 0 or height <= 0:
        raise ValueError(f"it has no pixels ({width} x {height})")
    pixels, limit = width * height, Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise ValueError(f"its {pixels:,} pixels exceed the limit of {limit:,}; make it smaller")
    if (size := pixels * bytes_of_a_pixel) > LARGEST_FILE:
        raise ValueError(f"its {size:,} bytes of pixels exceed the limit of {LARGEST_FILE:,}; make it smaller")
