"""The finest detail of a picture, by which enlarged pictures are recognised."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MOST, LEAST = 256, 32
"""Side of the square in the middle that is measured, and of the smallest picture that can be."""

BANDS = 32
"""Number of bands of frequencies, up to the highest that pixels can hold."""

COARSE = slice(1, 6)
"""The bands that others are compared with."""

SEEN = 0.1
"""Share of the coarse bands' power from which a band has detail."""


def detail(grey: npt.NDArray[Any]) -> float:
    """Return the highest frequency with detail in a picture (H, W), in (0, 1] of the highest that its pixels can hold.

    The power of natural pictures falls with the square of the frequency (Field 1987, J. Opt. Soc. Am. A 4), so power
    times squared frequency is about equal in all bands. An enlargement by n has nearly none above 1 / n. Returns NaN
    for pictures that are too small or flat.
    """
    side = min(*grey.shape, MOST)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    values = grey[top : top + side, left : left + side].astype(np.float32)
    if side < LEAST or values.max() == values.min():
        return float("nan")
    window = np.hanning(side)
    power = np.abs(np.fft.rfft2((values - values.mean()) * np.outer(window, window))) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    band = (frequency * 2 * BANDS).astype(int).ravel()
    total = np.bincount(band, (power * frequency**2).ravel())[:BANDS]
    mean = total / np.maximum(np.bincount(band)[:BANDS], 1)
    return float(np.flatnonzero(mean >= mean[COARSE].mean() * SEEN)[-1] + 1) / BANDS
