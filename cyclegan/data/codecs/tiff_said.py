"""What a TIFF file says beside its pixels: how it is turned, its colours, where and when it was taken."""

from __future__ import annotations

import re
from typing import Any

from PIL import Image
from tifffile import TiffFile, TiffPage

from cyclegan.data.codecs.decode_pillow import Said
from cyclegan.data.codecs.metadata import kept_dpi, kept_exif, profile_of_camera
from cyclegan.data.picture import Kept

KEPT_TAGS = (269, 270, 271, 272, 306, 315, 33432, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844, 50909)
"""What it shows, where and when it was taken, by what and whom; GeoTIFF; GDAL's metadata; RPC and GDAL's geometry."""

PLACES = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 50844, 50909})

DESCRIPTION, SOFTWARE, GDAL_METADATA, NODATA, ICC_PROFILE = 270, 305, 42112, 42113, 34675
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296


def said_by(file: TiffFile, page: TiffPage, exif: Image.Exif) -> Said:
    """Return what a file says about its first page."""
    turn = page.tags.valueof(ORIENTATION, 1)
    profile, tags = page.tags.valueof(ICC_PROFILE), _tags(file, page, turn)
    if DESCRIPTION not in {code for code, *_ in tags}:  # of the layout of the file, which its writer added
        for code in (DESCRIPTION, SOFTWARE):
            exif.pop(code, None)
    kept = Kept(
        exif=kept_exif(exif),
        dpi=_dpi(page),
        tiff_tags=tags,
        nodata=_nodata(page),
        size=(page.imagewidth, page.imagelength),
    )
    return Said(turn, bytes(profile) if isinstance(profile, bytes) and profile else profile_of_camera(exif), kept)


def _nodata(page: TiffPage) -> float | None:
    """Return the value of pixels without data, which GDAL writes as a text."""
    try:
        return float(str(page.tags.valueof(NODATA)).strip(" \0"))
    except ValueError:
        return None


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    """Return pixels per inch; a resolution without a unit is only the shape of a pixel."""
    unit = {2: 1.0, 3: 2.54}.get(page.tags.valueof(RESOLUTION_UNIT, 2))
    try:
        across, down = page.tags.valueof(X_RESOLUTION), page.tags.valueof(Y_RESOLUTION)
        return None if unit is None else kept_dpi((unit * across[0] / across[1], unit * down[0] / down[1]))
    except (TypeError, IndexError, ZeroDivisionError):
        return None


def _tags(file: TiffFile, page: TiffPage, turn: int) -> tuple[tuple[int, int, int, Any], ...]:
    """Return the tags that an output keeps; those of places do not hold for a picture that was turned."""
    kept = []
    for code in KEPT_TAGS:
        if (tag := page.tags.get(code)) is None or (turn != 1 and code in PLACES):
            continue
        value = tag.value
        if code == DESCRIPTION and (file.is_ome or file.is_imagej or page.is_shaped or not isinstance(value, str)):
            continue  # it describes the layout of the file
        if code == GDAL_METADATA:  # statistics of the values no longer hold
            value = re.sub(r'\s*<Item name="STATISTICS_[^>]*>[^<]*</Item>', "", str(value))
        kept.append((code, int(tag.dtype), int(tag.count), value))
    return tuple(kept)
