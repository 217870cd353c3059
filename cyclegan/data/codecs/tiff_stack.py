"""Which pages of a TIFF file are pictures, and stacks of microscopes (OME, ImageJ), whose pages are channels."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffPage, TiffPageSeries

from cyclegan.data.codecs.limits import check_size

MOST_CHANNELS = 64


def page_numbers(data: bytes) -> list[int]:
    """Return which pages of a TIFF file are pictures of their own: all but previews, overviews and masks of others.

    Of a file that declares its pages to be channels of one picture, it is the first.
    Raises ValueError for a file of several pages that ends before the last one.
    """
    with TiffFile(io.BytesIO(data)) as file:
        if _stack(file) is not None:
            return [0]
    with TiffFile(io.BytesIO(data)) as file:  # anew, because tifffile reads pages differently once it knows the series
        pages = list(file.pages)
        if len(pages) > 1 and _next(file, data, pages[-1]):
            raise ValueError("it is truncated: pages are missing")
        return [0, *(i for i, page in enumerate(pages) if i and not _is_about_another(page))]


def channels_of(file: TiffFile) -> npt.NDArray[Any] | None:
    """Return (H, W, C) of a file that declares its pages to be channels of one picture, or None.

    Pages along another axis (time, depth) are other pictures, of which the first is read.
    """
    stack = _stack(file)
    if stack is None:
        return None
    channels, height, width = stack.shape
    check_size(width, height, channels * stack.dtype.itemsize)
    if len(stack.pages) != channels:
        raise ValueError("it is truncated: pages are missing")
    pages: npt.NDArray[Any] = stack.asarray(maxworkers=1)
    return np.moveaxis(pages, 0, -1)


def _stack(file: TiffFile) -> TiffPageSeries | None:
    """Return the series of a file whose pages are channels of one picture, or None."""
    if not (file.is_ome or file.is_imagej):
        return None
    stack = file.series[0]
    if stack.axes != "CYX" or not 2 <= stack.shape[0] <= MOST_CHANNELS or stack.dtype is None:
        return None
    return stack


def _next(file: TiffFile, data: bytes, page: TiffPage) -> int:
    """Return the place of the page after this one, as the file states it; 0 for none."""
    count, entry, place = (8, 20, 8) if file.is_bigtiff else (2, 12, 4)
    order: Literal["big", "little"] = "big" if file.byteorder == ">" else "little"
    number = int.from_bytes(data[page.offset : page.offset + count], order)
    at = page.offset + count + number * entry
    return int.from_bytes(data[at : at + place], order)


def _is_about_another(page: TiffPage) -> bool:
    """Return whether a page says that it is a smaller copy (1) or a mask (4) of another one."""
    return bool(int(page.subfiletype) & 5)
