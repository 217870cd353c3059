"""What banded inference needs of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.plan import Pass
from cyclegan.inference.graph.nodes import Node

Rows = TypeVar("Rows")
"""Rows of a layer as the engine has them, (1, C, h, W)."""

Statistics = Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
"""The mean (C) that a norm subtracts, and the factor (C) that it multiplies by, by the norm's name."""


SMALLEST_VARIANCE = 1e-12
"""The smallest variance in layer norm, as in `blocks.LayerNorm`."""


class Moments(NamedTuple):
    """The mean and the variance of each channel of some rows."""

    mean: npt.NDArray[np.float64]
    """(C)."""
    variance: npt.NDArray[np.float64]
    """(C), of the values as they are, without Bessel's correction."""
    number: int
    """The number of values in each channel."""

    def joined(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together (Chan et al. 1979, eq. 2.1)."""
        number = self.number + other.number
        shift, share = other.mean - self.mean, other.number / number
        variance = self.variance * (1 - share) + other.variance * share + shift**2 * share * (1 - share)
        return Moments(self.mean + shift * share, variance, number)

    def of_norm(self, node: Node) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the mean (C) that a norm of these values subtracts, and the factor (C) that it multiplies by."""
        if node.op == "instance_norm":
            return self.mean, 1 / np.sqrt(self.variance + node.number)
        mean, values = self.mean.mean(), self.number * len(self.mean)
        variance = (self.variance + (self.mean - mean) ** 2).mean() * values / (values - 1)
        factor = 1 / (np.sqrt(max(variance, SMALLEST_VARIANCE)) + node.number)
        return np.full_like(self.mean, mean), np.full_like(self.mean, factor)


class Store(Protocol[Rows]):
    """A layer of a whole picture, in memory or in a file."""

    def read(self, rows: slice, columns: slice) -> Rows:
        """Return a part of the layer; it may share memory with the store."""

    def write(self, rows: slice, columns: slice, values: Rows) -> None:
        """Store a part of the layer."""


class Runner(Protocol[Rows]):
    """Computes the layers of a pass on bands."""

    bytes_of_a_value: int
    """How many bytes a value of a stored layer takes."""
    copies: float
    """How many times more memory than its layers have in float32 a band takes."""

    def sweeping(self) -> AbstractContextManager[None]:
        """Return a context for one pass."""

    def images(self, pixels: Pixels) -> Rows:
        """Return the images (1, C, h, W) in [-1, 1] of pixels (h, W, C)."""

    def run(self, part: Pass, inputs: Sequence[Rows], statistics: Statistics) -> list[Rows]:
        """Return `part.outputs`, computed from `part.inputs` as if the band was a whole picture."""

    def cut(self, values: Rows, rows: slice, columns: slice) -> Rows:
        """Return a part of a layer, which may share memory with it."""

    def copied(self, rows: Rows) -> Rows:
        """Return a copy of rows."""

    def joined(self, above: Rows, below: Rows) -> Rows:
        """Return rows one above the other."""

    def moments(self, rows: Rows) -> Moments:
        """Return the mean and variance of each channel."""

    def pixels(self, rows: Rows) -> Pixels:
        """Return translations (1, C, h, W) in [-1, 1] as pixels of the target domain. Raises ValueError for NaN."""

    def store(self, like: Rows, height: int, width: int, array: Any) -> Store[Rows]:
        """Return a store for a layer of this size like this part; `array(shape, type)` makes a NumPy array."""
