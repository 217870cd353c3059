"""Checking and converting the inputs of `Translator.translate`: files, Pillow images, arrays and tensors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from cyclegan.data.files import UnreadableImage, as_seen, read_image
from cyclegan.util.text import reason

Picture: TypeAlias = "str | os.PathLike[str] | Image.Image | npt.NDArray[Any]"
"""A path, a Pillow image, or an array as described in `picture_from`."""

WANTED = (
    "give a path, a Pillow image, an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or floats "
    "in [0, 1], or a tensor (3, H, W) or (N, 3, H, W) of floats in [-1, 1]"
)


def picture_from(source: Picture) -> Image.Image:
    """Convert a path, a Pillow image or an array to an upright 8-bit RGB image; the input is not modified.

    Paths and Pillow images are converted as in `read_image`. Arrays are (H, W) or (H, W, 1) for grey, (H, W, 3) for RGB
    and (H, W, 4) for RGBA, which is put on white. White is 255 in uint8, 65535 in uint16 and 1 in floats.
    Raises ValueError for any other input, and UnreadableImage when the picture cannot be decoded.
    """
    if isinstance(source, np.ndarray):
        return as_seen(_from_array(source))
    if isinstance(source, str | os.PathLike):
        return read_image(Path(source))
    if not isinstance(source, Image.Image):
        raise ValueError(f"cannot translate a {type(source).__name__}: {WANTED}")
    if not min(source.size):
        raise ValueError("the picture has no pixels")
    try:
        return as_seen(source)
    except Exception as error:  # decoders raise almost anything on damaged files
        raise UnreadableImage(f"the picture cannot be read: {reason(error)}") from error


def batch_from(tensor: Tensor) -> Tensor:
    """Convert a tensor (3, H, W) or (N, 3, H, W) of floats in [-1, 1] to (N, 3, H, W) float32 on the same device.

    Raises ValueError for any other shape, type or range, and for NaN.
    """
    shape = f"a tensor {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != 3 or not tensor.is_floating_point():
        hint = "; convert it to floats with x / 127.5 - 1" if tensor.dtype == torch.uint8 else ""
        raise ValueError(f"cannot translate {shape}{hint}: {WANTED}")
    if not tensor.numel():
        raise ValueError(f"cannot translate {shape}: it is empty")
    batch = tensor.detach().float()
    low, high = (float(end) for end in torch.aminmax(batch))
    if not (low >= -1 and high <= 1):
        raise ValueError(f"cannot translate a tensor of values from {low:.4g} to {high:.4g}: they must be in [-1, 1]")
    return batch if tensor.ndim == 4 else batch[None]


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    """Convert an array to an 8-bit grey, RGB or RGBA image; raises ValueError for any other array."""
    channels = array.shape[2] if array.ndim == 3 else 1
    about = f"an array {array.shape} of {array.dtype}"
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        hint = "; put channels last with a.transpose(1, 2, 0)" if array.ndim == 3 and len(array) in (1, 3, 4) else ""
        raise ValueError(f"cannot translate {about}{hint}: {WANTED}")
    if not array.size:
        raise ValueError(f"cannot translate {about}: it has no pixels")
    pixels = _in_bytes(array, about)
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if array.ndim == 3 and channels == 1 else pixels))


def _in_bytes(array: npt.NDArray[Any], about: str) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ValueError(f"cannot translate {about}: {WANTED}")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"cannot translate an array of floats from {low:.4g} to {high:.4g}: they must be in [0, 1]")
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
