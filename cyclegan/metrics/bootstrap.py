"""The bootstrap: how else a figure could have come out, had other pictures been drawn."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from cyclegan.metrics.result import Estimate

RESAMPLES = 200


def estimate(value: float, resampled: Tensor, *, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """A figure with its 95 % interval, of its resamples, (R,).

    Their spread lies around the value, not around their own mean, because repeated pictures raise FID; it is cut to
    what the figure can be.
    """
    low, high = (np.quantile(resampled.numpy(), [0.025, 0.975]) - resampled.mean().item()).tolist()
    return Estimate(value, max(least, value + low), min(most, value + high))


def estimate_mean(values: Tensor, *, seed: int = 0) -> Estimate:
    """The mean of one number of each picture, (N,), resampled over the pictures."""
    values = values.double()
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return estimate(values.mean().item(), values[torch.from_numpy(drawn)].mean(dim=1))
