"""The sizes of pictures, from the headers of their files where that is possible, so that batches can be grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from tifffile import TiffFile, TiffPage

from cyclegan.data.codecs.metadata import turn_of
from cyclegan.data.codecs.signature import HEAD, format_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Size
from cyclegan.data.listing import Listing
from cyclegan.data.sources import Source

HEADED = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
"""Formats of which Pillow reads the size without decoding."""

THREADS = 8
"""Files whose headers are read at a time; most of that is waiting for the disk."""


def size_of(path: Path) -> Size | None:
    """Return the upright size (H, W) that the header of a picture file states; None if only decoding tells it."""
    try:
        with path.open("rb") as file:
            found = format_of(file.read(HEAD), path)
        if found == "TIFF":
            return _size_of_tiff(path)
        if found not in HEADED:
            return None
        with Image.open(path, formats=[found]) as image:  # Pillow would decode a PNG in search of EXIF data at its end
            turn = turn_of(image.getexif()) if "exif" in image.info else 1
            return _upright((image.height, image.width), turn)
    except Exception:  # decoders raise almost anything on damaged files, which are reported when they are read
        return None


def sizes_of(source: Source, files: Listing, becomes: Callable[[Size], Size]) -> list[Size]:
    """Return the size (H, W) that each file of a source has after a function of its own size.

    A picture that cannot be read gets the most frequent size, so that others replace it in training.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        found = [becomes(size) if size else None for size in threads.map(partial(_size, source), files)]
    known = Counter(size for size in found if size)
    usual = known.most_common(1)[0][0] if known else (1, 1)
    return [size or usual for size in found]


def groups_of(sizes: Sequence[Size]) -> npt.NDArray[np.int64]:
    """Return the number of each picture's size among all sizes, in the order of the sizes."""
    number = {size: i for i, size in enumerate(sorted(set(sizes)))}
    return np.array([number[size] for size in sizes], dtype=np.int64)


def _size(source: Source, path: Path) -> Size | None:
    if (size := size_of(path)) is None:
        try:
            height, width = source.read(path).shape[:2]
        except UnreadableImage:
            return None
        return height, width
    height, width = size[0], size[1] // 2 if source.half else size[1]
    return (height, width) if height and width else None


def _size_of_tiff(path: Path) -> Size | None:
    with TiffFile(path) as file:
        page = file.pages.first
        if not isinstance(page, TiffPage):
            return None
        turn = page.tags.valueof(ExifTags.Base.Orientation)
        return _upright((page.imagelength, page.imagewidth), turn if isinstance(turn, int) else 1)


def _upright(size: Size, turn: int) -> Size:
    """Return the size of a picture whose EXIF orientation is undone; 5 to 8 exchange its sides."""
    return size[::-1] if 5 <= turn <= 8 else size
