"""Decode with Pillow what has 8 bits, and whatever Pillow reads with all its bits."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.metadata import kept_dpi, kept_exif, profile_of_camera, turn_of, upright
from cyclegan.data.codecs.samples import as_values
from cyclegan.data.picture import FilePicture, Kept, Kind, Values


class Said(NamedTuple):
    """What a file says about its picture, apart from the pixels."""

    turn: int
    profile: bytes | None
    kept: Kept


def decode(data: bytes, file_format: str, at_least: int | None = None) -> FilePicture:
    """Decode a file of a format of Pillow. Raises almost anything on damaged files."""
    with Image.open(io.BytesIO(data), formats=[file_format]) as image:
        check_size(image.width, image.height, bytes_of_a_pixel=4)
        if at_least is not None:
            image.draft(None, (at_least, at_least))  # only JPEG: reduced by 2, 4 or 8 while it is decoded
        image.load()
        return picture_of(image)


def picture_of(image: Image.Image) -> FilePicture:
    """Convert a picture of Pillow, which is not changed. Raises almost anything if it cannot be decoded."""
    said = said_by(image)
    values, alpha, kind = _arrays(image)
    return FilePicture(
        values=upright(values, said.turn),
        kind=kind,
        alpha=None if alpha is None else upright(alpha, said.turn),
        turned=said.turn != 1,
        profile=said.profile,
        kept=said.kept,
    )


def said_by(image: Image.Image) -> Said:
    """Return what an open file says; damaged metadata is ignored."""
    dpi = kept_dpi(image.info.get("dpi"))
    profile = image.info.get("icc_profile") or None
    if "exif" not in image.info and image.format != "TIFF":  # most files; to ask Pillow takes longer
        return Said(1, profile, Kept(dpi=dpi))
    try:
        exif = image.getexif()
    except Exception:  # damaged metadata can raise almost anything
        return Said(1, profile, Kept(dpi=dpi))
    profile, turn = profile or profile_of_camera(exif), turn_of(exif)
    return Said(turn, profile, Kept(exif=kept_exif(exif), dpi=dpi))


def _arrays(image: Image.Image) -> tuple[Values, npt.NDArray[np.uint8] | None, Kind]:
    """Return the values (H, W, C), the alpha (H, W) if the picture has one, and what the channels are."""
    mode = image.mode
    if mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)[..., None]
        white_is_zero = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
        return (65535 - values if white_is_zero else values), None, "grey"
    if mode in ("I", "F"):
        return as_values(np.asarray(image))[..., None], None, "grey"
    if image.has_transparency_data:
        grey = mode in ("L", "LA", "La", "1")
        pixels = np.asarray(image.convert("LA" if grey else "RGBA"))
        return pixels[..., :-1], np.ascontiguousarray(pixels[..., -1]), "grey" if grey else "rgb"
    if mode == "CMYK":
        return np.asarray(image), None, "cmyk"
    if mode == "LAB":  # Pillow returns a and b as signed bytes
        return as_values(np.asarray(image) ^ np.array([0, 128, 128], np.uint8)), None, "lab"
    if mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None], None, "grey"
    return np.asarray(image if mode == "RGB" else image.convert("RGB")), None, "rgb"
