"""Read a picture that does not fit into RAM: decoded to a temporary file, and converted a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs import map_jpeg, map_png
from cyclegan.data.codecs.metadata import as_stored
from cyclegan.data.codecs.signature import HEAD, Format, format_of
from cyclegan.data.codecs.stored import Make, Stored
from cyclegan.data.convert import convert
from cyclegan.data.files import UnreadableImage, size_of_file
from cyclegan.data.format import PictureFormat
from cyclegan.data.mapped import NoRoom, mapped
from cyclegan.data.picture import FilePicture, Pixels
from cyclegan.data.read import NO_VALUE, reason_of
from cyclegan.util.text import shown

SAMPLES = 2**21
"""Samples of a strip; converting one may take forty times as many bytes."""

NOTHING = np.empty((0, 0, 1), np.uint8)


class Large(NamedTuple):
    """A picture in the format of its domain, in arrays that lie in temporary files."""

    pixels: Pixels
    """(H, W, C), upright."""
    clipped: float
    """The share of its values outside the range of the domain."""
    picture: FilePicture
    """What its file held, with alpha and missing parts, without values and profile."""


def _tiff(path: Path) -> Stored | None:
    """Open a TIFF file; tifffile takes long to import."""
    from cyclegan.data.codecs import map_tiff

    return map_tiff.open_tiff(path)


OPENERS: dict[Format | None, Callable[[Path], Stored | None]] = {
    "JPEG": map_jpeg.open_jpeg,
    "PNG": map_png.open_png,
    "TIFF": _tiff,
}
"""What opens each format; the others are read as a whole."""


def read_large(path: Path, to: PictureFormat, folder: Path | None = None, *, strip: int = SAMPLES) -> Large | None:
    """Read a picture file as `convert(read_picture(path), to)` does, in little RAM.

    What it needs beside strips of `strip` samples lies in temporary files in `folder`, see `mapped`. Reads JPEG, PNG
    and TIFF; a progressive JPEG takes two bytes of RAM for each of its samples, a compressed TIFF the size of its
    largest strip.
    Returns None for what has to be read as a whole: other formats; fax, palettes and stacks of pages inside TIFF;
    values whose black and white are not known before all of them are.
    Raises what `read_picture` and `convert` raise, and NoRoom when `folder` has no room.
    """
    with _reading(path):
        stored = _opened(path)
    if stored is None:
        return None
    probe = stored.picture(np.zeros((1, 1, stored.shape[2]), stored.dtype))
    if _levels_are_unknown(probe, to):
        return None
    convert(probe, to)  # raises for other channels before anything is decoded
    make = partial(mapped, folder=folder)
    with _reading(path):
        samples = stored.decode(make)
        rows = max(1, strip // samples[0].size)
        if probe.values.dtype == np.float32 and not _has_values(samples, rows):
            raise ValueError(NO_VALUE)
    return _converted(samples, stored, to, make, rows)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise UnreadableImage for whatever decoders raise."""
    try:
        yield
    except NoRoom:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        raise UnreadableImage(f"{shown(path)} cannot be read: {reason_of(error)}") from error


def _opened(path: Path) -> Stored | None:
    """Open a file by the format that its first bytes say, as `read_picture` does."""
    size_of_file(path)
    with path.open("rb") as file:
        found = format_of(file.read(HEAD), path)
    return OPENERS[found](path) if found in OPENERS else None


def _levels_are_unknown(picture: FilePicture, to: PictureFormat) -> bool:
    """Return whether black and white of a picture are those of all its values, see `convert`."""
    is_measured = picture.values.dtype not in (np.uint8, np.uint16)
    return is_measured and picture.kind != "bands" and to.depth in ("uint8", "uint16")


def _has_values(samples: npt.NDArray[Any], rows: int) -> bool:
    return any(np.isfinite(samples[top : top + rows]).any() for top in range(0, len(samples), rows))


def _converted(samples: npt.NDArray[Any], stored: Stored, to: PictureFormat, make: Make, rows: int) -> Large:
    """Convert samples (H, W, C) as they are stored, a few rows at a time."""
    turn, size = stored.said.turn, samples.shape[:2]
    upright = size[::-1] if 5 <= turn <= 8 else size
    kept: dict[str, npt.NDArray[Any]] = {}
    clipped = 0.0

    def keep(name: str, part: npt.NDArray[Any], top: int) -> None:
        if name not in kept:
            kept[name] = make((*upright, *part.shape[2:]), part.dtype)
        as_stored(kept[name], turn)[top : top + len(part)] = part

    for top in range(0, size[0], rows):
        picture = stored.picture(samples[top : top + rows])
        pixels, share = convert(picture, to)
        clipped += share * len(pixels) / size[0]
        if top == 0 and picture.alpha is None and _is_unchanged(pixels, samples, stored):
            kept["pixels"] = samples[..., : pixels.shape[2]]
            break
        keep("pixels", pixels, top)
        if picture.alpha is not None:
            keep("alpha", picture.alpha, top)
        if picture.missing is not None:
            keep("missing", picture.missing, top)
        if picture.values.dtype == np.float32:
            holes: npt.NDArray[np.bool_] = np.all(np.isnan(picture.values), axis=2)
            if holes.any():
                keep("holes", holes, top)
    held = replace(
        picture, values=NOTHING, profile=None, alpha=kept.get("alpha"), missing=kept.get("missing", kept.get("holes"))
    )
    return Large(kept["pixels"], clipped, held)


def _is_unchanged(pixels: Pixels, samples: npt.NDArray[Any], stored: Stored) -> bool:
    """Return whether converting the first rows of samples changed nothing, so that it changes no others."""
    said = stored.said
    return said.turn == 1 and said.kept.nodata is None and np.may_share_memory(pixels, samples)
