"""Convert the colours of a picture from its embedded profile to the space that a model was trained in."""

from __future__ import annotations

import dataclasses
import io
from functools import lru_cache

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.picture import FilePicture, Kind, Space, Values

__all__ = ["managed", "profile_of"]

INTENT, BLACK_POINT = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
"""What Photoshop does by default: colours that both spaces have stay the same, and black stays black.

The other intents move colours that both spaces have. Between profiles of screens, none makes a difference.
"""

EXACT = 0x0100
"""cmsFLAGS_NOOPTIMIZE. LittleCMS otherwise approximates transforms of 16 bits, here wrong by up to 15 of 255."""

CHANNELS: dict[Kind, tuple[bytes, str, str]] = {
    "grey": (b"GRAY", "L", "gray"),
    "rgb": (b"RGB ", "RGB", "rgb"),
    "cmyk": (b"CMYK", "CMYK", "cmyk"),
    "lab": (b"Lab ", "LAB", "lab"),
}
"""The names of kinds of channels: in a profile, in Pillow, in imagecodecs."""

LAB_WHITE = (0.9642, 1.0, 0.8249)  # D50
XYZ_TO_SRGB = np.array(  # from D50, with the adaption of Bradford; the inverse of the primaries of `profile_of`
    [[3.13386, -1.61687, -0.49061], [-0.97877, 1.91614, 0.03345], [0.07195, -0.22899, 1.40524]]
)


def managed(picture: FilePicture, space: Space | None) -> FilePicture:
    """Convert a picture to colours of `space`; what is returned is grey, RGB or bands, and has no profile.

    A picture without a profile is taken to be of `space` already; its CMYK and Lab become RGB by the usual formulas.
    A profile that is damaged, or of other channels than the picture, is ignored. So are profiles of values whose range
    is not known: those of other types than uint8 and uint16, and those of bands.
    With `space` None no profile is applied: the values are those of the file, but CMYK and Lab still become RGB.
    """
    if picture.profile is None and picture.kind in ("grey", "rgb", "bands"):  # most pictures
        return picture
    values = None
    if space is not None and picture.profile is not None and picture.values.dtype in (np.uint8, np.uint16):
        values = _converted(picture, picture.profile, space)
    if values is None:
        values = _without_profile(picture)
    kind: Kind = "rgb" if picture.kind in ("cmyk", "lab") else picture.kind
    return dataclasses.replace(picture, values=values, kind=kind, profile=None)


def _converted(picture: FilePicture, profile: bytes, space: Space) -> Values | None:
    """Return the values converted from `profile` to `space`, or None if the profile does not apply."""
    name = CHANNELS.get(picture.kind)
    if name is None or profile[16:20] != name[0] or profile == profile_of(space):
        return None
    transform = _transform(profile, space, name[1])
    if transform is None or (picture.kind == "rgb" and _changes_nothing(profile, space)):
        return None
    if picture.values.dtype == np.uint16:
        return _of_sixteen_bits(picture, profile, space, name[2])
    image = Image.frombuffer(name[1], picture.values.shape[1::-1], np.ascontiguousarray(picture.values).tobytes())
    converted = np.asarray(transform.apply(image))
    return converted[..., 1:2] if picture.kind == "grey" else converted


def _of_sixteen_bits(picture: FilePicture, profile: bytes, space: Space, name: str) -> Values | None:
    """Return uint16 values converted, or None if LittleCMS refuses the profile."""
    values = np.ascontiguousarray(picture.values)
    if picture.kind == "cmyk":
        values = 65535 - values if False else values
    try:
        converted: Values = imagecodecs.cms_transform(
            values[..., 0] if picture.kind == "grey" else values,
            profile,
            profile_of(space),
            colorspace=name,
            outcolorspace="rgb",
            intent=int(INTENT),
            flags=EXACT | int(BLACK_POINT),
        )
    except Exception:  # as in `_transform`
        return None
    return converted[..., 1:2] if picture.kind == "grey" else converted


@lru_cache(maxsize=32)
def _transform(profile: bytes, space: Space, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform of 8-bit values, or None for a profile that LittleCMS refuses."""
    try:
        source, target = (ImageCms.ImageCmsProfile(io.BytesIO(data)) for data in (profile, profile_of(space)))
        return ImageCms.buildTransform(source, target, mode, "RGB", INTENT, BLACK_POINT)
    except Exception:  # damaged profiles raise more than ImageCms.PyCMSError
        return None


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


def _without_profile(picture: FilePicture) -> Values:
    """Return the values as they are, CMYK and Lab as RGB of the same type."""
    if picture.kind not in ("cmyk", "lab"):
        return picture.values
    values = picture.values
    most = float(np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else 1.0
    shares = values.astype(np.float32) / np.float32(most)
    rgb = (1 - shares[..., :3]) * (1 - shares[..., 3:4]) if picture.kind == "cmyk" else _srgb_of_lab(shares)
    scaled = rgb.clip(0, 1) * most
    return scaled.round().astype(values.dtype) if values.dtype.kind in "iu" else scaled.astype(np.float32)


def _srgb_of_lab(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Convert CIELAB of D50, each channel in 0..1 (a and b from -128 to 127), to sRGB in 0..1 (CIE 15:2004)."""
    lightness, a, b = shares[..., 0] * 100, shares[..., 1] * 255 - 128, shares[..., 2] * 255 - 128
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * np.array(LAB_WHITE)
    linear = (xyz @ XYZ_TO_SRGB.T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)
