"""Write values as a picture file, with what the file of its source said and still holds."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.codecs import encode_deep, encode_pillow
from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.files import UnwritableImage
from cyclegan.data.format import Space
from cyclegan.data.picture import Kept, Values
from cyclegan.data.stores import OutputFormat, check_stored, format_for
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import one_line, shown


@dataclass(frozen=True, kw_only=True)
class Output:
    """How outputs are written."""

    format: str | None = None
    """Suffix of outputs, `.png`; by default that of the source, if its format can store the values."""
    quality: int | None = None
    """1 to 100 for JPEG, WebP, AVIF and HEIC; 95, for AVIF and HEIC 90, by default. Other formats lose nothing."""
    strip: bool = False
    """Leave out what the source says beside its pixels: EXIF, resolution, places, patients. Profiles stay."""


def _tiff(contents: Contents) -> bytes:
    """Encode a TIFF file; tifffile takes long to import."""
    from cyclegan.data.codecs import encode_tiff

    return encode_tiff.encode(contents)


def _dicom(contents: Contents) -> bytes:
    """Encode a DICOM file; pydicom is an extra, and takes long to import."""
    try:
        from cyclegan.data.codecs import encode_dicom
    except ImportError:
        raise ValueError("to write DICOM, run pip install 'cyclegan[dicom]'") from None
    return encode_dicom.encode(contents)


def _npy(contents: Contents) -> bytes:
    """Encode an array (H, W) of one channel, or (H, W, C)."""
    values = contents.filled()
    np.save(file := io.BytesIO(), values[..., 0] if values.shape[2] == 1 else values, allow_pickle=False)
    return file.getvalue()


DEEP: dict[OutputFormat, Callable[[Contents], bytes]] = {
    "DICOM": _dicom,
    "JPEG2000": encode_deep.encode_jpeg2000,
    "NPY": _npy,
    "PNG": encode_deep.encode_png,
    "PPM": encode_deep.encode_ppm,
    "TIFF": _tiff,
}
"""The encoders of what Pillow does not write."""

ALWAYS_RGB: frozenset[OutputFormat] = frozenset({"AVIF", "WEBP"})
"""Formats that store grey as colours."""

ALWAYS: frozenset[OutputFormat] = frozenset({"DICOM", "JPEG2000", "NPY", "TIFF"})
"""Formats that Pillow would write, but not with all that a source says."""


def encoded(
    values: Values,
    path: Path,
    *,
    kept: Kept | None = None,
    alpha: npt.NDArray[np.uint8 | np.uint16] | None = None,
    missing: npt.NDArray[np.bool_] | None = None,
    space: Space | None = None,
    options: Output | None = None,
) -> bytes:
    """Return the bytes of a file of the format that the suffix of `path` selects; the same bytes for the same values.

    `values` are (H, W, C) in the units of the file; `alpha` and `missing` are (H, W). The file says that its colours
    are of `space`, where the format can. Of `kept`, it says what still holds: pixels on the ground or in a body have
    the size that they have now. Transparency is dropped where the format has none. Where `missing` is true, pixels get
    the value that the source uses for no data (or NaN; or 0), in the formats that have one: TIFF, DICOM and NumPy.
    Raises ValueError for an unknown suffix, UnwritableImage for a picture that the format cannot store.
    """
    name = format_for(path)
    with unwritable(path):
        contents = contents_of(name, np.ascontiguousarray(values), kept, alpha, missing, space, options or Output())
        if name in DEEP and (name in ALWAYS or values.dtype != np.uint8 or values.shape[2] > 3):
            return DEEP[name](contents)
        return encode_pillow.encode(contents, name)


def contents_of(
    name: OutputFormat,
    values: Values,
    kept: Kept | None,
    alpha: npt.NDArray[np.uint8 | np.uint16] | None,
    missing: npt.NDArray[np.bool_] | None,
    space: Space | None,
    options: Output,
) -> Contents:
    """Return what goes into a file. Raises ValueError for values that its format cannot store."""
    check_stored(name, values)
    is_colour = values.shape[2] in (1, 3) and values.dtype in (np.uint8, np.uint16)
    is_grey = values.shape[2] == 1 and name not in ALWAYS_RGB and (alpha is None or name != "HEIF")
    return Contents(
        values=values,
        alpha=alpha,
        missing=missing,
        profile=profile_of(space, grey=is_grey) if space is not None and is_colour else None,
        kept=Contents.stripped(kept) if options.strip else kept or Kept(),
        quality=options.quality,
    )


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Raise UnwritableImage for whatever encoders raise."""
    try:
        yield
    except Exception as error:  # encoders raise almost anything for what they cannot store
        raise UnwritableImage(f"{shown(path)} cannot be written: {one_line(str(error))}") from error


def write_image(image: Image.Image, path: Path) -> None:
    """Write a grey or RGB picture of Pillow in the format that the suffix of `path` selects.

    Missing folders are created. The file is written completely or not at all.
    Raises what `encoded` raises, and Unwritten when the file cannot be written.
    """
    values = np.asarray(image)
    write_whole(path, encoded(values[..., None] if values.ndim == 2 else values, path))
