"""Convert the colours of a picture from its embedded profile to the space that a model was trained in."""

from __future__ import annotations

import dataclasses
import io
from functools import lru_cache

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from cyclegan.data.codecs.icc import D50, SPACES, profile_of
from cyclegan.data.codecs.samples import as_values, white_of
from cyclegan.data.format import Space
from cyclegan.data.picture import FilePicture, Kind, Values

__all__ = ["managed", "profile_of"]

INTENT, BLACK_POINT = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
"""What Photoshop does by default: colours that both spaces have stay the same, and black stays black.

The other intents move colours that both spaces have. Between profiles of screens, none makes a difference.
"""

EXACT = 0x0100
"""cmsFLAGS_NOOPTIMIZE. LittleCMS otherwise approximates transforms of 16 bits, here wrong by up to 15 of 255.

Transforms of 8-bit RGB by Pillow are right to 0.8 of 255, and ten times as fast.
"""

CHANNELS: dict[Kind, tuple[bytes, str, str]] = {
    "grey": (b"GRAY", "L", "gray"),
    "rgb": (b"RGB ", "RGB", "rgb"),
    "cmyk": (b"CMYK", "CMYK", "cmyk"),
}
"""The names of kinds of channels: in a profile, in Pillow, in imagecodecs."""

XYZ_TO_SRGB = np.linalg.inv(np.array(SPACES["srgb"][1]).T)
"""From XYZ of D50 to linear red, green and blue."""


def managed(picture: FilePicture, space: Space | None) -> FilePicture:
    """Convert a picture to colours of `space`; what is returned is grey, RGB or bands, and has no profile.

    A picture without a profile is taken to be of `space` already; its CMYK and Lab become RGB by the usual formulas.
    A profile that is damaged, or of other channels than the picture, is ignored. So are profiles of values whose range
    is not known: those of other types than uint8 and uint16, and those of bands.
    With `space` None no profile is applied: the values are those of the file, but CMYK and Lab still become RGB.
    """
    if picture.kind == "lab":  # needs no profile: it says what it looks like
        rgb = dataclasses.replace(picture, values=_srgb_of_lab(picture.values), kind="rgb", profile=profile_of("srgb"))
        return managed(rgb, space)
    values = None
    if space is not None and picture.profile is not None and picture.values.dtype in (np.uint8, np.uint16):
        values = _converted(picture, picture.profile, space)
    if picture.kind == "cmyk":
        values = _rgb_of_cmyk(picture.values) if values is None else values
        return dataclasses.replace(picture, values=values, kind="rgb", profile=None)
    if values is None and picture.profile is None:
        return picture
    return dataclasses.replace(picture, values=picture.values if values is None else values, profile=None)


def _converted(picture: FilePicture, profile: bytes, space: Space) -> Values | None:
    """Return the values converted from `profile` to `space`, or None if the profile does not apply."""
    name, values = CHANNELS.get(picture.kind), picture.values
    if name is None or profile[16:20] != name[0] or profile == profile_of(space):
        return None
    transform = _transform(profile, space, name[1])
    if transform is None or (picture.kind == "rgb" and _changes_nothing(profile, space)):
        return None
    if picture.kind == "grey":
        return as_values(_curve(profile, space, values.dtype.itemsize)[values])
    if values.dtype == np.uint16:
        return _exactly(values, profile, space, name[2])
    return np.asarray(transform.apply(Image.frombytes(name[1], values.shape[1::-1], values.tobytes())))


@lru_cache(maxsize=32)
def _transform(profile: bytes, space: Space, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform of 8-bit values, or None for a profile that LittleCMS refuses."""
    try:
        source, target = (ImageCms.ImageCmsProfile(io.BytesIO(data)) for data in (profile, profile_of(space)))
        return ImageCms.buildTransform(source, target, mode, "RGB", INTENT, BLACK_POINT)
    except Exception:  # damaged profiles raise more than ImageCms.PyCMSError
        return None


def _exactly(values: Values, profile: bytes, space: Space, name: str) -> npt.NDArray[np.uint16]:
    """Return uint16 values converted to RGB of `space`."""
    converted: npt.NDArray[np.uint16] = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        profile_of(space),
        colorspace=name,
        outcolorspace="rgb",
        intent=int(INTENT),
        flags=EXACT | int(BLACK_POINT),
    )
    return converted


@lru_cache(maxsize=32)
def _curve(profile: bytes, space: Space, size: int) -> npt.NDArray[np.uint8 | np.uint16]:
    """Return what each level of grey becomes, in samples of `size` bytes: red, green and blue of a grey are equal."""
    levels = np.arange(65536, dtype=np.uint16) if size == 2 else np.arange(256, dtype=np.uint16) * np.uint16(257)
    green = _exactly(levels.reshape(256, -1), profile, space, "gray")[..., 1].ravel()
    return green if size == 2 else (green / 257).round().astype(np.uint8)


@lru_cache(maxsize=32)
def _changes_nothing(profile: bytes, space: Space) -> bool:
    """Return whether a profile is another spelling of `space`: colours all over the cube change by at most 1."""
    transform = _transform(profile, space, "RGB")
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(9, -1, 3)
    if transform is None:
        return True
    after = np.asarray(transform.apply(Image.fromarray(cube))).astype(int)
    return bool(np.abs(after - cube).max() <= 1)


def _rgb_of_cmyk(inks: Values) -> Values:
    """Return RGB as of ideal inks, each of which takes its share of the light that the others leave."""
    shares = _shares(inks)
    return _as(inks, (1 - shares[..., :3]) * (1 - shares[..., 3:4]))


def _srgb_of_lab(lab: Values) -> Values:
    """Return sRGB of CIELAB of D50, whose a and b lie between -128 and 127 (CIE 15:2004)."""
    shares = _shares(lab)
    lightness, a, b = shares[..., 0] * 100, shares[..., 1] * 255 - 128, shares[..., 2] * 255 - 128
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * np.array(D50)
    linear = (xyz @ XYZ_TO_SRGB.T).clip(0, 1)
    return _as(lab, np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def _shares(values: Values) -> npt.NDArray[np.float32]:
    """Return values in 0..1."""
    return values.astype(np.float32) / np.float32(white_of(values.dtype))


def _as(values: Values, shares: npt.NDArray[np.floating]) -> Values:
    """Return shares in 0..1 as values of the same type as `values`; the inverse of `_shares`."""
    scaled = shares.clip(0, 1) * white_of(values.dtype)
    return as_values((scaled if values.dtype.kind == "f" else scaled.round()).astype(values.dtype))
