"""The conversion between the values of files and those that training and networks handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.colour import managed
from cyclegan.data.format import Depth, PictureFormat
from cyclegan.data.picture import FilePicture, Pixels, Values

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey (ITU-R BT.601), as in Pillow."""

CLIPPED = 0.01
"""Share of clipped values in a picture from which it is reported."""


NAN = "the image contains NaN: the network that made it has diverged, or its input contained NaN"
"""The error about values that have no colour."""


class Converted(NamedTuple):
    """A picture in the format of its domain."""

    pixels: Pixels
    """(H, W, C)."""
    clipped: float
    """The share of its values outside the range of the domain."""


def convert(picture: FilePicture, to: PictureFormat) -> Converted:
    """Convert the picture of a file to the format of its domain.

    Transparent parts become white, and parts without data the lowest value of the range.
    Raises ValueError when it has another number of channels, unless it is grey and colour is wanted or the reverse.
    """
    own = managed(picture, to.space)
    values = _in_units(_matched(own, to.channels), own, to.depth)
    if own.alpha is not None and own.kind != "bands":
        values = _on_white(values, own.alpha, white=to.range[1])
    if own.missing is not None:
        values = np.where(own.missing[..., None], np.float64(to.range[0]), values)
    if to.in_bytes:
        if values.dtype == np.uint8:
            return Converted(cast(Pixels, values), 0.0)
        return Converted(np.nan_to_num(values).clip(0, 255).round().astype(np.uint8), 0.0)
    low, high = to.range
    scaled = np.nan_to_num((values.astype(np.float32) - low) / np.float32(high - low), posinf=1.0, neginf=0.0)
    clipped = float(np.mean((scaled < 0) | (scaled > 1)))
    return Converted(scaled.clip(0, 1).astype(np.float32), clipped)


def values_of(pixels: Pixels, of: PictureFormat) -> Values:
    """Return the values of a picture (H, W, C) in the units of the files; the inverse of `convert`."""
    if of.in_bytes and pixels.dtype == np.uint8:
        return cast(Values, pixels)
    low, high = of.range
    values = pixels.astype(np.float64) / (255 if pixels.dtype == np.uint8 else 1) * (high - low) + low
    if of.depth == "float32":
        return values.astype(np.float32)
    limits = np.iinfo(of.depth)
    return values.round().clip(limits.min, limits.max).astype(of.depth)


def _in_units(values: npt.NDArray[Any], picture: FilePicture, depth: Depth) -> npt.NDArray[Any]:
    """Return values in the units of files of this depth, as floats unless they are equal already."""
    if values.dtype == depth or depth in ("int16", "float32"):
        return values
    full = float(np.iinfo(depth).max)
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(np.float32) * np.float32(full / np.iinfo(values.dtype).max)
    if picture.kind not in ("grey", "rgb"):
        return values
    black, white = _levels(values)
    return np.nan_to_num(values.astype(np.float64) - black, posinf=white - black, neginf=0.0) * full / (white - black)


def normalised(pixels: Tensor) -> Tensor:
    """Convert `Pixels` as a tensor of any shape, uint8 in 0..255 or float32 in [0, 1], to float32 in [-1, 1]."""
    if pixels.is_floating_point():
        return pixels.float().mul(2).sub(1)
    return pixels.float().div(127.5).sub(1)


def denormalised(images: Tensor, to: PictureFormat) -> Tensor:
    """Convert values in [-1, 1] to `Pixels` of a format, uint8 in 0..255 or float32 in [0, 1]; others are clamped.

    Raises ValueError for NaN, which has no colour.
    """
    if to.in_bytes:
        return to_bytes(images)
    if images.isnan().any():
        raise ValueError(NAN)
    return images.float().clamp(-1, 1).add(1).div(2)


def as_image(values: Values) -> Image.Image:
    """Return 8-bit values (H, W, C), C of 1 or 3, as a picture of Pillow."""
    return Image.fromarray(np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values))


def image_of(images: Tensor, of: PictureFormat) -> Image.Image:
    """Return the RGB view of one image (C, H, W) in [-1, 1] as a picture. Raises ValueError for NaN."""
    return to_image(of.as_rgb(images[None])[0])


def tensor_of(pixels: Pixels) -> Tensor:
    """Return a picture as a tensor (1, C, H, W) in [-1, 1]."""
    import torch  # not at the top: code that only reads files starts faster without torch

    return normalised(torch.tensor(pixels).permute(2, 0, 1)[None])


def _matched(picture: FilePicture, channels: int) -> Values:
    """Return the values with as many channels as the domain has."""
    values, found = picture.values, picture.values.shape[2]
    if found == channels:
        return values
    if found == 1 and channels == 3:
        return cast(Values, np.repeat(values, 3, axis=2))
    if picture.kind == "rgb" and channels == 1:
        luma = values.astype(np.float32) @ np.array(LUMA, np.float32)[:, None]
        return cast(Values, luma if values.dtype.kind == "f" else luma.round().astype(values.dtype))
    if picture.begins_with_rgb and channels == 3:
        return values[..., :3]
    have = "1 channel" if found == 1 else f"{found} channels"
    raise ValueError(f"it has {have}, not the {channels} of its domain")


def _on_white(values: npt.NDArray[Any], alpha: npt.NDArray[Any], white: float) -> npt.NDArray[Any]:
    opaque = alpha[..., None].astype(np.float32) / np.iinfo(alpha.dtype).max
    blended = values * opaque + np.float32(white) * (1 - opaque)
    return blended.round().astype(values.dtype) if values.dtype.kind in "ui" else blended


def _levels(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the values that are black and white in a grey or colour picture of floats or signed integers.

    White is 65535 for integers. For floats, whose white level is unknown, it is the smallest of 1, 255 and 65535 that
    no value exceeds. If a value is negative or above 65535, black and white are the smallest and the largest value.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        raise ValueError("it contains no finite value")
    black, white = float(known.min()), float(known.max())
    if black >= 0 and white <= 65535:
        levels = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
        return 0.0, min(level for level in levels if level >= white)
    return black, white if white > black else black + 1


def to_tensor(image: Image.Image | npt.NDArray[np.uint8]) -> Tensor:
    """Convert an 8-bit RGB picture, (H, W, 3) in 0..255, to a float32 tensor (3, H, W) in [-1, 1].

    Raises ValueError for another shape or type.
    """
    import torch  # not at the top: code that only lists and reads files starts faster without torch

    pixels = np.array(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected a (H, W, 3) uint8 picture, got {pixels.shape} {pixels.dtype}; see read_image")
    return normalised(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())


def to_bytes(values: Tensor) -> Tensor:
    """Convert values in [-1, 1] to uint8 in 0..255; the inverse of `normalised`.

    Values outside [-1, 1] are clamped. Raises ValueError for NaN, which has no colour.
    """
    if values.isnan().any():
        raise ValueError(NAN)
    return values.float().clamp(-1, 1).mul(127.5).add(127.5).round().byte()


def to_image(tensor: Tensor) -> Image.Image:
    """Convert a float tensor (3, H, W) in [-1, 1], on any device, to an RGB picture; the exact inverse of `to_tensor`.

    Values outside [-1, 1] are clamped. Raises ValueError for another shape or type, and for NaN, which has no colour.
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3 or not tensor.is_floating_point():
        raise ValueError(f"expected a (3, H, W) float tensor, got {tuple(tensor.shape)} {tensor.dtype}")
    return Image.fromarray(to_bytes(tensor.detach()).permute(1, 2, 0).cpu().contiguous().numpy())
