"""Style codes: mixed, weakened, and given to the pictures of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cyclegan.data.picture import Pixels
from cyclegan.inference.graph.nodes import Code


def mixed(codes: Sequence[Code], weights: Sequence[float] = ()) -> Code:
    """Return the mean of codes (1, S), by `weights`, which need not add up to 1; without them, all count alike.

    (Huang and Belongie 2017, eq. 15; for codes of MUNIT, it is interpolation.)
    Raises ValueError for no codes, and for weights that are not one for each, are negative, or add up to 0.
    """
    if not codes:
        raise ValueError("a style needs a picture")
    if weights and (len(weights) != len(codes) or min(weights) < 0 or not 0 < sum(weights) < np.inf):
        raise ValueError(f"{len(codes)} style pictures need as many weights of at least 0, not {[*weights]}")
    mean: Code = np.average(np.stack(codes), axis=0, weights=weights or None).astype(np.float32)
    return mean


def weakened(code: Code, strength: float, has_prior: bool) -> Code:
    """Return a code whose effect is `strength` times as strong; see `StyleGenerator.weaken`.

    Raises ValueError for a strength that is negative or not finite.
    """
    if not 0 <= strength < np.inf:
        raise ValueError(f"the strength of a style must be at least 0, not {strength:g}")
    if has_prior:
        return code * np.float32(strength)
    return np.concatenate([code[:, :-1], code[:, -1:] * np.float32(strength)], axis=1)


def each_with(pixels: Pixels, style: Code | None) -> Iterator[tuple[Pixels, Code | None]]:
    """Yield each picture of a batch (N, H, W, C) with its style, which may be one for all, (1, S)."""
    for number, picture in enumerate(pixels):
        yield picture, style if style is None or len(style) == 1 else style[number : number + 1]
