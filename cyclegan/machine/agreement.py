"""Whether networks compute what they do in plain float32, but for rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from cyclegan.types import Precision

Results = Mapping[str, Tensor]
"""What the networks compute of one batch, by name: losses and gradients, or pictures."""


class Tolerance(NamedTuple):
    """The largest relative difference from plain float32 that is rounding."""

    loss: float
    """Of a single number, by its size."""
    tensor: float
    """Of a gradient or a picture, in norm, by its norm."""


TOLERANCES: Mapping[Precision, Tolerance] = {
    "float32": Tolerance(loss=1e-3, tensor=0.03),  # sums in another order; L1 turns a rounded 0 into a gradient of 1
    "tf32": Tolerance(loss=0.02, tensor=0.2),  # 10 bits
    "fp16": Tolerance(loss=0.02, tensor=0.3),  # 10 bits, and stored so
    "bf16": Tolerance(loss=0.1, tensor=0.7),  # 7 bits; up to 0.36 was measured in healthy gradients
}
"""Of losses and gradients, by precision. What a broken kernel computes is off by 1 and more, or not finite."""

SMALL = 1e-3
"""A gradient with less than this share of the norm of all is not compared by itself: it may be nothing but rounding."""


def disagreement(results: Results, reference: Results, tolerance: Tolerance) -> str:
    """Where results differ from those of plain float32 by more than rounding; empty where nowhere.

    Single numbers are compared by their size, tensors by the norm of their difference. Names group tensors by what
    stands before the first dot: one that is tiny beside its group may be nothing but rounding, and is compared with it.
    """
    groups: dict[str, float] = {}
    for name, value in reference.items():
        group = name.partition(".")[0]
        groups[group] = math.hypot(groups.get(group, 0.0), float(value.double().norm()))
    for name, expected in reference.items():
        if not expected.isfinite().all():
            continue  # the weights or the pictures, not the lever
        seen = results[name]
        if not seen.isfinite().all():
            return f"{name} is not finite"
        size = max(float(expected.double().norm()), SMALL * groups[name.partition(".")[0]])
        off, allowed = (
            float((seen.double() - expected.double()).norm()),
            tolerance.tensor if seen.ndim else tolerance.loss,
        )
        if off > allowed * size:
            return (
                f"{name} is off by {off / size if size else math.inf:.0%}, where rounding gives at most {allowed:.0%}"
            )
    return ""
