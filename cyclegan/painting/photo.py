"""The penalty that keeps a painting photographic: what is straight in the content stays straight."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5
"""How much a window's linear map of colours costs, for colours in [0, 1] (Levin et al. 2008)."""

SIDE = 3
"""Pixels on a side of a window."""


class MattingLaplacian:
    """The quadratic form of the matting Laplacian of a picture (Luan et al. 2017, eq. 2; Levin et al. 2008).

    It is zero for a painting whose colours are, in each window of 3 x 3 pixels, a linear function of the content's. The
    matrix is never made: the form is the sum over windows of the least squared distance from such a function, which
    follows from local means and covariances.

    `content` is (1, 3, H, W) in [-1, 1], of at least 3 x 3 pixels.
    """

    def __init__(self, content: Tensor, epsilon: float = EPSILON) -> None:
        exact = torch.float32 if content.device.type == "mps" else torch.float64  # variances of flat windows are tiny
        self.guide = ((content + 1) / 2).to(exact)
        self.mean = _means(self.guide)
        products = (self.guide[:, :, None] * self.guide[:, None, :]).flatten(1, 2)
        squares = (self.mean[:, :, None] * self.mean[:, None, :]).flatten(1, 2)
        covariance = (_means(products) - squares).permute(0, 2, 3, 1).reshape(1, *squares.shape[2:], 3, 3)
        ridge = epsilon / SIDE**2 * torch.eye(3, dtype=exact, device=content.device)
        self.inverse = torch.linalg.inv(covariance + ridge)
        """(1, H - 2, W - 2, 3, 3)."""

    def __call__(self, picture: Tensor) -> Tensor:
        """Return the form for a picture (1, C, H, W) in [-1, 1], divided by pixels, window size and channels.

        It is a scalar, the mean share of the local variance that the content does not explain.
        """
        painted = ((picture + 1) / 2).to(self.guide.dtype)
        mean = _means(painted)
        variance = _means(painted.square()) - mean.square()
        explained = torch.zeros_like(variance)
        for channel in range(picture.shape[1]):
            one = painted[:, channel : channel + 1]
            common = (_means(self.guide * one) - self.mean * mean[:, channel : channel + 1]).permute(0, 2, 3, 1)
            slopes = (self.inverse @ common[..., None])[..., 0]
            explained[:, channel] = (common * slopes).sum(dim=3)
        return (variance - explained).mean().to(picture.dtype)


def _means(values: Tensor) -> Tensor:
    """Return the mean of each window that lies within (N, C, H, W)."""
    return F.avg_pool2d(values, SIDE, stride=1)
