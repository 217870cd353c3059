"""Checking and converting the inputs of `Translator.translate`: files, Pillow images, arrays and tensors."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.codecs.decode_pillow import picture_of
from cyclegan.data.convert import convert
from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import RGB_PICTURES, PictureFormat
from cyclegan.data.picture import FilePicture, Pixels
from cyclegan.data.read import read_bytes, read_picture
from cyclegan.util.text import reason

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]"
"""A path, the bytes of a file, a Pillow image, or an array as described in `picture_from`."""

WANTED = (
    "give a path, the bytes of a file, a Pillow image,"
    " an array (H, W) or (H, W, C) of uint8, uint16 or floats in [0, 1], or in the units "
    "of the domain, or a tensor (C, H, W) or (N, C, H, W) of floats in [-1, 1]"
)


def is_tensor(picture: object) -> TypeGuard[Tensor]:
    """Return whether an input is a tensor; torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(picture, torch.Tensor)


def picture_from(source: Picture, of: PictureFormat = RGB_PICTURES) -> Pixels:
    """Convert a path, the bytes of a file, a Pillow image or an array to the pixels of a domain, (H, W, C).

    The input is not modified.

    Arrays for a domain of 8-bit grey or RGB are (H, W) or (H, W, 1) for grey, (H, W, 3) for RGB and (H, W, 4) for RGBA,
    which is put on white. White is 255 in uint8, 65535 in uint16 and 1 in floats. Arrays for other domains are
    (H, W, C), or (H, W) for one channel, in the units of the domain.
    Raises ValueError for any other input, and UnreadableImage when the picture cannot be decoded.
    """
    if isinstance(source, str | os.PathLike):
        return convert(read_picture(Path(source)), of).pixels
    if isinstance(source, bytes):
        return convert(read_bytes(source, "the picture"), of).pixels
    if isinstance(source, np.ndarray):
        picture = _coloured(source) if of.is_plain else _in_units(source, of)
    elif not isinstance(source, Image.Image):
        raise ValueError(f"cannot translate a {type(source).__name__}: {WANTED}")
    elif not min(source.size):
        raise ValueError("the picture has no pixels")
    else:
        try:
            picture = picture_of(source)
        except Exception as error:  # decoders raise almost anything on damaged files
            raise UnreadableImage(f"the picture cannot be read: {reason(error)}") from error
    try:
        return convert(picture, of).pixels
    except ValueError as error:
        raise ValueError(f"cannot translate the picture: {error}") from None


def batch_from(tensor: Tensor, channels: int = 3) -> Tensor:
    """Convert a tensor (C, H, W) or (N, C, H, W) of floats in [-1, 1] to (N, C, H, W) float32 on the same device.

    Raises ValueError for any other shape, type or range, and for NaN.
    """
    shape = f"a tensor {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != channels or not tensor.is_floating_point():
        hint = "; convert it to floats with x / 127.5 - 1" if str(tensor.dtype) == "torch.uint8" else ""
        raise ValueError(f"cannot translate {shape}{hint}: {WANTED}; C is {channels}")
    if not tensor.numel():
        raise ValueError(f"cannot translate {shape}: it is empty")
    batch = tensor.detach().float()
    low, high = (float(end) for end in batch.aminmax())
    if not (low >= -1 and high <= 1):
        raise ValueError(f"cannot translate a tensor of values from {low:.4g} to {high:.4g}: they must be in [-1, 1]")
    return batch if tensor.ndim == 4 else batch[None]


def _in_units(array: npt.NDArray[Any], of: PictureFormat) -> FilePicture:
    """Return an array in the units of a domain as a picture; raises ValueError for another shape."""
    values = array[..., None] if array.ndim == 2 else array
    if values.ndim != 3 or values.shape[2] != of.channels or not values.size or values.dtype.kind not in "uif":
        about = f"an array {array.shape} of {array.dtype}"
        raise ValueError(f"cannot translate {about}: give (H, W, {of.channels}) in the units of {of.told}")
    kind = of.depth if np.can_cast(array.dtype, of.depth) else "float32"
    return FilePicture(values=values.astype(kind), kind="bands")


def _coloured(array: npt.NDArray[Any]) -> FilePicture:
    """Return an array as an 8-bit grey or RGB picture; raises ValueError for any other array."""
    channels = array.shape[2] if array.ndim == 3 else 1
    about = f"an array {array.shape} of {array.dtype}"
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        hint = "; put channels last with a.transpose(1, 2, 0)" if array.ndim == 3 and len(array) in (1, 3, 4) else ""
        raise ValueError(f"cannot translate {about}{hint}: {WANTED}")
    if not array.size:
        raise ValueError(f"cannot translate {about}: it has no pixels")
    pixels = np.ascontiguousarray(_in_bytes(array, about).reshape(*array.shape[:2], channels))
    if channels == 4:
        return FilePicture(values=pixels[..., :3], alpha=pixels[..., 3], kind="rgb")
    return FilePicture(values=pixels, kind="grey" if channels == 1 else "rgb")


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
