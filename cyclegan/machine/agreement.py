"""Check that networks compute the same as in plain float32, except for rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from cyclegan.types import Precision

Results = Mapping[str, Tensor]
"""What the networks compute from one batch, by name: losses and gradients, or images."""


class Tolerance(NamedTuple):
    """The largest relative difference from plain float32 that counts as rounding."""

    loss: float
    """For a scalar, relative to its absolute value."""
    tensor: float
    """For a gradient or an image: the norm of the difference, relative to the norm of the expected tensor."""


TOLERANCES: Mapping[Precision, Tolerance] = {
    "float32": Tolerance(loss=1e-3, tensor=0.03),  # sums in another order; L1 turns a rounded 0 into a gradient of 1
    "tf32": Tolerance(loss=0.02, tensor=0.2),  # 10 bits
    "fp16": Tolerance(loss=0.02, tensor=0.3),  # 10 bits, in storage too
    "bf16": Tolerance(loss=0.1, tensor=0.7),  # 7 bits; differences up to 0.36 were measured in correct gradients
}
"""The tolerances of each precision. The results of a broken kernel differ by 1 and more, or are not finite."""

SMALL = 1e-3
"""Smallest norm, as a share of the norm of its group, that a tensor is compared with; a smaller tensor may be nothing
but rounding."""


def disagreement(results: Results, reference: Results, tolerance: Tolerance) -> str:
    """Return where `results` differ from `reference`, those of plain float32, by more than rounding; empty if nowhere.

    Scalars are compared by their absolute difference, tensors by the norm of their difference. The part of a name
    before the first dot is the group of a tensor: a tensor that is tiny compared to its group may be nothing but
    rounding, so its difference is measured relative to the group. Tensors that are not finite in plain float32 are
    skipped.
    """
    groups: dict[str, float] = {}
    for name, value in reference.items():
        group = name.partition(".")[0]
        groups[group] = math.hypot(groups.get(group, 0.0), float(value.double().norm()))
    for name, expected in reference.items():
        if not expected.isfinite().all():
            continue  # caused by the weights or the pictures, not by the lever
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
                f"{name} is off by {off / size if size else math.inf:.0%}, but rounding explains at most {allowed:.0%}"
            )
    return ""
