"""What is done to a translation with the help of its source: mixing them, keeping or matching colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from cyclegan.data.convert import LUMA
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.data.resample import STRIP, strips

FEWEST_ROWS = 32
"""Rows of a strip, at least; those of a mask with a feather overlap."""

Shares = npt.NDArray[np.float32]
"""(H, W, C) in [0, 1], the range of a domain."""

LARGEST_GAIN = 4.0
"""The most by which `match_colour` stretches a direction of colour; more turns the noise of grey into colours."""

FAINT = (0.5 / 255) ** 2
"""The variance of rounding. It is added to both covariances, because that of a single colour has no inverse."""


class Rows(Protocol):
    """Something whose rows can be taken, as an array's or a `SoftMask`'s: (H, W) in [0, 1], 1 for the translation."""

    def __getitem__(self, part: slice, /) -> npt.NDArray[np.float32]:
        """Return some rows, (h, W) in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What is done to every translation. Raises ValueError for a value out of range, and for options that clash."""

    strength: float = 1.0
    """0 gives the source, 1 the translation, and what is between mixes them."""
    keep_colour: bool = False
    """Take the luminance of the translation and the colours of the source."""
    match_colour: bool = False
    """Move the mean and the covariance of the translation's colours to those of the source."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"--strength: must be 0 to 1, not {self.strength:g}")
        if self.keep_colour and self.match_colour:
            raise ValueError("--keep_colour and --match_colour exclude each other; give one of them")

    def __bool__(self) -> bool:
        return self != Finish()

    def __str__(self) -> str:
        """The options that are not at their default, `strength 0.5 keep_colour`; empty if all are."""
        parts = [f"strength {self.strength:g}"] if self.strength < 1 else []
        return " ".join(parts + [name for name in ("keep_colour", "match_colour") if getattr(self, name)])

    def check(self, source: PictureFormat, target: PictureFormat, *, masked: bool = False) -> None:
        """Check that both domains suit these options, and a mask if there is one; see `finished`.

        Raises ValueError, in one line that names the option.
        """
        if not (self or masked):
            return
        option = "--keep_colour" if self.keep_colour else "--match_colour" if self.match_colour else ""
        option = option or ("--mask" if masked else "--strength")
        why = f"the source has {source.told}, the translation {target.told}"
        if {source.channels, target.channels} != {1, 3} and source.channels != target.channels:
            raise ValueError(f"{option}: needs as many channels in both domains, or grey and colour; {why}")
        if source.channels == target.channels == 3 and source.colour != target.colour:
            raise ValueError(f"{option}: needs one colour space in both domains; {why}")
        if self.keep_colour and (source.channels != 3 or target.channels != 3 or target.space is None):
            raise ValueError(f"{option}: needs colour in both domains; {why}")


