"""What a picture file says beside its pixels: how it is turned, how large it is, when and how it was taken."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from cyclegan.data.codecs.icc import profile_of

LAYOUT = frozenset({254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283,
                    284, 290, 291, 292, 293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334,
                    336, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
                    559, 700, 33421, 33422, 33550, 33723, 33922, 34264, 34377, 34675, 34735, 34736, 34737, 37724, 42112,
                    42113, 50838, 50839, 50844, 50909})  # fmt: skip
"""TIFF tags that EXIF data does not keep: they describe how the pixels are stored, or are kept elsewhere."""

ADOBE_RGB = "R03"
"""The interoperability index with which a camera says that it wrote Adobe RGB, instead of a profile."""


def exif_in(data: bytes | IO[bytes]) -> Image.Exif:
    """Return EXIF data of its bytes, or of those of a TIFF file, which is built alike; empty if it is damaged.

    A file that is given open must stay so while its directories are asked for.
    """
    exif = Image.Exif()
    try:
        if isinstance(data, bytes):
            exif.load(data)
        else:
            data.seek(0)
            exif.load_from_fp(data)
    except Exception:  # damaged metadata can raise almost anything
        return Image.Exif()
    return exif


def turn_of(exif: Image.Exif) -> int:
    """Return the orientation 1..8 that EXIF data states; 1 if it states none, or nonsense."""
    try:
        turn = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # as above
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def upright(array: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Return (H, W, ...) turned as the EXIF orientation `turn` says, contiguous."""
    return np.ascontiguousarray(turned(array, turn))


def as_stored(array: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Return a view of an upright array (H, W, ...) as a file with the orientation `turn` stores it."""
    return turned(array, {6: 8, 8: 6}.get(turn, turn))  # the others are their own inverse


def turned(array: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Return a view of (H, W, ...) that is turned as the EXIF orientation `turn` says."""
    match turn:
        case 2:
            array = array[:, ::-1]
        case 3:
            array = array[::-1, ::-1]
        case 4:
            array = array[::-1]
        case 5:
            array = array.swapaxes(0, 1)
        case 6:
            array = np.rot90(array, -1)
        case 7:
            array = array[::-1, ::-1].swapaxes(0, 1)
        case 8:
            array = np.rot90(array)
    return array


def kept_exif(exif: Image.Exif) -> bytes | None:
    """Return EXIF data without its thumbnail and with orientation 1, or None if nothing or nothing readable is left."""
    try:
        for tag in list(exif):
            if tag in LAYOUT:
                del exif[tag]
        if not len(exif):
            return None
        for pointer in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if pointer in exif:
                exif.get_ifd(pointer)
        exif[ExifTags.Base.Orientation] = 1
        return exif.tobytes()
    except Exception:  # as above
        return None


def profile_of_camera(exif: Image.Exif) -> bytes | None:
    """Return the profile of Adobe RGB if EXIF data names it; cameras write no profile then."""
    try:
        index = exif.get_ifd(ExifTags.IFD.Interop).get(1)
    except Exception:  # as above
        return None
    return profile_of("adobe_rgb") if index == ADOBE_RGB else None


def kept_dpi(value: Any) -> tuple[float, float] | None:
    """Return pixels per inch as Pillow's `info` has them, or None if they are missing or nonsense."""
    try:
        horizontal, vertical = (float(number) for number in value)
    except Exception:  # a rational number of a damaged file can be 0 / 0
        return None
    return (horizontal, vertical) if 1 < horizontal < 1e6 and 1 < vertical < 1e6 else None
