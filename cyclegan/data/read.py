"""Read a picture file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cyclegan.data.codecs import decode_deep, decode_npy, decode_pillow
from cyclegan.data.codecs.limits import most_pixels, too_large
from cyclegan.data.codecs.signature import HEAD, Format, format_of
from cyclegan.data.convert import as_image, convert
from cyclegan.data.files import UnreadableImage, contents
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.picture import FilePicture
from cyclegan.util.text import one_line, shown


def _tiff(data: bytes) -> FilePicture:
    """Decode a TIFF file; tifffile takes long to import."""
    from cyclegan.data.codecs import decode_tiff

    return decode_tiff.decode(data)


def _heif(data: bytes) -> FilePicture:
    """Decode a HEIF file; pillow_heif takes long to import."""
    from cyclegan.data.codecs import decode_heif

    return decode_heif.decode(data)


def _dicom(data: bytes) -> FilePicture:
    """Decode a DICOM file; pydicom is an extra, and takes long to import."""
    try:
        from cyclegan.data.codecs import decode_dicom
    except ImportError:
        raise ValueError("to read DICOM, run pip install 'cyclegan[dicom]'") from None
    return decode_dicom.decode(data)


DECODERS: dict[Format, Callable[[bytes], FilePicture]] = {
    "AVIF": decode_deep.decode_avif,
    "DICOM": _dicom,
    "HEIF": _heif,
    "JPEG2000": decode_deep.decode_jpeg2000,
    "NPY": decode_npy.decode,
    "PNG": decode_deep.decode_png,
    "PPM": decode_deep.decode_ppm,
    "TIFF": _tiff,
    **{
        name: partial(decode_pillow.decode, file_format=name)
        for name in ("BMP", "DDS", "DIB", "GIF", "ICO", "PCX", "QOI", "SGI", "TGA", "WEBP")
    },
}
"""The decoder of each format; JPEG, which can be reduced while it is decoded, is the one that is missing."""

NO_VALUE = "it contains no finite value"
"""The error about floats none of which is a number."""

NAMES = "AVIF, BMP, DICOM, GIF, HEIF, JPEG, JPEG 2000, NumPy, PNG, PPM, TIFF, WebP"
"""The formats as a message names them; `kinds.READ` has a few more."""


def read_picture(path: Path, *, at_least: int | None = None) -> FilePicture:
    """Read a picture file: upright, in its own units; of an animation or a stack of pages, the first.

    The first bytes of the file decide how it is decoded, because suffixes are often wrong.
    With `at_least`, a decoder that can reduce while it decodes (JPEG) may return a smaller picture, whose shorter side
    still has at least that many pixels.
    Raises UnreadableImage, whose message is one line with the path and the reason, for a file that is damaged or
    incomplete, has more than `most_bytes`, or holds more than `most_pixels`.
    """
    try:
        data = contents(path)
    except (OSError, ValueError, MemoryError) as error:
        raise unreadable(shown(path), error) from error
    return read_bytes(data, shown(path), at_least=at_least)


def read_bytes(data: bytes, name: str, *, at_least: int | None = None) -> FilePicture:
    """Read a picture from the bytes of its file, like `read_picture`; `name` stands in its errors.

    The suffix of `name` matters only for formats without a signature.
    """
    try:
        found = format_of(data[:HEAD], Path(name))
        if found is None:
            raise UnidentifiedImageError
        if found == "JPEG":
            return decode_pillow.decode(data, "JPEG", at_least)
        return with_holes(DECODERS[found](data))
    except Exception as error:  # decoders raise almost anything on damaged files
        raise unreadable(name, error) from error


def read_image(path: Path) -> Image.Image:
    """Read a picture file as an 8-bit RGB picture: upright, in sRGB, white where it is transparent.

    Raises UnreadableImage, see `read_picture`, also for pictures of other than one or three channels.
    """
    try:
        return as_image(convert(read_picture(path), RGB_PICTURES).pixels)
    except UnreadableImage:
        raise
    except ValueError as error:
        raise UnreadableImage(f"{shown(path)} cannot be read: {error}") from None


def with_holes(picture: FilePicture) -> FilePicture:
    """Return a picture whose pixels without any value are missing, which only floats can say.

    Raises ValueError if no pixel has a finite value.
    """
    if picture.values.dtype != np.float32:
        return picture
    if not np.isfinite(picture.values).any():
        raise ValueError(NO_VALUE)
    holes: npt.NDArray[np.bool_] = np.all(np.isnan(picture.values), axis=2)
    return replace(picture, missing=holes) if picture.missing is None and holes.any() else picture


def unreadable(name: str, error: Exception) -> UnreadableImage:
    """Return the error about a file that cannot be read, in one line with its name and the reason."""
    return UnreadableImage(f"{name} cannot be read: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """Return the reason for an error, in one line and without the path."""
    if isinstance(error, UnidentifiedImageError):
        return f"empty, damaged, or none of the formats {NAMES}"
    if isinstance(error, Image.DecompressionBombError) and (number := re.search(r"\d+", str(error))):
        return too_large(f"{int(number[0]):,} pixels", most_pixels() or 0)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; make it smaller"
    return one_line(str(error)) or type(error).__name__
