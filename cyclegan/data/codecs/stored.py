"""A picture as it lies in its file, whose samples are decoded to memory that the caller provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs.decode_pillow import Said
from cyclegan.data.files import size_of_file
from cyclegan.data.picture import FilePicture

Make: TypeAlias = Callable[[tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]
"""Makes an array of a shape and a type; here one in a temporary file, see `mapped`."""

BLOCK = 2**24
"""Bytes that are read at a time."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An open picture. Its rows are those of the file, before EXIF orientation is undone."""

    shape: tuple[int, int, int]
    """(H, W, C) of its samples, with alpha."""
    dtype: np.dtype[Any]
    """Type of its samples."""
    said: Said
    """What the file says beside its pixels."""
    decode: Callable[[Make], npt.NDArray[Any]]
    """Decode all samples to an array (H, W, C) that `Make` makes. Raises almost anything on damaged files."""
    picture: Callable[[npt.NDArray[Any]], FilePicture]
    """Return the picture of some rows of the samples, as they are stored."""


def copied(path: Path, make: Make) -> Any:  # a memoryview; the types of imagecodecs name only bytes and mmap
    """Return a view of the bytes of a file in an array that `make` makes.

    The file itself is not mapped: if it shrank meanwhile, the process would be killed.
    Raises what `size_of_file` raises, and ValueError for a file that shrinks.
    """
    view, at = make((size_of_file(path),), np.uint8).data, 0
    with path.open("rb", buffering=0) as file:
        while at < len(view) and (read := file.readinto(view[at : at + BLOCK])):
            at += read
    if at < len(view):
        raise ValueError("the file is truncated while it is read")
    return view
