"""Which pages of a TIFF file are pictures, and stacks of microscopes (OME, ImageJ), whose pages are channels."""

from __future__ import annotations

from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffPage, TiffPageSeries

from cyclegan.data.codecs.limits import check_size

MOST_CHANNELS = 64


def page_numbers(source: BinaryIO) -> list[int]:
    """Return which pages of a TIFF file are pictures of their own: all but previews, overviews and masks of others.

    Of a file that declares its pages to be channels of one picture, it is the first. Only the directories are read.
    Raises ValueError for a file of several pages that ends before the last one.
    """
    with TiffFile(source) as file:
        if stack_in(file) is not None:
            return [0]
    source.seek(0)
    with TiffFile(source) as file:  # anew, because tifffile reads pages differently once it knows the series
        pages = list(file.pages)
        if len(pages) > 1 and _next(file, source, pages[-1]):
            raise ValueError("it is truncated: pages are missing")
        return [0, *(i for i, page in enumerate(pages) if i and not _is_about_another(page))]


def channels_of(file: TiffFile) -> npt.NDArray[Any] | None:
    """Return (H, W, C) of a file that declares its pages to be channels of one picture, or None.

    Pages along another axis (time, depth) are other pictures, of which the first is read.
    """
    if (stack := stack_in(file)) is None:
        return None
    channels, height, width = stack.shape
    check_size(width, height, channels * stack.dtype.itemsize)
    if len(stack.pages) != channels:
        raise ValueError("it is truncated: pages are missing")
    pages: npt.NDArray[Any] = stack.asarray(maxworkers=1)
    return np.moveaxis(pages, 0, -1)


def stack_in(file: TiffFile) -> TiffPageSeries | None:
    """Return the pages of a file that declares them to be channels of one picture, or None."""
    if not (file.is_ome or file.is_imagej):
        return None
    stack = file.series[0]
    is_one = stack.axes == "CYX" and 2 <= stack.shape[0] <= MOST_CHANNELS and stack.dtype is not None
    return stack if is_one else None


def _next(file: TiffFile, source: BinaryIO, page: TiffPage) -> int:
    """Return the place of the page after this one, as the file states it; 0 for none."""
    count, entry, place = (8, 20, 8) if file.is_bigtiff else (2, 12, 4)
    order: Literal["big", "little"] = "big" if file.byteorder == ">" else "little"
    source.seek(page.offset)
    source.seek(page.offset + count + int.from_bytes(source.read(count), order) * entry)
    return int.from_bytes(source.read(place), order)


def _is_about_another(page: TiffPage) -> bool:
    """Return whether a page says that it is a smaller copy (1) or a mask (4) of another one."""
    return bool(int(page.subfiletype) & 5)
