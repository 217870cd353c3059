"""Decode a large TIFF file to memory that the caller provides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile

from cyclegan.data.codecs.decode_tiff import (
    PALETTE,
    as_rows,
    channels_in,
    check,
    first_page,
    is_for_pillow,
    picture_of,
)
from cyclegan.data.codecs.metadata import exif_in
from cyclegan.data.codecs.stored import BLOCK, Make, Stored
from cyclegan.data.codecs.tiff_said import said_by
from cyclegan.data.codecs.tiff_stack import stack_in
from cyclegan.data.files import size_of_file
from cyclegan.data.picture import FilePicture

UNSTEADY = frozenset({"uint32", "uint64", "int64"})
"""Types of samples that become one type or another by the largest value of the whole picture, see `as_values`."""

THREADS = min(4, os.cpu_count() or 1)
"""Number of threads that decode strips or tiles."""


def open_tiff(path: Path) -> Stored | None:
    """Open a TIFF file; None for one that only decoding as a whole reads: JPEG and fax inside, palettes, stacks."""
    with TiffFile(path) as file, path.open("rb") as again:
        page = first_page(file)
        if is_for_pillow(page) or page.photometric == PALETTE or stack_in(file) is not None:
            return None
        check(page, size_of_file(path))
        if page.dtype is None or page.dtype.name in UNSTEADY:
            return None
        said = said_by(file, page, exif_in(again))
    dtype = page.dtype.newbyteorder("=")

    def decode(make: Make) -> npt.NDArray[Any]:
        with TiffFile(path) as file:
            page = first_page(file)
            check(page, size_of_file(path))
            samples = make(page.shape, dtype)
            page.asarray(out=samples, maxworkers=THREADS, buffersize=BLOCK)
            return as_rows(samples, page)

    def picture(rows: npt.NDArray[Any]) -> FilePicture:
        values, alpha, kind = channels_in(rows, page)
        return picture_of(values, alpha, kind, page, said)

    shape = page.imagelength, page.imagewidth, int(page.samplesperpixel)
    return Stored(shape=shape, dtype=np.dtype(dtype), said=said, decode=decode, picture=picture)
