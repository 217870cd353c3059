"""Decode HEIC and HEIF, the pictures of phones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pillow_heif

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.metadata import exif_in, kept_exif
from cyclegan.data.codecs.samples import as_values, divided, of_sixteen_bits
from cyclegan.data.picture import FilePicture, Kept

DISPLAY_P3 = 12
"""Display P3 in the table of primaries (ITU-T H.273) that a file can name instead of a profile."""


def decode(data: bytes) -> FilePicture:
    """Decode the primary picture of a HEIF file; 10 and 12 bits are scaled to 16.

    libheif applies the rotation that the file declares; the orientation in its EXIF data repeats it, and is ignored.
    Raises almost anything on damaged files.
    """
    with warnings.catch_warnings(action="ignore"):
        image = pillow_heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    width, height = image.size
    check_size(width, height, bytes_of_a_pixel=8)
    samples = np.asarray(image)
    samples = samples.reshape(height, width, -1)
    if samples.dtype == np.uint16:
        samples = of_sixteen_bits(samples, 2 ** int(image.info["bit_depth"]) - 1)
    mode = image.mode.split(";")[0]
    has_alpha = mode[-1] in "aA"
    colours = as_values(samples[..., :-1] if has_alpha else samples)
    alpha = np.ascontiguousarray(samples[..., -1]) if has_alpha else None
    if alpha is not None and mode[-1] == "a":
        colours = divided(colours, alpha)
    return FilePicture(
        values=colours,
        kind="grey" if colours.shape[2] == 1 else "rgb",
        alpha=alpha,
        profile=_profile(image.info),
        kept=Kept(exif=kept_exif(exif_in(image.info.get("exif") or b""))),
    )


def _profile(info: dict[str, Any]) -> bytes | None:
    """Return the embedded profile, or that of the primaries which the file names."""
    if profile := info.get("icc_profile"):
        return bytes(profile)
    primaries = (info.get("nclx_profile") or {}).get("color_primaries")
    return profile_of("display_p3") if primaries == DISPLAY_P3 else None
