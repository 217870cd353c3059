"""The format of a file by its first bytes: suffixes are often wrong, and slices of scanners often have none."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

Format: TypeAlias = Literal[
    "AVIF", "BMP", "DDS", "DIB", "DICOM", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "NPY", "PCX", "PNG", "PPM", "QOI",
    "SGI", "TGA", "TIFF", "WEBP",
]  # fmt: skip
"""A format that is read; those that Pillow decodes have Pillow's name."""

HEAD = 132
"""Bytes at the begin of a file that tell its format."""

BEGINNINGS: dict[bytes, Format] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\x93NUMPY": "NPY",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"\x01\xda": "SGI",
    b"\0\0\x01\0": "ICO",
    **{b"P%d" % n + space: "PPM" for n in range(1, 7) for space in (b"\n", b" ", b"\t", b"\r", b"#")},
    b"Pf\n": "PPM",
}

BRANDS: dict[bytes, Format] = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIF"),
}

WITHOUT_SIGNATURE: dict[str, Format] = {".tga": "TGA", ".pcx": "PCX", ".dib": "DIB", ".dcm": "DICOM", ".dicom": "DICOM"}
"""The format of files without a signature, by suffix. (Old DICOM files begin with the first element, not `DICM`.)"""


def format_of(data: bytes, path: Path) -> Format | None:
    """Return the format of a file that begins with `data`, or None if it is none that is read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[4:8] == b"ftyp":
        return _of_brands(data)
    for beginning, name in BEGINNINGS.items():
        if data.startswith(beginning):
            return name
    return WITHOUT_SIGNATURE.get(path.suffix.lower()) if data else None


def _of_brands(data: bytes) -> Format | None:
    """Return the format of a file of boxes (ISO 14496-12) by its brand; `mif1` alone can be either."""
    end = min(int.from_bytes(data[:4], "big"), HEAD)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
    if brands[0] in (b"mif1", b"msf1") and (b"avif" in brands or b"avis" in brands):
        return "AVIF"
    return BRANDS.get(brands[0])
