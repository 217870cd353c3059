"""Which values each format that is written can store, and which suffix selects it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.data.picture import Values
from cyclegan.util.text import shown

OutputFormat: TypeAlias = Literal[
    "AVIF", "BMP", "DICOM", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "NPY", "PNG", "PPM", "TGA", "TIFF", "WEBP"
]


class Stores(NamedTuple):
    """What a format can store."""

    types: frozenset[str]
    """Types of samples, by NumPy's name."""
    most_channels: int
    """1 to 4: grey, and colours from 3 on; more: any number."""


EIGHT, SIXTEEN = frozenset({"uint8"}), frozenset({"uint8", "uint16"})
ALL = frozenset({"uint8", "uint16", "int16", "int32", "float32"})
ANY_NUMBER = 65_535

STORES: dict[OutputFormat, Stores] = {
    "AVIF": Stores(EIGHT, 3),
    "BMP": Stores(EIGHT, 3),
    "DIB": Stores(EIGHT, 3),
    "DICOM": Stores(ALL, 3),
    "GIF": Stores(EIGHT, 3),
    "HEIF": Stores(SIXTEEN, 3),
    "JPEG": Stores(EIGHT, 3),
    "JPEG2000": Stores(SIXTEEN, ANY_NUMBER),
    "NPY": Stores(ALL, ANY_NUMBER),
    "PNG": Stores(SIXTEEN, 3),
    "PPM": Stores(SIXTEEN, 3),
    "TGA": Stores(EIGHT, 3),
    "TIFF": Stores(ALL, ANY_NUMBER),
    "WEBP": Stores(EIGHT, 3),
}

SUFFIXES: dict[str, OutputFormat] = {
    ".avif": "AVIF", ".bmp": "BMP", ".dib": "DIB", ".dcm": "DICOM", ".dicom": "DICOM", ".gif": "GIF", ".heic": "HEIF",
    ".heif": "HEIF", ".hif": "HEIF", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".jif": "JPEG",
    ".jp2": "JPEG2000", ".jpx": "JPEG2000", ".jpf": "JPEG2000",
    ".npy": "NPY", ".png": "PNG", ".apng": "PNG", ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM",
    ".tga": "TGA", ".tif": "TIFF", ".tiff": "TIFF", ".gtiff": "TIFF", ".btf": "TIFF", ".tf8": "TIFF", ".webp": "WEBP",
}  # fmt: skip
"""The format that each suffix selects."""


SIDES = {"JPEG": 65_500, "GIF": 65_535, "WEBP": 16_383, "AVIF": 65_536, "HEIF": 16_384, "DICOM": 65_535, "TGA": 65_535}
"""Most pixels on a side in each format; the other formats allow more than is ever read."""


def format_for(path: Path) -> OutputFormat:
    """Return the format that the suffix of a path selects. Raises ValueError for an unknown one."""
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        raise ValueError(f"{shown(path)} has no known suffix; choose one of {' '.join(sorted(SUFFIXES))}")
    return name


def suffix_for(suffix: str, dtype: npt.DTypeLike, channels: int) -> str:
    """Return the suffix of an output whose source has `suffix`.

    It is the same one if its format can be written and stores samples of that type and number, even with loss;
    otherwise `.png` if PNG does, or else `.tif`.
    """
    for candidate in (suffix, ".png"):
        name = SUFFIXES.get(candidate.lower())
        if name is not None and can_store(name, dtype, channels):
            return candidate
    return ".tif"


def can_store(name: OutputFormat, dtype: npt.DTypeLike, channels: int) -> bool:
    """Return whether a format stores samples of a type in that number of channels, even with loss."""
    stores = STORES[name]
    is_possible = channels in (1, 3) or (channels > 0 and stores.most_channels == ANY_NUMBER)
    if name == "DICOM" and channels == 3:
        return np.dtype(dtype) == np.uint8
    return is_possible and np.dtype(dtype).name in stores.types


def check_stored(name: OutputFormat, values: Values) -> None:
    """Raise ValueError for values that a format cannot store."""
    height, width, channels = values.shape
    if not can_store(name, values.dtype, channels):
        other = suffix_for(".png", values.dtype, channels)
        raise ValueError(f"{name} does not store {channels} channels of {values.dtype}; choose {other}")
    if (side := max(height, width)) > (most := SIDES.get(name, side)):
        raise ValueError(f"{side:,} pixels on a side, {name} allows {most:,}")
