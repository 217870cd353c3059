"""Encode TIFF of any type and number of channels, with the tags of its source (TIFF 6.0; OGC 19-008)."""

from __future__ import annotations

import io
import struct
from typing import IO, Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tifffile import TiffFile, imwrite

from cyclegan.data.codecs.contents import GDAL_NODATA, Contents
from cyclegan.data.codecs.encode_pillow import exif_of

Tag = tuple[int, int, int, Any]

ASCII, LONG, LONG8 = 2, 4, 16
PIXEL_SCALE, TIE_POINT, TRANSFORMATION, KEY_DIRECTORY, RATIONAL_POLYNOMIALS = 33550, 33922, 34264, 34735, 50844
RASTER_TYPE, PIXEL_IS_POINT = 1025, 2

TEXTS = (270, 271, 272, 305, 306, 315, 33432)
"""Tags that EXIF data and TIFF share: what is shown, with which camera and program, when, by whom."""

PLACEHOLDERS = {34666: ExifTags.IFD.Exif, 34854: ExifTags.IFD.GPSInfo}
"""Unused tags, each the neighbour of one that tifffile does not write."""


HEADS = b"II*\0" + bytes(4), b"II+\0\x08" + bytes(11)
"""Begins of a TIFF and of a BigTIFF file."""


def encode(contents: Contents) -> bytes:
    """Encode a TIFF file, compressed without loss by deflate."""
    samples = contents.with_alpha()
    write(file := io.BytesIO(), samples if samples.shape[2] > 1 else samples[..., 0], contents, maxworkers=1)
    return file.getvalue()


def write(file: IO[bytes], samples: Any, contents: Contents, **options: Any) -> None:
    """Write a TIFF file from samples (H, W, C), without C for one, as tifffile takes them with these options.

    Of `contents`, it takes what the file says, and the size and type of the values. The file is open for reading too.
    """
    channels = contents.values.shape[2]
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
        file,
        samples,
        byteorder="<",
        photometric="rgb" if is_rgb else "minisblack",
        planarconfig="contig" if channels > 1 or extra else None,
        extrasamples=extra,
        compression="zlib",
        predictor=True,
        iccprofile=contents.profile,
        resolution=contents.kept.dpi,
        resolutionunit=2 if contents.kept.dpi is not None else None,
        metadata=None,
        software=False,
        extratags=[(*tag, True) for _, tag in sorted(tags.items())],
        **options,
    )
    _add_directories(file, exif, directories)
    file.seek(0, io.SEEK_END)


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


def _add_directories(file: IO[bytes], exif: Image.Exif, placeholders: list[int]) -> None:
    """Append the directories of EXIF data (exposure, GPS) to a file, and point the placeholders at them."""
    if not placeholders:
        return
    file.seek(0)
    with TiffFile(file) as tiff:
        page, is_big = tiff.pages.first, tiff.is_bigtiff
        offsets = {code: page.tags[code].offset for code in placeholders}
    for code, offset in offsets.items():
        directory = ImageFileDirectory_v2(ifh=HEADS[is_big])
        for tag, value in exif.get_ifd(PLACEHOLDERS[code]).items():
            directory[tag] = value
        end = file.seek(0, io.SEEK_END)
        begin = end + end % 2
        file.write(bytes(end % 2) + directory.tobytes(begin))
        file.seek(offset)
        kind, numbers = (LONG8, "QQ") if is_big else (LONG, "II")
        file.write(struct.pack(f"<HH{numbers}", int(PLACEHOLDERS[code]), kind, 1, begin))
