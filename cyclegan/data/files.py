"""Read and write picture files, and convert between 0..255 and [-1, 1]; no other module knows file values."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.listing import Listing, list_files, split_suffix
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import shown

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".gif": "GIF",
}
"""Pillow's name of the format that each file suffix selects."""

SUFFIXES = frozenset(FORMATS)

LARGEST_FILE = 2**30
"""Most bytes of a file that is read; the largest allowed picture takes fewer as uncompressed 16-bit RGBA."""

LARGEST_SIDE = {"JPEG": 65_500, "GIF": 65_535, "WEBP": 16_383}
"""Most pixels on a side in each format; the other formats allow more than is ever read."""

SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}

NAN = "the image contains NaN: the network that made it has diverged, or its input contained NaN"
"""The error about values that have no colour."""


class UnreadableImage(ValueError):  # noqa: N818 - reads well where it is raised
    """A picture file cannot be read; the message is one line with the path and the reason."""


class UnwritableImage(OSError):  # noqa: N818
    """The format of a file cannot store the picture; the message is one line with the path and the reason."""


def find_images(folder: Path) -> Listing:
    """Return all pictures in `folder` and its subfolders, sorted by their path below it; see `list_files`.

    Broken links and pipes are returned too, so that `read_image` reports them instead of skipping them silently.
    Raises FileNotFoundError when there is no such folder, or no picture in it.
    """
    found = list_files(folder, kind_of)
    if not found:
        raise FileNotFoundError(f"no picture in {shown(folder)}; looked for {' '.join(sorted(SUFFIXES))}")
    return found


def kind_of(name: str) -> str | None:
    """Return None for the name of a picture, else its suffix in small letters, or the name if it has none."""
    suffix = split_suffix(name)[1].lower()
    return None if suffix in SUFFIXES else suffix or name.lower()


def write_image(image: Image.Image, path: Path) -> None:
    """Write a picture in the format that the suffix of `path` selects; missing folders are created.

    The file is written completely or not at all. JPEG and WebP have quality 95, JPEG with full colour resolution
    (4:4:4), and GIF has 256 colours; the other formats are lossless.
    Raises what `encoded` raises, and Unwritten when the file cannot be written.
    """
    write_whole(path, encoded(image, path))


def encoded(image: Image.Image, path: Path) -> bytes:
    """Return the bytes of the file that `write_image` writes.

    They are encoded in memory, because Pillow does not report a full disk.
    Raises ValueError for an unknown suffix, UnwritableImage for a picture that the format cannot store.
    """
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ValueError(f"{shown(path)} has no known suffix; choose one of {' '.join(sorted(SUFFIXES))}")
    if (side := max(image.size)) > (most := LARGEST_SIDE.get(file_format, side)):
        raise UnwritableImage(
            f"{shown(path)} cannot be written: {side:,} pixels on a side, {file_format} allows {most:,}"
        )
    try:
        image.save(file := io.BytesIO(), format=file_format, **SAVE_OPTIONS.get(file_format, {}))
    except (OSError, ValueError) as error:
        raise UnwritableImage(f"{shown(path)} cannot be written: {_reason(error)}") from error
    return file.getvalue()


def to_tensor(image: Image.Image | npt.NDArray[np.uint8]) -> Tensor:
    """Convert an 8-bit RGB picture, (H, W, 3) in 0..255, to a float32 tensor (3, H, W) in [-1, 1].

    Raises ValueError for another shape or type.
    """
    import torch  # not at the top: code that only lists and reads files starts faster without torch

    pixels = np.array(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected a (H, W, 3) uint8 picture, got {pixels.shape} {pixels.dtype}; see read_image")
    return from_bytes(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())


def from_bytes(pixels: Tensor) -> Tensor:
    """Convert values in 0..255, of any shape and on any device, to float32 in [-1, 1]."""
    return pixels.float().div(127.5).sub(1)


def to_bytes(values: Tensor) -> Tensor:
    """Convert values in [-1, 1] to uint8 in 0..255; the inverse of `from_bytes`.

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


def contents(path: Path) -> bytes:
    """Return all bytes of a file.

    Pillow and libtiff do not get the file itself: if it shrank while they had it mapped, the process would be killed.
    Raises ValueError when `path` is not a regular file or has more than `LARGEST_FILE` bytes, and OSError when it
    cannot be read.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # checked before the file is opened, because opening a pipe blocks forever
        raise ValueError("a directory, pipe or device, not a file")
    if about.st_size > LARGEST_FILE:
        raise ValueError(f"its {about.st_size:,} bytes exceed the limit of {LARGEST_FILE:,}")
    return path.read_bytes()


def _reason(error: Exception) -> str:
    """Return the reason for an error, in one line and without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; make it smaller"
    return " ".join(str(error).split()) or type(error).__name__
