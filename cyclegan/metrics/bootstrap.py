"""Bootstrap confidence intervals: how much a score varies when other pictures are drawn."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from cyclegan.metrics.result import Estimate

RESAMPLES = 200
"""Bootstrap resamples of each score."""


def estimate(value: float, resampled: Tensor, *, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """Return a score with its 95 % interval, computed from the scores of its resamples, (R,).

    The quantiles are shifted so that the mean of the resamples is at `value`, because repeated pictures raise FID. The
    interval is clipped to [`least`, `most`], the range of the score.
    """
    low, high = (np.quantile(resampled.numpy(), [0.025, 0.975]) - resampled.mean().item()).tolist()
    return Estimate(value, max(least, value + low), min(most, value + high))


def estimate_mean(values: Tensor, *, seed: int = 0) -> Estimate:
    """Return the mean of one value per picture, (N,), with its 95 % interval from resamples of the pictures."""
    values = values.double()
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return estimate(values.mean().item(), values[torch.from_numpy(drawn)].mean(dim=1))
