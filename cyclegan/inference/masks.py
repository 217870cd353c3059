"""Masks: where pictures are translated."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from cyclegan.data.convert import convert
from cyclegan.data.files import UnreadableImage, find_images
from cyclegan.data.fit import Size, by
from cyclegan.data.format import PictureFormat
from cyclegan.data.kinds import READ
from cyclegan.data.listing import split_suffix
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.data.resample import BILINEAR, scaled_rows
from cyclegan.util.text import shown

GREY = PictureFormat(channels=1, colour="stored", view=(1,))
"""The format of masks: 8-bit values as they are."""

LARGEST_FEATHER = 1000.0
"""The largest feather, in pixels."""

FINE = 4.0
"""The feather, in pixels, that is enough for a mask to be enlarged without a visible difference."""

TOLERANCE = 0.02
"""By how much the aspect ratio of a mask may differ from that of its picture, beside the rounding of its sides."""


@dataclass(frozen=True)
class SoftMask:
    """A mask for a picture of `size` (H, W). Its rows, `mask[slice]`, are made when they are needed.

    They are (h, W) float32 in [0, 1], the same for strips of any height: 1 where the translation shows.
    """

    values: npt.NDArray[np.uint8]
    """(h, w, 1), the mask of any size, which is scaled by Pillow's bilinear filter."""
    size: Size
    feather: float = 0.0
    """Standard deviation of the Gaussian that softens edges, in pixels of the picture.

    It is Pillow's, of three boxes in 8 bits, which follows the exact one to 3 of 255 along an edge.
    """

    @classmethod
    def of(cls, values: npt.NDArray[np.uint8], size: Size, feather: float = 0.0) -> SoftMask:
        """Return a mask; one with a wide feather is softened here and now, at a size at which that is quick."""
        reduced = int(feather / FINE)
        if reduced < 2:
            return cls(values, size, feather)
        small = max(1, round(size[0] / reduced)), max(1, round(size[1] / reduced))
        soft = _blurred(scaled_rows(values, small, slice(0, small[0]), BILINEAR)[..., 0], feather / reduced)
        return cls(soft[..., None], size)

    def __getitem__(self, part: slice, /) -> npt.NDArray[np.float32]:
        halo = ceil(3 * self.feather) + 6 if self.feather else 0
        above, below = max(0, part.start - halo), min(self.size[0], part.stop + halo)
        rows = scaled_rows(self.values, self.size, slice(above, below), BILINEAR)[..., 0]
        if self.feather:
            rows = _blurred(rows, self.feather)
        soft: npt.NDArray[np.float32] = rows[part.start - above : part.stop - above].astype(np.float32) / np.float32(
            255
        )
        return soft


class Masks:
    """One mask for all pictures, or a folder with the mask of each, which has its name with any suffix.

    White is translated, and black is kept. `feather` is that of `SoftMask`.
    Raises FileNotFoundError when there is no such picture or folder, and ValueError for another `feather` than 0 to
    `LARGEST_FEATHER` and when the one mask cannot be read.
    """

    def __init__(self, path: Path, feather: float = 0.0) -> None:
        if not 0 <= feather <= LARGEST_FEATHER:
            raise ValueError(f"--feather: must be 0 to {LARGEST_FEATHER:g} pixels, not {feather:g}")
        if not path.exists():
            raise FileNotFoundError(f"--mask: {shown(path)}: no such picture or folder")
        self.path, self.feather = path, feather
        self._names: dict[str, list[str]] = defaultdict(list)
        self._only = None if path.is_dir() else _read(path)
        if self._only is None:
            for name in find_images(path).names:
                self._names[_stem(name)].append(name)

    def __str__(self) -> str:
        """The masks in a few words, which are others once a file has changed."""
        names = [name for alike in self._names.values() for name in alike]
        files = [self.path / name for name in sorted(names)] or [self.path]
        states = [(path.name, about.st_size, about.st_mtime_ns) for path in files if (about := path.stat())]
        state = hashlib.sha256(repr(states).encode()).hexdigest()[:8]
        return f"mask {shown(self.path)} {state}" + (f" feather {self.feather:g}" if self.feather else "")

    def file_of(self, name: str) -> Path:
        """Return the file of the mask for a picture, whose `name` is its path below the folder of pictures.

        Raises ValueError when there is none, or more than one; like all messages about a mask, it does not name the
        picture.
        """
        if self._only is not None:
            return self.path
        found = self._names.get(_stem(name), [])
        if len(found) > 1 and name in found:
            found = [name]
        if not found:
            raise ValueError(f"there is no mask for it in {shown(self.path)}")
        if len(found) > 1:
            both = " and ".join(shown(Path(each)) for each in found[:2])
            raise ValueError(f"{shown(self.path)} has several masks for it, {both}; keep one of them")
        return self.path / found[0]

    def of(self, name: str, size: Size) -> SoftMask:
        """Return the mask for a picture of `size` (H, W); its `name` is its path below the folder of pictures.

        Raises ValueError when there is none, when it cannot be read, and when it has another shape than the picture.
        """
        path = self.file_of(name)
        values = _read(path) if self._only is None else self._only
        (height, width), (rows, columns) = values.shape[:2], size
        if abs(width * rows - height * columns) > max(TOLERANCE * width * rows, rows, columns):
            shape = f"the shape of its mask is another: {by((height, width))} pixels"
            raise ValueError(f"{shape} in {shown(path)}, and {by(size)} in the picture")
        return SoftMask.of(values, size, self.feather)


def mask_values(picture: FilePicture) -> npt.NDArray[np.uint8]:
    """Return the mask that a file holds, (H, W, 1) from 0 for what is kept to 255 for what is translated.

    Colours become luma. Where the file is transparent, the source is kept; if all that is not transparent has one
    colour, whatever it is, opacity alone decides. A mask of the integers 0 and 1 only means 0 and 255.
    Raises ValueError for a picture of other than one or three channels.
    """
    values, alpha = picture.values, picture.alpha
    if values.dtype.kind in "iu" and values.max() == 1:
        values = (values == 1).astype(np.uint8) * np.uint8(255)
    plain = replace(picture, values=values, alpha=None, missing=None, profile=None)
    grey: npt.NDArray[np.uint8] = convert(plain, GREY).pixels.astype(np.uint8)
    if alpha is None or alpha.min() == np.iinfo(alpha.dtype).max:
        return grey
    opacity = (alpha.astype(np.float32) / np.iinfo(alpha.dtype).max)[..., None]
    seen = values[alpha > 0]
    if not len(seen) or (seen == seen[0]).all():
        return (opacity * 255).round().astype(np.uint8)
    return (opacity * grey).round().astype(np.uint8)


def _read(path: Path) -> npt.NDArray[np.uint8]:
    """Return the mask in a file. Raises ValueError, in one line that names the file."""
    try:
        return mask_values(read_picture(path))
    except UnreadableImage as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        raise ValueError(f"{shown(path)} is no mask: {error}") from None


def _blurred(values: npt.NDArray[np.uint8], feather: float) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(values).filter(ImageFilter.GaussianBlur(feather)))


def _stem(name: str) -> str:
    """Return a name without the suffix of a picture; 1.2.840, the name of a slice of a scanner, has none."""
    stem, suffix = split_suffix(name)
    return stem if suffix.lower() in READ else name