def finished(
    source: Pixels,
    translated: Pixels,
    how: Finish,
    mask: Rows | None = None,
    *,
    out: Pixels | None = None,
    rows: int | None = None,
) -> Pixels:
    """Return a translation (H, W, C) mixed with its source as `how` says; where `mask` is 0, the source stays as it is.

    The result has the type and the channels of `translated`. A source of another type is converted, its range to the
    range of the target domain; grey is repeated for colour, and colour becomes luma for grey. `keep_colour` needs three
    channels in both, and the others as many in both, or one and three; see `Finish.check`.

    Colours are kept or matched first, all over the picture; then the result is mixed with the source. Works in strips
    of `rows` rows, whose height does not change the result. All arrays may be mapped files; `out`, which is filled and
    returned if it is given, may be `translated` itself.
    """
    if not how and mask is None and out is None:
        return translated
    result: Pixels = np.empty_like(translated) if out is None else out
    move = matching(source, translated, rows) if how.match_colour else None
    rows = rows or max(FEWEST_ROWS, STRIP // translated.shape[1])
    for part in strips(translated.shape[:2], rows):
        own, new = _like(source[part], translated), _shares(translated[part])
        if move is not None:
            new = move(new)
        if how.keep_colour:
            new = with_colour_of(own, new)
        amount = np.float32(how.strength) * (np.float32(1) if mask is None else mask[part][..., None])
        mixed = (1 - amount) * own + amount * new
        result[part] = mixed if result.dtype == np.float32 else (mixed * 255).round().astype(np.uint8)
    return result


def with_colour_of(source: Shares, translated: Shares) -> Shares:
    """Return the luma of a translation with the chroma of its source, all (H, W, 3) in [0, 1].

    It is Y' of one and Cb and Cr of the other (ITU-R BT.601). Where such a colour does not exist, it gets less chroma,
    so that luma and hue stay. On photographs, L* of one with a* and b* of the other (CIELAB) looks nearly the same,
    takes twice as long, and needs the primaries of the space. Linear light that is scaled to the other luminance keeps
    the saturation, but makes bright parts gaudy and turns the noise of dark ones into specks.
    """
    weights = np.array(LUMA, np.float32)
    luma, chroma = (translated @ weights)[..., None], source - (source @ weights)[..., None]
    room = np.where(chroma > 0, 1 - luma, luma) / np.maximum(np.abs(chroma), np.float32(1e-6))
    mixed: Shares = luma + chroma * room.min(axis=2, keepdims=True).clip(0, 1)
    return mixed.clip(0, 1)


class Move(NamedTuple):
    """A linear map of colours: `(colour - before) @ matrix + after`."""

    matrix: npt.NDArray[np.float64]
    """(C, C)."""
    before: npt.NDArray[np.float64]
    """(C), the mean of the colours."""
    after: npt.NDArray[np.float64]
    """(C), the mean that they get."""

    def __call__(self, shares: Shares) -> Shares:
        """Return moved colours, clipped to [0, 1]."""
        return ((shares - self.before) @ self.matrix + self.after).clip(0, 1).astype(np.float32)


def matching(source: Pixels, translated: Pixels, rows: int | None = None) -> Move:
    """Return the map that gives a translation the mean and the covariance of its source's colours.

    Of all linear maps that do, it moves colours least: the Monge-Kantorovich map of normal distributions (Pitie and
    Kokaram 2007). On photographs it looks better than to match the mean and the deviation of each channel of Lab or RGB
    (Reinhard et al. 2001), which leaves a yellow rim on the yellowish translation of a white cup and turns red to
    purple. In Lab, the map looks the same as in RGB. No direction is stretched by more than `LARGEST_GAIN`.
    """
    (after, wanted), (before, found) = _moments(source, translated, rows), _moments(translated, translated, rows)
    faint = FAINT * np.eye(len(found))
    root = _root(found + faint)
    inverse = np.linalg.inv(root)
    matrix = inverse @ _root(root @ (wanted + faint) @ root) @ inverse
    gains, directions = np.linalg.eigh((matrix + matrix.T) / 2)
    return Move((directions * gains.clip(0, LARGEST_GAIN)) @ directions.T, before, after)


def _moments(pixels: Pixels, like: Pixels, rows: int | None) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean (C) and the covariance (C, C) of a picture's colours, converted to the channels of another."""
    height, width = pixels.shape[:2]
    channels = like.shape[2]
    sums, products = np.empty((height, channels)), np.empty((height, channels, channels))
    for part in strips((height, width), rows):
        across = np.moveaxis(_like(pixels[part], like).astype(np.float64), 2, 1)
        sums[part], products[part] = across.sum(axis=2), across @ np.swapaxes(across, 1, 2)
    mean = sums.sum(axis=0) / (height * width)  # of rows, so that the height of the strips does not matter
    return mean, products.sum(axis=0) / (height * width) - np.outer(mean, mean)


def _root(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the square root of a symmetric positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: npt.NDArray[np.float64] = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root


def _like(pixels: Pixels, other: Pixels) -> Shares:
    """Return a picture in shares, with as many channels as another."""
    shares = _shares(pixels)
    if shares.shape[2] == other.shape[2]:
        return shares
    if other.shape[2] == 3:
        return shares.repeat(3, axis=2)
    return shares @ np.array(LUMA, np.float32)[:, None]


def _shares(pixels: Pixels) -> Shares:
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels.astype(np.float32)
