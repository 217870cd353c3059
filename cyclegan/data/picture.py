"""A picture as its file holds it: values in the units of the file, and everything that an output can keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.uint8 | np.uint16 | np.int16 | np.int32 | np.float32]
"""(H, W, C) in the units of a file."""

Kind = Literal["grey", "rgb", "cmyk", "lab", "bands"]
"""What the channels of a picture are. `bands` have no meaning as a colour: satellites, stacks of stains."""

Pixels: TypeAlias = npt.NDArray[np.uint8 | np.float32]
"""(H, W, C) as training handles it: uint8 in 0..255, or float32 in [0, 1] of the range of its domain."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What an output takes over from the file of its source."""

    exif: bytes | None = None
    """The EXIF data without a thumbnail, with orientation 1, as `Image.Exif.tobytes` returns it."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontally and vertically."""
    tiff_tags: tuple[tuple[int, int, int, Any], ...] = ()
    """Tags (code, type, count, value) of a TIFF that say where and when it was taken: GeoTIFF, GDAL, dates."""
    nodata: float | None = None
    """The value that marks pixels without data (GDAL)."""
    size: tuple[int, int] | None = None
    """Width and height of the source, where tags say how large a pixel is on the ground or in a body."""
    dicom: Any = None
    """The data set of a DICOM file without its pixels."""


@dataclass(frozen=True, kw_only=True)
class FilePicture:
    """One picture, upright, decoded but not converted."""

    values: Values
    """(H, W, C) in the units of the file, without alpha: uint8, uint16, int16, int32 or float32. In float32, a pixel
    without a value is NaN."""
    kind: Kind
    """What the channels are."""
    begins_with_rgb: bool = False
    """Whether the first three of several bands are red, green and blue."""
    alpha: npt.NDArray[np.uint8 | np.uint16] | None = None
    """(H, W), 0 where the picture is transparent; not premultiplied. None if the picture has no transparency."""
    missing: npt.NDArray[np.bool_] | None = None
    """(H, W), true where the file says that there is no data. None if every pixel has data."""
    window: tuple[float, float] | None = None
    """The values that the file declares as black and white: 0 and 4095 of grey of 12 bits, the window of a DICOM file.
    None if it declares none. RGB of 10 or 12 bits has been scaled to 16."""
    turned: bool = False
    """Whether the file stores it rotated or mirrored, and EXIF data says so."""
    profile: bytes | None = None
    """The embedded ICC profile of `values`; None for values without one (sRGB, or no colour at all)."""
    kept: Kept = field(default_factory=Kept)
    """What an output takes over."""
