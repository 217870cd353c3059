"""Encode 8 bits with Pillow, and HEIC."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from cyclegan.data.codecs.contents import Contents

OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "HEIF": {"quality": 90, "chroma": 444},
}
"""How formats that lose something are written: in high quality, and with colours as sharp as the rest."""

TRANSPARENT = frozenset({"AVIF", "HEIF", "JPEG2000", "PNG", "TGA", "WEBP"})

LONGEST_EXIF = 65_533 - 6
"""Bytes of EXIF data that a JPEG file can hold; more is left out."""


def encode(contents: Contents, file_format: str) -> bytes:
    """Encode a file of a format of Pillow, or HEIF. Raises what Pillow raises for what a format cannot store."""
    values = contents.with_alpha() if file_format in TRANSPARENT else contents.values
    options = options_of(contents, file_format)
    if file_format == "HEIF":
        return _heif(values, options)
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    image.save(file := io.BytesIO(), format=file_format, **options)
    return file.getvalue()


def options_of(contents: Contents, file_format: str) -> dict[str, Any]:
    """Return the options with which Pillow saves a picture: the quality, and what the file says."""
    exif = exif_of(contents)
    if exif is not None and file_format == "JPEG" and len(exif) > LONGEST_EXIF:
        exif = None
    said = {"exif": exif, "icc_profile": contents.profile, "dpi": contents.kept.dpi}
    options = {**OPTIONS.get(file_format, {}), **{name: value for name, value in said.items() if value is not None}}
    if contents.quality is not None and "quality" in options:
        options["quality"] = contents.quality
    return options


def exif_of(contents: Contents) -> bytes | None:
    """Return the EXIF data of the source with the size that the picture has now."""
    if contents.kept.exif is None:
        return None
    exif = Image.Exif()
    exif.load(contents.kept.exif)
    details = exif.get_ifd(ExifTags.IFD.Exif)
    if details:
        details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = contents.size
    return exif.tobytes()


def _mode(channels: int) -> str:
    return {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]


def _heif(values: Any, options: dict[str, Any]) -> bytes:
    """Encode HEIC; samples of 16 bits keep 10."""
    if values.shape[2] == 2:
        values = values[..., [0, 0, 0, 1]]
    mode = _mode(values.shape[2]) + (";16" if values.dtype == np.uint16 else "")
    import pillow_heif  # takes long

    options.pop("dpi", None)
    pillow_heif.encode(mode, values.shape[1::-1], values.tobytes(), file := io.BytesIO(), **options)
    return file.getvalue()
