"""Check that an engine translates as torch does in plain float32, except for rounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cyclegan.inference.engines.sessions import EnginePrecision

HALF_RANGE = 127.5
"""Grey levels of an 8-bit picture for 1 in the range [-1, 1]."""


class Difference(NamedTuple):
    """The absolute difference of two translations, in grey levels of an 8-bit picture (1/255 of the range)."""

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"at most {self.largest:.3g} and on average {self.mean:.2g} of 255 grey levels"


TOLERANCES: Mapping[EnginePrecision, Difference] = {
    "float32": Difference(0.25, 0.01),
    "bf16": Difference(24, 2.5),
    "int8": Difference(128, 5),
}
"""The largest differences from plain float32 that count as rounding.

Measured with ONNX Runtime 1.32 and OpenVINO 2026.4 on horses and on painted pictures of 256 x 256, with four trained
generators (ResNet-6 of CycleGAN and CUT, U-Net): in float32 at most 0.014 and on average 0.0001; in bf16 1.4 and 0.11
(torch's own bf16: 1.8 and 0.12); in int8 36 and 1.6. A ResNet-9 of width 64 with random weights, which no trained one
is as sensitive as: 0.009 and 0.0007 in float32; 24 and 2.0 in bf16 (torch's own: 20 and 1.7). A wrong translation, such
as one that is moved by one pixel, differs by 198 and more, on average by 16 to 19."""


def difference(translation: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> Difference:
    """Return how far a translation is from that of plain float32, both (N, C, H, W) in [-1, 1].

    Values that are not finite in the reference are left out; others that are not finite differ infinitely.
    """
    known = np.isfinite(reference)
    if not known.any():
        return Difference(0.0, 0.0)
    off = np.abs(translation[known].astype(np.float64) - reference[known]) * HALF_RANGE
    if not np.isfinite(off).all():
        return Difference(float("inf"), float("inf"))
    return Difference(float(off.max()), float(off.mean()))


def disagreement(
    translation: npt.NDArray[np.float32], reference: npt.NDArray[np.float32], precision: EnginePrecision
) -> str:
    """Return how a translation differs from that of plain float32 by more than rounding; empty if it does not."""
    if translation.shape != reference.shape:
        return f"its translation has the shape {translation.shape}, not {reference.shape}"
    off, allowed = difference(translation, reference), TOLERANCES[precision]
    if off.largest <= allowed.largest and off.mean <= allowed.mean:
        return ""
    return f"differs from plain float32 by {off}; in {precision}, rounding explains {allowed}"
