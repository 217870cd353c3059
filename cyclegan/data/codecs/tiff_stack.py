"""Stacks of microscopes (OME, ImageJ), whose channels are pages of a TIFF file."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffPageSeries

from cyclegan.data.codecs.limits import check_size

MOST_CHANNELS = 64


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
