"""Encode TIFF of any type and number of channels, with the tags of its source (TIFF 6.0; OGC 19-008)."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tifffile import TiffFile, imwrite

from cyclegan.data.codecs.contents import GDAL_NODATA, Contents
from cyclegan.data.codecs.encode_pillow import exif_of

Tag = tuple[int, int, int, Any]

ASCII, LONG = 2, 4
PIXEL_SCALE, TIE_POINT, TRANSFORMATION, KEY_DIRECTORY, RATIONAL_POLYNOMIALS = 33550, 33922, 34264, 34735, 50844
RASTER_TYPE, PIXEL_IS_POINT = 1025, 2

TEXTS = (270, 271, 272, 305, 306, 315, 33432)
"""Tags that EXIF data and TIFF share: what is shown, with which camera and program, when, by whom."""

PLACEHOLDERS = {34666: ExifTags.IFD.Exif, 34854: ExifTags.IFD.GPSInfo}
"""Unused tags, each the neighbour of one that tifffile does not write."""


def encode(contents: Contents) -> bytes:
    """Encode a TIFF file, compressed without loss by deflate."""
    channels = contents.values.shape[2]
    samples = contents.with_alpha()
    extra = [2] if contents.alpha is not None else []
    is_rgb = channels == 3
    if not is_rgb:
        extra = [0] * (channels - 1) + extra
    exif = Image.Exif()
    exif.load(exif_of(contents) or b"")
    tags = {tag[0]: tag for tag in (*_texts(exif), *placed(contents))}
    if contents.nodata is not None:
        tags[GDAL_NODATA] = (GDAL_NODATA, ASCII, 0, f"{contents.nodata:.17g}")
    directories = [code for code, pointer in PLACEHOLDERS.items() if exif.get_ifd(pointer)]
    tags |= {code: (code, LONG, 1, 0) for code in directories}
    imwrite(
        file := io.BytesIO(),
        samples if samples.shape[2] > 1 else samples[..., 0],
        photometric="rgb" if is_rgb else "minisblack",
        planarconfig="contig" if samples.shape[2] > 1 else None,
        extrasamples=extra,
        compression="zlib",
        predictor=True,
        iccprofile=contents.profile,
        resolution=contents.kept.dpi,
        resolutionunit=2 if contents.kept.dpi is not None else None,
        metadata=None,
        software=False,
        extratags=[(*tag, True) for _, tag in sorted(tags.items())],
        maxworkers=1,
    )
    return _with_directories(file.getvalue(), exif, directories)


def placed(contents: Contents) -> tuple[Tag, ...]:
    """Return the kept tags, those of places for the size that a pixel has now."""
    across, down = contents.enlargement
    if (across, down) == (1, 1):
        return contents.kept.tiff_tags
    is_point = any(_is_point(tag) for tag in contents.kept.tiff_tags)
    placed = []
    for code, kind, count, value in contents.kept.tiff_tags:
        if code == PIXEL_SCALE:
            value = (value[0] / across, value[1] / down, *value[2:])
        elif code == TIE_POINT:
            value = _tied(value, across, down, shift=0.5 if is_point else 0.0)
        elif code == TRANSFORMATION:
            value = tuple(number / (across, down, 1, 1)[i % 4] for i, number in enumerate(value))
        elif code == RATIONAL_POLYNOMIALS:
            continue  # they hold for the pixels of the sensor
        placed.append((code, kind, count, value))
    return tuple(placed)


def _tied(value: tuple[float, ...], across: float, down: float, shift: float) -> tuple[float, ...]:
    """Return tie points (i, j, k, x, y, z), whose pixels i and j are counted from corners, or, with 0.5, centres."""
    moved: list[float] = []
    for at in range(0, len(value) - 5, 6):
        i, j = value[at : at + 2]
        moved += [(i + shift) * across - shift, (j + shift) * down - shift, *value[at + 2 : at + 6]]
    return tuple(moved)


def _is_point(tag: Tag) -> bool:
    """Return whether a tag says that coordinates are those of the centres of pixels."""
    code, _, _, keys = tag
    return code == KEY_DIRECTORY and any(
        keys[at] == RASTER_TYPE and keys[at + 3] == PIXEL_IS_POINT for at in range(4, len(keys) - 3, 4)
    )


def _texts(exif: Image.Exif) -> list[Tag]:
    """Return the texts of EXIF data as tags."""
    texts = [(code, str(exif[code])) for code in TEXTS if isinstance(exif.get(code), str)]
    return [(code, ASCII, 0, text.encode("ascii", "replace").decode()) for code, text in texts]


def _with_directories(data: bytes, exif: Image.Exif, placeholders: list[int]) -> bytes:
    """Append the directories of EXIF data (exposure, GPS) to a file, and point the placeholders at them."""
    if not placeholders:
        return data
    file = bytearray(data)
    with TiffFile(io.BytesIO(data)) as tiff:
        order, page = tiff.byteorder, tiff.pages.first
        offsets = {code: page.tags[code].offset for code in placeholders}
    for code, offset in offsets.items():
        directory = ImageFileDirectory_v2(ifh=b"II*\0\0\0\0\0" if order == "<" else b"MM\0*\0\0\0\0")
        for tag, value in exif.get_ifd(PLACEHOLDERS[code]).items():
            directory[tag] = value
        file += bytes(len(file) % 2)
        begin = len(file)
        file += directory.tobytes(begin)
        file[offset : offset + 2] = struct.pack(f"{order}H", int(PLACEHOLDERS[code]))
        file[offset + 8 : offset + 12] = struct.pack(f"{order}I", begin)
    return bytes(file)
