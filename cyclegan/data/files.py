"""File <-> tensor: the one place that knows 0..255 and [-1, 1]."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

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
SUFFIXES = frozenset(FORMATS)

# A picture often wears another format's suffix. Only these are tried: some of Pillow's decoders run other programs.
READABLE = sorted(set(FORMATS.values()))

LARGEST_FILE = 2**30
"""Bytes of a file that we read: more than the pixels of the largest picture take, uncompressed in 16-bit RGBA."""

LARGEST_SIDE = {"JPEG": 65_500, "GIF": 65_535, "WEBP": 16_383}
"""Pixels on a side that a file of the format holds; the others hold more than we read."""

SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""


class UnreadableImage(ValueError):  # noqa: N818 - reads well where it is raised
    """A file that holds no picture we can read; the message is one line, the path and the reason."""


class UnwritableImage(OSError):  # noqa: N818
    """A picture that the format of its file cannot hold; the message is one line, the path and the reason."""


def find_images(folder: Path) -> list[Path]:
    """All pictures in `folder` and its subfolders, sorted by their path below it; linked folders are entered once.

    The name makes the picture: a dangling link or a pipe is found too, for `read_image` to refuse by name, so that
    nothing is left out in silence. Only folders, and names that begin with a dot, are no pictures.
    Raises FileNotFoundError when there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)} is not a folder; give one that holds pictures")
    found, entered = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (place := os.path.realpath(parent)) in entered:
            folders.clear()
            continue
        entered.add(place)
        pictures = [Path(parent, name) for name in names if not name.startswith(".")]
        found += [path for path in pictures if path.suffix.lower() in SUFFIXES]
    if not found:
        raise FileNotFoundError(f"no picture in {shown(folder)}; looked for {' '.join(sorted(SUFFIXES))}")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_image(path: Path) -> Image.Image:
    """The picture in a file as people see it: upright, decoded, 8-bit RGB; of several frames, the first.

    Transparent parts become white; 16-bit and float grey are scaled, not clipped (see `_eight_bits`); colour profiles
    are not applied. Raises UnreadableImage for anything but a whole picture of at most `Image.MAX_IMAGE_PIXELS` pixels
    in a file of at most `LARGEST_FILE` bytes.
    """
    try:
        with Image.open(io.BytesIO(contents(path)), formats=READABLE) as image:
            pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
            if limit is not None and pixels > limit:  # Pillow itself only warns, up to twice the limit
                raise ValueError(f"its {pixels:,} pixels exceed the limit of {limit:,}; make it smaller")
            return as_seen(image)
    except Exception as error:  # decoders raise almost anything on damaged files
        raise UnreadableImage(f"{shown(path)} cannot be read: {_reason(error)}") from error


def as_seen(image: Image.Image) -> Image.Image:
    """A picture of Pillow's as `read_image` gives it: upright, 8-bit RGB, white where it is transparent.

    The one that is given stays as it is. Raises whatever Pillow does where it cannot be decoded or converted.
    """
    image.load()
    return _upright(_rgb(image), image)


def fitted(image: Image.Image, size: Sequence[int]) -> Image.Image:
    """A picture scaled by Pillow's bicubic filter and cut around its middle to (H, W)."""
    return ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BICUBIC)


def write_image(image: Image.Image, path: Path) -> None:
    """Write a picture in the format its suffix says, whole or not at all; missing folders are made.

    JPEG and WebP are written at quality 95, JPEG with full colour resolution (4:4:4), GIF in 256 colours; the
    others lose nothing.
    Raises what `encoded` raises, and Unwritten when the system does not let it be written.
    """
    write_whole(path, encoded(image, path))


def encoded(image: Image.Image, path: Path) -> bytes:
    """The bytes of the file that `write_image` writes; made in memory, because Pillow overlooks a full disk.

    Raises ValueError for an unknown suffix, UnwritableImage for a picture that its format cannot hold.
    """
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ValueError(f"{shown(path)} ends in none of {' '.join(sorted(SUFFIXES))}; choose one of them")
    if (side := max(image.size)) > (most := LARGEST_SIDE.get(file_format, side)):
        raise UnwritableImage(
            f"{shown(path)} cannot be written: {side:,} pixels on a side, {file_format} holds {most:,}"
        )
    try:
        image.save(file := io.BytesIO(), format=file_format, **SAVE_OPTIONS.get(file_format, {}))
    except (OSError, ValueError) as error:
        raise UnwritableImage(f"{shown(path)} cannot be written: {_reason(error)}") from error
    return file.getvalue()


