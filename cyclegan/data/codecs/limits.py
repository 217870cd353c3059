"""How large a picture may be, checked before it takes memory; one limit for Pillow, for every decoder and for files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

BYTES_OF_A_PIXEL = 12
"""Bytes that the largest allowed picture may take for each pixel, in its file and in memory: three of 32 bits."""

LEAST_BYTES = 2**30
"""Most bytes of a file or of a decoded picture, unless more pixels are allowed than Pillow's 89 million."""

RAISE = ", or raise --max_pixels"
"""The advice about a picture over the limit, where the limit can be chosen."""

_advice = ""


@contextmanager
def at_most(pixels: int) -> Iterator[None]:
    """Allow pictures of at most this many pixels for a while, in all threads of this process.

    The limit is Pillow's own (`Image.MAX_IMAGE_PIXELS`), and the limits of bytes follow it. The former limit is
    restored at the end, so do not overlap two uses in different threads.
    Raises ValueError for less than one pixel.
    """
    global _advice
    if pixels < 1:
        raise ValueError(f"max_pixels: give at least one pixel, not {pixels}")
    before = Image.MAX_IMAGE_PIXELS, _advice
    Image.MAX_IMAGE_PIXELS, _advice = pixels, RAISE
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS, _advice = before


def most_pixels() -> int | None:
    """Return how many pixels a picture may have; None where the program that uses us has removed Pillow's limit."""
    return Image.MAX_IMAGE_PIXELS


def most_bytes() -> int:
    """Return how many bytes a file, or a picture as it is decoded, may have."""
    return max(LEAST_BYTES, BYTES_OF_A_PIXEL * (most_pixels() or 0))


def is_over(pixels: int) -> bool:
    """Return whether a picture of this many pixels is over the limit."""
    limit = most_pixels()
    return limit is not None and pixels > limit


def too_large(what: str, limit: int) -> str:
    """Return the line about a picture whose `what` exceeds a limit."""
    return f"its {what} exceed the limit of {limit:,}; make it smaller{_advice}"


def check_size(width: int, height: int, bytes_of_a_pixel: int = 1) -> None:
    """Raise ValueError for a picture without pixels, with too many, or that takes more than `most_bytes`."""
    if width <= 0 or height <= 0:
        raise ValueError(f"it has no pixels ({width} x {height})")
    pixels = width * height
    if is_over(pixels):
        raise ValueError(too_large(f"{pixels:,} pixels", most_pixels() or 0))
    if (size := pixels * bytes_of_a_pixel) > (limit := most_bytes()):
        raise ValueError(too_large(f"{size:,} bytes of pixels", limit))
