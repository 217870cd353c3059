"""The colours of a painting: those of the style, or of the content, which the style gets before or which are kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cyclegan.data.convert import LUMA
from cyclegan.inference.finish import Shares, matching, with_colour_of
from cyclegan.painting.settings import Colour

TURNS = 12
"""Rotations of the colours in which their histograms are matched, one after the other."""

BINS = 512
"""Quantiles of a histogram."""


def coloured(style: Shares, content: Shares, colour: Colour) -> Shares:
    """Return a style (h, w, 3) in the colours in which it serves as an example for a content (H, W, 3).

    For `luminance`, both must be grey, see `grey`. (Gatys et al. 2016, "Preserving Color"; 2017, section 5.)
    """
    if colour == "style":
        return style
    if colour == "covariance":
        return matching(content, style)(style)
    return _same_luminance(style, content) if colour == "luminance" else _same_histogram(style, content)


def grey(picture: Shares) -> Shares:
    """Return the luma of a picture (H, W, 3), in three equal channels."""
    luma = (picture @ np.array(LUMA, np.float32))[..., None]
    return luma.repeat(3, axis=2)


def with_own_colour(painting: Shares, content: Shares, colour: Colour) -> Shares:
    """Return a painting with the chroma of its content if `colour` is `luminance`, else as it is; all (H, W, 3)."""
    return with_colour_of(content, painting) if colour == "luminance" else painting


def _same_luminance(style: Shares, content: Shares) -> Shares:
    """Return a grey style with the mean and the deviation of a grey content (Gatys et al. 2017, section 5)."""
    deviation = max(float(style.std()), 1 / 255)  # that of a flat style is rounding
    moved: Shares = (style - style.mean()) * np.float32(content.std() / deviation) + content.mean()
    return moved.clip(0, 1)


def _same_histogram(style: Shares, content: Shares) -> Shares:
    """Return a style with the colours of a content, however they are distributed.

    The histograms along three axes are matched, in one rotation of the colours after the other (Pitie et al. 2005).
    """
    colours, wanted = style.reshape(-1, 3).astype(np.float64), content.reshape(-1, 3).astype(np.float64)
    random = np.random.default_rng(0)
    shares = np.linspace(0, 1, BINS)
    for turn in range(TURNS):
        axes = np.eye(3) if turn in (0, TURNS - 1) else np.linalg.qr(random.normal(size=(3, 3)))[0]
        turned, aims = colours @ axes, wanted @ axes
        moved = [_matched(turned[:, axis], aims[:, axis], shares) for axis in range(3)]
        colours = np.stack(moved, axis=1) @ axes.T
    matched: Shares = colours.reshape(style.shape).clip(0, 1).astype(np.float32)
    return matched


def _matched(
    values: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return values (n) that have the quantiles of others (m)."""
    before = np.quantile(values, shares)
    rising = before + np.arange(len(shares)) * 1e-12  # equal quantiles would make the inverse ambiguous
    return np.interp(values, rising, np.quantile(wanted, shares))
