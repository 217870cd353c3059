"""Decode arrays of NumPy, `.npy`."""

from __future__ import annotations

import io
import math

import numpy as np

from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.samples import as_values
from cyclegan.data.picture import FilePicture

MOST_CHANNELS = 64
"""Channels of an array that are taken for channels; more look like the width of a picture (C, H, W)."""


def decode(data: bytes) -> FilePicture:
    """Decode an array (H, W) or (H, W, C): grey for one channel, RGB for three of uint8 or uint16, otherwise bands.

    The header is checked before memory is taken. Raises ValueError for objects, which could run code, for other
    shapes, and for damaged files.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = header(stream)
    if len(shape) not in (2, 3):
        raise ValueError(f"its shape {shape} is not (height, width) or (height, width, channels)")
    height, width, channels = (*shape, 1)[:3]
    if channels > MOST_CHANNELS or channels < 1:
        raise ValueError(f"its shape {shape} is not (height, width, channels); move the channels to the end")
    check_size(width, height, channels * kind.itemsize)
    if kind.hasobject:
        raise ValueError("it holds Python objects; save it as numbers")
    if len(data) - stream.tell() < math.prod(shape) * kind.itemsize:
        raise ValueError("the file is truncated")
    stream.seek(0)
    array = np.load(stream, allow_pickle=False)
    values = as_values(array.reshape(height, width, channels))
    is_colour = channels == 3 and values.dtype in (np.uint8, np.uint16)
    return FilePicture(values=values, kind="grey" if channels == 1 else "rgb" if is_colour else "bands")
