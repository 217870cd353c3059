"""The five types of samples that a picture in memory has, and how samples of other types become one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cyclegan.data.picture import Values

AS_THEY_ARE = frozenset(np.dtype(kind) for kind in ("u1", "u2", "i2", "i4", "f4"))


def as_values(samples: npt.NDArray[Any]) -> Values:
    """Return samples of any real type as uint8, uint16, int16, int32 or float32, without a change of their values.

    Integers that fit in none of them become float32, which keeps 24 bits, and so do float64 and float16.
    Raises ValueError for complex numbers, texts, dates and records.
    """
    kind = samples.dtype.newbyteorder("=")
    if kind in AS_THEY_ARE:
        return np.ascontiguousarray(samples, dtype=kind)
    if kind.kind == "b":
        return np.where(samples, np.uint8(255), np.uint8(0))
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    if kind.kind not in "iu":
        raise ValueError(f"its samples are {kind}, not real numbers; save it as float32")
    if kind == np.int8:
        return samples.astype(np.int16)
    fits = not samples.size or (int(samples.min()) >= -(2**31) and int(samples.max()) < 2**31)
    return samples.astype(np.int32 if fits else np.float32)


def white_of(kind: np.dtype[Any]) -> float:
    """Return the value of white in samples of a type: the largest integer, and 1 of floats."""
    return 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)


def of_sixteen_bits(samples: npt.NDArray[Any], white: int) -> npt.NDArray[np.uint16]:
    """Scale unsigned samples, of which `white` is the largest, to the whole range of uint16."""
    if white == 65535:
        return np.ascontiguousarray(samples, dtype=np.uint16)
    return ((samples.clip(0, white).astype(np.uint32) * 65535 + white // 2) // white).astype(np.uint16)


def as_alpha(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8 | np.uint16]:
    """Return transparency of any type as uint8 or uint16; as a float, 1 is opaque."""
    if samples.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(samples)
    return (np.nan_to_num(samples / white_of(samples.dtype)).clip(0, 1) * 65535).round().astype(np.uint16)


def divided(values: Values, alpha: npt.NDArray[np.uint8 | np.uint16]) -> Values:
    """Return colours (H, W, C) that were multiplied with their alpha (H, W) as they were before."""
    share = alpha[..., None] / white_of(alpha.dtype)
    colours = np.divide(values, share, out=np.zeros(values.shape), where=share > 0)
    if values.dtype.kind == "f":
        return colours.astype(np.float32)
    return colours.round().clip(0, white_of(values.dtype)).astype(values.dtype)


def without_data(values: Values, nodata: float | None) -> npt.NDArray[np.bool_] | None:
    """Return (H, W), true where all channels have the value `nodata`; None if no pixel has it."""
    if nodata is None:
        return None
    if values.dtype.kind == "f":
        nodata = float(np.float32(nodata))
    same: npt.NDArray[np.bool_] = np.isnan(values) if np.isnan(nodata) else values == nodata
    missing = np.all(same, axis=2)
    return missing if missing.any() else None
