"""What goes into a picture file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs.samples import white_of
from cyclegan.data.picture import Kept, Values

GDAL_NODATA = 42113


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Values in the units of the file, and what it says about them."""

    values: Values
    """(H, W, C)."""
    alpha: npt.NDArray[np.uint8 | np.uint16] | None
    """(H, W)."""
    missing: npt.NDArray[np.bool_] | None
    """(H, W), true where there is no data."""
    profile: bytes | None
    """The ICC profile of the values."""
    kept: Kept
    """What the source says."""
    quality: int | None
    """1 to 100, or None for the usual one."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.values.shape[1], self.values.shape[0]

    @property
    def samples_of_a_row(self) -> int:
        """Number of samples from left to right, without alpha."""
        return int(self.values.shape[1] * self.values.shape[2])

    @property
    def enlargement(self) -> tuple[float, float]:
        """How many times wider and higher the picture is than its source."""
        width, height = self.kept.size or self.size
        return self.size[0] / width, self.size[1] / height

    @property
    def nodata(self) -> float | None:
        """The value of pixels without data: that of the source, or what the type of the values has for it."""
        kind, nodata = self.values.dtype, self.kept.nodata
        if nodata is None and self.missing is None:
            return None
        if kind.kind == "f":
            return float("nan") if nodata is None else nodata
        limits = np.iinfo(np.dtype(kind.name))
        fits = nodata is not None and float(nodata).is_integer() and limits.min <= nodata <= limits.max
        return nodata if fits else 0.0

    def filled(self) -> Values:
        """Return the values with `nodata` where there is no data."""
        if self.missing is None or self.nodata is None:
            return self.values
        return np.where(self.missing[..., None], self.values.dtype.type(self.nodata), self.values)

    def with_alpha(self) -> Values:
        """Return (H, W, C + 1), `filled` and with the alpha in samples of their type; without alpha, `filled`."""
        values = self.filled()
        if self.alpha is None:
            return values
        white = white_of(self.values.dtype)
        shares = self.alpha / np.float64(white_of(self.alpha.dtype)) * white
        alpha = (shares if self.values.dtype.kind == "f" else shares.round()).astype(self.values.dtype)
        return np.concatenate([values, alpha[..., None]], axis=2)

    @staticmethod
    def stripped(kept: Kept | None) -> Kept:
        """Return only what the values themselves mean: which of them is none."""
        return Kept() if kept is None else dataclasses.replace(Kept(), nodata=kept.nodata)
