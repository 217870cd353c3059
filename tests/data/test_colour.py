"""Colours of an embedded profile become those of the space that a model was trained in."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.colour import managed
from cyclegan.data.format import Space
from cyclegan.data.picture import FilePicture, Values

SPACES: list[Space] = ["srgb", "display_p3", "adobe_rgb"]


def soft() -> np.ndarray:
    """Colours as of a photograph, in sRGB: 32 x 32, none of them pure."""
    y, x = np.mgrid[0:32, 0:32]
    return np.stack([80 + 4 * x, 60 + 4 * y, 90 + 2 * x + 2 * y], axis=-1).astype(np.uint8)


def twin(space: Space) -> FilePicture:
    """The same colours as a camera of `space` writes them, by another road than the one that is tested."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile_of(space)))
    pixels = ImageCms.profileToProfile(Image.fromarray(soft()), srgb, target, outputMode="RGB")
    assert pixels is not None
    return FilePicture(values=np.asarray(pixels), kind="rgb", profile=profile_of(space))


def lut_profile(space: bytes, *corners: tuple[int, int, int]) -> bytes:
    """A printer's profile: the colour (Lab, 16 bits) of each corner of the cube of its inks."""
    channels = {b"CMYK": 4, b"RGB ": 3}[space]
    curve = struct.pack(">2H", 0, 65535)
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft2\0\0\0\0" + bytes([channels, 3, 2, 0]) + matrix + struct.pack(">2H", 2, 2)
    table += curve * channels + b"".join(struct.pack(">3H", *corner) for corner in corners) + curve * 3
    tags = {b"A2B0": table, b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)}
    body, entries, begin = b"", b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        entries += struct.pack(">4sII", tag, begin + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s28s", begin + len(body), b"", 0x02400000, b"prtr", space, b"Lab ", b"", b"acsp", b""
    )
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    return (head + illuminant).ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


@pytest.mark.parametrize("space", ["display_p3", "adobe_rgb"])
def test_a_picture_and_its_twin_of_a_phone_read_the_same(space: Space) -> None:
    np.testing.assert_allclose(managed(twin(space), "srgb").values.astype(int), soft(), atol=2)
    assert np.abs(twin(space).values.astype(int) - soft()).max() > 8  # a difference that one sees


@pytest.mark.parametrize("space", SPACES)
def test_sixteen_bits_are_converted_exactly(space: Space) -> None:
    deep = soft().astype(np.uint16) * 257
    there = managed(FilePicture(values=deep, kind="rgb", profile=profile_of("srgb")), space)
    back = managed(FilePicture(values=there.values, kind="rgb", profile=profile_of(space)), "srgb")
    assert back.values.dtype == np.uint16
    np.testing.assert_allclose(back.values.astype(int), deep, atol=16)


def test_without_a_profile_colours_stay_the_same_object() -> None:
    picture = FilePicture(values=soft(), kind="rgb")
    assert managed(picture, "display_p3") is picture


@pytest.mark.parametrize("profile", [b"no profile", profile_of("display_p3")[:200], profile_of("srgb", grey=True)])
def test_a_damaged_or_foreign_profile_is_ignored(profile: bytes) -> None:
    found = managed(FilePicture(values=soft(), kind="rgb", profile=profile), "srgb")
    np.testing.assert_array_equal(found.values, soft())
    assert found.profile is None


def test_another_spelling_of_srgb_changes_nothing() -> None:
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = FilePicture(values=soft(), kind="rgb", profile=other)
    assert managed(picture, "srgb").values is picture.values


def test_values_as_stored_are_those_of_the_file() -> None:
    np.testing.assert_array_equal(managed(twin("display_p3"), None).values, twin("display_p3").values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_grey_becomes_grey_of_srgb(dtype: type) -> None:
    white = np.iinfo(dtype).max
    levels: Values = np.linspace(0, white, 256).round().astype(dtype).reshape(16, 16, 1)
    profile = imagecodecs.cms_profile("gray", gamma=1.0)
    found = managed(FilePicture(values=levels, kind="grey", profile=profile), "srgb")
    light = levels / white
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * white
    assert found.kind == "grey"
    np.testing.assert_allclose(found.values, expected, atol=0.6 if dtype is np.uint8 else 20)


def test_inks_without_a_profile_are_ideal() -> None:
    inks: Values = np.array([[[0, 255, 255, 0], [0, 0, 0, 255], [0, 0, 0, 0], [255, 0, 0, 128]]], np.uint8)
    found = managed(FilePicture(values=inks, kind="cmyk"), "srgb")
    assert found.kind == "rgb"
    assert found.values[0].tolist() == [[255, 0, 0], [0, 0, 0], [255, 255, 255], [0, 127, 127]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_are_printed_as_their_profile_says(dtype: type) -> None:
    """On this printer, each ink but black is grey of L = 50, and all corners with black are black."""
    corners = [(0 if corner & 1 else 65280 if corner == 0 else 32640, 32768, 32768) for corner in range(16)]
    white = np.iinfo(dtype).max
    inks: Values = np.array([[[0, 0, 0, 0], [white, 0, 0, 0], [0, 0, 0, white]]], dtype)
    found = managed(FilePicture(values=inks, kind="cmyk", profile=lut_profile(b"CMYK", *corners)), "srgb")
    np.testing.assert_allclose(found.values[0] * (255 / white), [[255] * 3, [119] * 3, [0] * 3], atol=2)


LAB_RED = (136, 208, 195)


@pytest.mark.parametrize("space", SPACES)
def test_lab_needs_no_profile(space: Space) -> None:
    grey: Values = np.array([[[137, 128, 128]]], np.uint8)  # L = 53.7
    found = managed(FilePicture(values=grey, kind="lab"), space)
    expected = {"srgb": 129, "display_p3": 129, "adobe_rgb": 128}[space]
    np.testing.assert_allclose(found.values[0, 0], expected, atol=1)
    red: Values = np.array([[LAB_RED]], np.uint8)
    np.testing.assert_allclose(managed(FilePicture(values=red, kind="lab"), "srgb").values[0, 0], (250, 3, 11), atol=4)


def test_bands_and_floats_are_no_colours() -> None:
    for values in (soft().astype(np.float32), np.zeros((4, 4, 5), np.uint8)):
        picture = FilePicture(values=values, kind="bands", profile=profile_of("display_p3"))
        np.testing.assert_array_equal(managed(picture, "srgb").values, values)


@pytest.mark.parametrize("space", SPACES)
def test_profiles_are_the_same_at_all_times_and_pass_littlecms(space: Space) -> None:
    profile_of.cache_clear()
    before = profile_of(space)
    profile_of.cache_clear()
    assert profile_of(space) == before
    assert ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(before))).strip()
