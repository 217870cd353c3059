"""Paths, Pillow images, arrays and tensors are translated like files; other inputs give a one-line error."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.read import read_image
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.inputs import batch_from, picture_from
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from tests.pictures import FORMATS, KINDS

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (9, 12, 3), np.uint8)


@pytest.fixture(scope="module")
def translator() -> Translator:
    torch.manual_seed(0)
    return Translator(ResnetConfig(width=4, blocks=1).build(), device="cpu", precision="float32")


OTHERS = {*FORMATS, "float tiff of 64 bits", "float tiff of 16 bits", "float RGB tiff", "grey + alpha tiff of 32 bits"}
"""Kinds that Pillow does not open, or not with their meaning."""

GOOD = [
    name
    for name, kind in KINDS.items()
    if isinstance(kind.outcome, tuple) and not (kind.later or kind.unwritable or name in OTHERS)
]


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", GOOD)
def test_a_picture_of_pillow_is_seen_as_its_file_is(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = tmp_path / kind.name
    path.parent.mkdir(exist_ok=True)
    try:
        kind.make(path)
    except OSError as error:
        pytest.skip(f"this file system does not take the name: {error}")
    with Image.open(path) as image:
        seen, expected = picture_from(image), np.asarray(read_image(path))
        np.testing.assert_allclose(seen, expected, atol=1)  # Pillow opens some files with 8 of their 16 bits
        assert seen.dtype == np.uint8 and seen.shape == (*kind.size[::-1], 3)
        assert np.array_equal(picture_from(path), expected) and np.array_equal(picture_from(str(path)), expected)


def tilted(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BYTES).save(path, exif=exif)


def deep(path: Path) -> None:
    Image.fromarray(RANDOM.integers(0, 65536, (9, 12), np.uint16)).save(path)


def clear(path: Path) -> None:
    Image.fromarray(RANDOM.integers(0, 256, (9, 12, 4), np.uint8)).save(path)


@pytest.mark.parametrize("make", [tilted, deep, clear])
def test_python_translates_as_the_command_line_does(make: Any, translator: Translator, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    make(path)
    translate_directory(translator, path, tmp_path / "out")
    expected = Image.open(tmp_path / "out" / "x.png").convert("RGB")
    for given in (path, str(path), path.read_bytes(), Image.open(path)):
        translated = translator.translate(given)
        assert (translated.size, translated.tobytes()) == (expected.size, expected.tobytes())


def test_the_picture_that_is_given_stays_as_it_is(tmp_path: Path) -> None:
    tilted(tmp_path / "x.png")
    image = Image.open(tmp_path / "x.png")
    seen = picture_from(image)
    assert (image.size, seen.shape) == ((12, 9), (12, 9, 3)) and image.tobytes() == BYTES.tobytes()
    plain = Image.fromarray(BYTES)
    np.array(picture_from(plain))[0, 0] = 1
    assert plain.tobytes() == BYTES.tobytes()


GREY, ALPHA = BYTES[..., 0], np.dstack([BYTES, np.full((9, 12), 51, np.uint8)])
ON_WHITE = picture_from(Image.fromarray(ALPHA))
ARRAYS = {
    "uint8": (BYTES, BYTES),
    "uint8, a view that lies otherwise in memory": (np.asfortranarray(BYTES)[::-1], BYTES[::-1]),
    "grey": (GREY, np.dstack([GREY] * 3)),
    "grey of one channel": (GREY[..., None], np.dstack([GREY] * 3)),
    "with transparency": (ALPHA, ON_WHITE),
    "uint16": (BYTES.astype(np.uint16) * 257, BYTES),
    "uint16, the other byte order": ((BYTES.astype(np.uint16) * 257).astype(">u2"), BYTES),
    "uint16 grey": (GREY.astype("<u2") * 257 + 128, np.dstack([GREY] * 3)),
    "float16": ((BYTES / 255).astype(np.float16), BYTES),
    "float32": ((BYTES / 255).astype(np.float32), BYTES),
    "float64 with transparency": (ALPHA / 255, ON_WHITE),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_a_picture(name: str) -> None:
    given, expected = ARRAYS[name]
    assert np.array_equal(picture_from(given), expected)


def test_a_deep_array_is_seen_as_its_file_is(tmp_path: Path) -> None:
    deep(tmp_path / "x.png")
    whole = np.asarray(Image.open(tmp_path / "x.png"))
    assert whole.dtype == np.uint16
    assert np.array_equal(picture_from(whole), np.asarray(read_image(tmp_path / "x.png")))


def test_a_tensor_comes_back_as_a_tensor_of_its_shape(translator: Translator) -> None:
    image = torch.from_numpy(BYTES).permute(2, 0, 1) / 127.5 - 1
    picture = np.asarray(translator.translate(BYTES), np.int16)
    for given in (image, image.half(), image.double(), torch.stack([image] * 3)):
        made = translator.translate(given)
        assert made.shape == given.shape and made.dtype == torch.float32
        first = made if made.ndim == 3 else made[0]
        assert np.abs(first.add(1).mul(127.5).permute(1, 2, 0).numpy() - picture).max() < 2
    assert translator.translate(image.requires_grad_()).requires_grad is False


FLOATS = BYTES / 255.0
REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "cannot translate a NoneType: give a path, the bytes of a file"),
    "a list": ([[0, 0, 0]], "cannot translate a list: give"),
    "a stream": (io.BytesIO(), "cannot translate a BytesIO: give"),
    "a picture without pixels": (Image.new("RGB", (0, 4)), "no pixels"),
    "a cut picture": (None, "the picture cannot be read: "),
    "two channels": (BYTES[..., :2], r"an array \(9, 12, 2\) of uint8: give"),
    "channels first": (BYTES.transpose(2, 0, 1), r"an array \(3, 9, 12\) of uint8; put channels last"),
    "a batch of arrays": (BYTES[None], r"an array \(1, 9, 12, 3\) of uint8: give"),
    "one row of numbers": (BYTES[0, 0], r"an array \(3,\)"),
    "an array without pixels": (BYTES[:0], "no pixels"),
    "int64": (BYTES.astype(np.int64), "of int64: give"),
    "uint32": (BYTES.astype(np.uint32), "of uint32: give"),
    "switches": (BYTES > 9, "of bool: give"),
    "complex": (BYTES.astype(np.complex64), "of complex64: give"),
    "objects": (BYTES.astype(object), "of object: give"),
    "floats as bytes": (BYTES.astype(np.float32), r"floats from 0 to 25\d: they must be in \[0, 1\]"),
    "floats of a network": (FLOATS * 2 - 1, r"floats from -1 to 1: they must be in \[0, 1\]"),
    "floats that are not finite": (np.where(FLOATS > 0.5, np.nan, FLOATS), "floats from nan to nan: they must"),
    "a tensor of bytes": (torch.from_numpy(BYTES.transpose(2, 0, 1)), r"\(3, 9, 12\) of uint8; convert it to floats"),
    "a tensor of integers": (torch.zeros(3, 4, 4, dtype=torch.int64), r"of int64: give"),
    "a tensor of complex numbers": (torch.zeros(3, 4, 4, dtype=torch.complex64), r"of complex64: give"),
    "a tensor with channels last": (torch.zeros(4, 4, 3), r"a tensor \(4, 4, 3\) of float32: give"),
    "a tensor of grey": (torch.zeros(1, 4, 4), r"a tensor \(1, 4, 4\)"),
    "a tensor of 5 dimensions": (torch.zeros(1, 1, 3, 4, 4), "a tensor"),
    "a number": (torch.tensor(0.0), r"a tensor \(\) of float32: give"),
    "an empty tensor": (torch.zeros(0, 3, 4, 4), "it is empty"),
    "a tensor as bytes": (torch.full((3, 4, 4), 255.0), r"values from 255 to 255: they must be in \[-1, 1\]"),
    "a tensor of NaN": (torch.full((3, 4, 4), torch.nan), "values from nan to nan: they must"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_all_else_is_refused_in_one_line_that_says_what_to_give(
    name: str, translator: Translator, tmp_path: Path
) -> None:
    given, told = REFUSED[name]
    if name == "a cut picture":
        Image.fromarray(BYTES).save(tmp_path / "x.png")
        (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:200])
        given = Image.open(tmp_path / "x.png")
    with pytest.raises(ValueError, match=told) as caught:
        translator.translate(given)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the picture cannot be read"):
        picture_from(b"not a picture")


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.png cannot be read: No such file"):
        picture_from(tmp_path / "nothing.png")


@pytest.mark.parametrize("edge", [-1.0, 1.0])
def test_the_ends_of_the_range_belong_to_it(edge: float) -> None:
    assert batch_from(torch.full((3, 2, 2), edge)).shape == (1, 3, 2, 2)
    assert picture_from(np.full((2, 2), (edge + 1) / 2)).flat[0] == (255 if edge > 0 else 0)
