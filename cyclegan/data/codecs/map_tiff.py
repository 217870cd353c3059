"""Decode a large TIFF file to memory that the caller provides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffPage

from cyclegan.data.codecs.decode_tiff import (
    MINISBLACK,
    PALETTE,
    RGB,
    YCBCR,
    as_rows,
    channels_in,
    check,
    first_page,
    is_for_pillow,
    picture_of,
)
from cyclegan.data.codecs.map_jpeg import is_complete, size_in
from cyclegan.data.codecs.metadata import exif_in
from cyclegan.data.codecs.stored import BLOCK, Make, Stored
from cyclegan.data.codecs.tiff_said import said_by
from cyclegan.data.codecs.tiff_stack import stack_in
from cyclegan.data.files import size_of_file
from cyclegan.data.picture import FilePicture

JPEG = 7
JPEG_COLOURS = frozenset({(MINISBLACK, 1), (RGB, 3), (YCBCR, 3)})
"""The photometric interpretations and numbers of samples of JPEG inside TIFF that are decoded to grey or RGB."""

UNSTEADY = frozenset({"uint32", "uint64", "int64"})
"""Types of samples that become one type or another by the largest value of the whole picture, see `as_values`."""

THREADS = min(4, os.cpu_count() or 1)
"""Number of threads that decode strips or tiles."""


def open_tiff(path: Path) -> Stored | None:
    """Open a TIFF file; None for one that is read only as a whole: fax and unusual JPEG inside, palettes, stacks."""
    with TiffFile(path) as file, path.open("rb") as again:
        page = first_page(file)
        is_jpeg = _is_jpeg(page)
        if (is_for_pillow(page) and not is_jpeg) or page.photometric == PALETTE or stack_in(file) is not None:
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
            if is_jpeg:
                _check_jpeg(file, page)
            samples = make(page.shape, dtype)
            page.asarray(out=samples, maxworkers=THREADS, buffersize=BLOCK)
            return as_rows(samples, page)

    def picture(rows: npt.NDArray[Any]) -> FilePicture:
        if is_jpeg:
            return picture_of(rows, None, "grey" if rows.shape[2] == 1 else "rgb", page, said)
        values, alpha, kind = channels_in(rows, page)
        return picture_of(values, alpha, kind, page, said)

    shape = page.imagelength, page.imagewidth, int(page.samplesperpixel)
    return Stored(shape=shape, dtype=np.dtype(dtype), said=said, decode=decode, picture=picture)


def _is_jpeg(page: TiffPage) -> bool:
    """Return whether a page holds JPEG data of 8 bits, as orthophotos and scanned slides do."""
    is_usual = (int(page.photometric), int(page.samplesperpixel)) in JPEG_COLOURS and page.planarconfig == 1
    return page.compression == JPEG and is_usual and page.bitspersample == 8


def _check_jpeg(file: TiffFile, page: TiffPage) -> None:
    """Raise ValueError if JPEG data in a page are truncated, or larger than their strip or tile, as in a bomb."""
    height, width = page.chunks[:2]
    for at, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not size:  # a tile that was never written
            continue
        file.filehandle.seek(at)
        data = file.filehandle.read(size)
        if not is_complete(data):
            raise ValueError("it is truncated: JPEG data have no end")
        found = size_in(data)
        if found[0] > height or found[1] > width:
            raise ValueError(f"its JPEG data are {found[1]:,} x {found[0]:,} pixels in {width:,} x {height:,}")