def to_pixels(image: Image.Image) -> Tensor:
    """An RGB picture as (3, H, W) in 0..255."""
    import torch  # as in `to_tensor`

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def from_pixels(pixels: Tensor) -> Image.Image:
    """The inverse of `to_pixels`, from the CPU."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def to_tensor(image: Image.Image | npt.NDArray[np.uint8]) -> Tensor:
    """An 8-bit RGB picture, (H, W, 3) in 0..255, as (3, H, W) float32 in [-1, 1]. Raises ValueError for others."""
    import torch  # here, not above: listing and reading files needs no torch, and starts quickly

    pixels = np.array(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected a (H, W, 3) uint8 picture, got {pixels.shape} {pixels.dtype}; see read_image")
    return from_bytes(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())


def from_bytes(pixels: Tensor) -> Tensor:
    """Values 0..255 of any shape, on any device, as float32 in [-1, 1]."""
    return pixels.float().div(127.5).sub(1)


def to_bytes(values: Tensor) -> Tensor:
    """The inverse of `from_bytes`, values outside [-1, 1] clamped. Raises ValueError for NaN, which has no colour."""
    if values.isnan().any():
        raise ValueError("the image holds NaN: the network that made it has diverged, or was given NaN")
    return values.float().clamp(-1, 1).mul(127.5).add(127.5).round().byte()


def to_image(tensor: Tensor) -> Image.Image:
    """A (3, H, W) float tensor in [-1, 1], on any device, as an RGB picture; values outside are clamped.

    The exact inverse of `to_tensor`. Raises ValueError for another shape or type, and for NaN, which has no colour.
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3 or not tensor.is_floating_point():
        raise ValueError(f"expected a (3, H, W) float tensor, got {tuple(tensor.shape)} {tensor.dtype}")
    return Image.fromarray(to_bytes(tensor.detach()).permute(1, 2, 0).cpu().contiguous().numpy())


def contents(path: Path) -> bytes:
    """All of a file, at once: one that shrinks while Pillow or libtiff has it mapped would kill the process.

    Raises ValueError for what is no file or over the limit, and OSError.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # asked before opening, which waits for ever at a pipe
        raise ValueError("a directory, pipe or device, not a file")
    if about.st_size > LARGEST_FILE:
        raise ValueError(f"its {about.st_size:,} bytes exceed the limit of {LARGEST_FILE:,}")
    return path.read_bytes()


def _upright(image: Image.Image, source: Image.Image) -> Image.Image:
    """Turned as the metadata of its source says; damaged metadata is no damaged picture."""
    try:
        turn = TURNS.get(source.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as with decoders, almost anything
        return image
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    """Any picture as 8-bit RGB, on white where it is transparent."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    picture = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep grey (Pillow's I;16, I and F) as 8-bit grey.

    Integers are white at 65535; floats, which do not say, at the smallest of 1, 255 and 65535 that holds them all.
    Values beyond (negative, or above 65535) are stretched from their smallest to their largest; NaN becomes black.
    A TIFF may say that 0 is white.
    """
    values = np.asarray(image, dtype=np.float64)
    known = values[np.isfinite(values)]
    if not known.size:
        raise ValueError("it holds no finite value")
    black, white = float(known.min()), float(known.max())
    if black >= 0 and white <= 65535:
        levels = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
        black, white = 0.0, min(level for level in levels if level >= white)
    values = np.nan_to_num(values, nan=black, posinf=white, neginf=black)
    scaled = (values - black) * (255 / (white - black or 1))
    white_is_zero = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
    return Image.fromarray((255 - scaled if white_is_zero else scaled).round().astype(np.uint8))


def _reason(error: Exception) -> str:
    """Why, in one line and without repeating the path."""
    if isinstance(error, UnidentifiedImageError):
        return f"empty, damaged, or none of the {', '.join(READABLE)} that Pillow reads"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; make it smaller"
    return " ".join(str(error).split()) or type(error).__name__


def _raise(error: OSError) -> None:
    """For os.walk, which otherwise passes over folders it may not enter."""
    raise error
