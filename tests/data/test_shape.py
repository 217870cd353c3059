"""Pictures keep their shape in training, samples, validation, scores and reports, unless the recipe squashes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from cyclegan.data.batches import Pictures, training_fit
from cyclegan.data.config import DataConfig, Preset, Transform
from cyclegan.data.enlarge import enlarging
from cyclegan.data.fit import Size
from cyclegan.data.picture import Pixels
from cyclegan.data.presets import fit_of, size_in_training, transforms_of
from cyclegan.data.shapes import size_of, sizes_of
from cyclegan.data.sources import Source, sources
from cyclegan.data.transforms import Augment
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from cyclegan.report.pictures import translated, unseen_source
from cyclegan.training.samples import Samples
from cyclegan.types import Direction

PRESETS: tuple[Preset, ...] = get_args(Preset)
KEEPING = [preset for preset in PRESETS if preset != "squash"]
REFERENCE: list[Transform] = [
    {"Resize": {"height": 286, "width": 286, "interpolation": 2, "area_for_downscale": "image"}},
    {"RandomCrop": {"height": 256, "width": 256}},
    {"HorizontalFlip": {"p": 0.5}},
]
SHAPES: list[Size] = [(48, 96), (96, 48), (60, 60)]
CPU = torch.device("cpu")


def circle(height: int, width: int) -> Image.Image:
    """A white circle in the middle of black."""
    image = Image.new("RGB", (width, height))
    x, y, radius = width / 2, height / 2, min(height, width) / 3
    ImageDraw.Draw(image).ellipse([x - radius, y - radius, x + radius, y + radius], fill="white")
    return image


def roundness(pixels: Pixels) -> float:
    """The width of the circle divided by its height."""
    bright = pixels[..., 0].astype(float) > pixels.max() / 2
    return float(bright.any(axis=0).sum() / bright.any(axis=1).sum())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Wide, high and square pictures."""
    for name in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / name).mkdir()
        for number, shape in enumerate(SHAPES):
            circle(*shape).save(tmp_path / name / f"{number}.png")
    return tmp_path


def everywhere(data: DataConfig) -> dict[str, list[Pixels]]:
    """The test pictures of A as samples, validation, scores and the report see them."""
    source, way = unseen_source(data, Direction.AtoB), Direction.AtoB
    fit, paths = training_fit(data, source, source.find()), source.find()
    translator = Translator(ResnetConfig(width=4, blocks=1).build())
    report = [one for one in translated(source, paths, fit, translator, None) if one]
    assert all(one.fake.size == one.real.size for one in report)
    samples = Samples(data, 3, fit, CPU).pictures[way.source]
    return {
        "samples": [(one[0].permute(1, 2, 0).numpy() + 1) / 2 for one in samples],
        "scores": [one.permute(1, 2, 0).numpy() for batch in Pictures(source, fit) for one in batch],
        "report": [np.asarray(one.real) for one in report],
    }


@pytest.mark.parametrize("preset", KEEPING)
def test_a_circle_stays_a_circle(preset: Preset, root: Path) -> None:
    data = DataConfig(root=root, fit=preset, size=48)
    augment = data.build()
    for shape in SHAPES:
        prepared = augment.prepare(np.asarray(circle(*shape)))
        assert roundness(prepared) == pytest.approx(1, abs=0.07)
        assert roundness(augment(prepared, key=1)) == pytest.approx(1, abs=0.07) or preset == "crop"
    for where, pictures in everywhere(data).items():
        assert [roundness(pixels) for pixels in pictures] == pytest.approx([1, 1, 1], abs=0.07), where


def test_squash_makes_ellipses_everywhere(root: Path) -> None:
    data = DataConfig(root=root, fit="squash", size=48)
    expected = pytest.approx([1 / 2, 2, 1], abs=0.1)
    assert [roundness(data.build().prepare(np.asarray(circle(*shape)))) for shape in SHAPES] == expected
    for where, pictures in everywhere(data).items():
        assert [roundness(pixels) for pixels in pictures] == expected, where


@pytest.mark.parametrize("preset", PRESETS)
def test_samples_scores_and_report_see_the_same_pixels(preset: Preset, root: Path) -> None:
    seen = everywhere(DataConfig(root=root, fit=preset, size=48))
    for sample, score, report in zip(*seen.values(), strict=True):
        assert np.array_equal((sample * 255).round().astype(np.uint8), score) and np.array_equal(score, report)


@pytest.mark.parametrize(
    "preset, trained, evaluated",
    [
        ("crop", [(32, 32)] * 3, [(32, 32)] * 3),
        ("squash", [(32, 32)] * 3, [(32, 32)] * 3),
        ("scale_width", [(16, 32), (64, 32), (32, 32)], [(16, 32), (64, 32), (32, 32)]),
        ("scale_shortest", [(32, 64), (64, 32), (32, 32)], [(32, 64), (64, 32), (32, 32)]),
        ("none", SHAPES, SHAPES),
    ],
)
def test_the_sizes_of_each_preset(preset: Preset, trained: list[Size], evaluated: list[Size]) -> None:
    data = DataConfig(fit=preset, size=32)
    augment, fit, becomes = data.build(), fit_of(data), size_in_training(data)
    pictures = [np.asarray(circle(*shape)) for shape in SHAPES]
    assert [augment(augment.prepare(pixels), key=0).shape[:2] for pixels in pictures] == trained
    assert [fit(pixels).shape[:2] for pixels in pictures] == evaluated
    assert fit.several == (becomes is not None) and (becomes is None or [*map(becomes, SHAPES)] == trained)


def test_scaled_sides_are_multiples_of_four_and_long_strips_lose_their_ends() -> None:
    for preset in ("scale_width", "scale_shortest"):
        data = DataConfig(fit=preset, size=30)
        becomes, augment = size_in_training(data), data.build()
        assert becomes
        for shape in [(37, 53), (100, 31), (1, 3000), (3000, 1), (5, 5)]:
            made = augment.prepare(np.zeros((*shape, 1), np.float32))
            assert made.shape == (*becomes(shape), 1) and made.dtype == np.float32
            assert not made.shape[0] % 4 and not made.shape[1] % 4 and max(made.shape) <= 16 * 32


def test_squash_is_the_reference_bit_for_bit() -> None:
    assert list(transforms_of(DataConfig(fit="squash"))) == REFERENCE
    pixels = np.random.default_rng(0).integers(0, 256, (300, 420, 3), np.uint8)
    ours, theirs = DataConfig(fit="squash").build(), Augment(REFERENCE)
    assert np.array_equal(ours(ours.prepare(pixels), 5), theirs(theirs.prepare(pixels), 5))


def test_squares_are_cropped_as_they_were_squashed() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    crop, squash = DataConfig(size=64).build(), DataConfig(size=64, fit="squash").build()
    assert np.array_equal(crop(crop.prepare(pixels), 5), squash(squash.prepare(pixels), 5))


def test_a_list_of_transforms_replaces_the_preset(root: Path) -> None:
    listed: tuple[Transform, ...] = (
        {"Resize": {"height": 40, "width": 40}},
        {"RandomCrop": {"height": 32, "width": 24}},
    )
    data = DataConfig(root=root, fit="none", size=999, transforms=listed)
    assert transforms_of(data) == listed and size_in_training(data) is None
    source = sources(data, "train")["a"]
    fit, augment = training_fit(data, source, source.find()), Augment(listed)
    made = fit(np.asarray(circle(48, 96)))
    assert made.shape == (32, 24, 3) and str(fit) == "24 x 32" and not fit.several
    assert np.array_equal(made, augment.fit((32, 24))(np.asarray(circle(48, 96))))


def test_a_preset_needs_no_picture_to_know_its_size(tmp_path: Path) -> None:
    assert training_fit(DataConfig(size=64), Source(tmp_path), []).size == (64, 64)


def test_the_largest_size_is_valid() -> None:
    for preset in PRESETS:
        DataConfig(fit=preset, size=2**16).build()


def test_no_preset_enlarges_without_limit() -> None:
    for preset in PRESETS:
        augment = DataConfig(fit=preset, size=32).build()
        prepared, enlarged = enlarging(augment.prepare, np.zeros((1, 5000, 3), np.uint8))
        assert prepared.size <= 3 * 36 * 16 * 36 and not enlarged


def test_the_size_of_a_picture_is_read_off_its_header(tmp_path: Path) -> None:
    image, turned = circle(20, 50), Image.Exif()
    turned[0x0112] = 6
    for suffix in ("png", "jpg", "bmp", "webp", "gif", "tif", "ppm"):
        image.save(path := tmp_path / f"x.{suffix}")
        assert size_of(path) == (20, 50), suffix
    for suffix in ("png", "jpg", "webp", "tif"):
        image.save(path := tmp_path / f"turned.{suffix}", exif=turned)
        assert size_of(path) == (50, 20) == Source(tmp_path).read(path).shape[:2], suffix
    np.save(tmp_path / "x.npy", np.zeros((7, 9), np.uint8))
    (tmp_path / "x.jpg").write_bytes(b"broken")
    assert size_of(tmp_path / "x.npy") is None is size_of(tmp_path / "x.jpg")
    source = Source(tmp_path)
    found = dict(zip(source.find().names, sizes_of(source, source.find(), lambda size: size), strict=True))
    assert found["x.npy"] == (7, 9) and found["x.jpg"] == (20, 50)  # the most frequent one, for the broken file


def test_half_of_a_file_has_half_its_width(tmp_path: Path) -> None:
    circle(20, 51).save(tmp_path / "x.png")
    source = Source(tmp_path, "left")
    assert sizes_of(source, source.find(), lambda size: size) == [source.read(tmp_path / "x.png").shape[:2]]


def test_large_jpegs_are_decoded_smaller_in_training_and_in_scores(tmp_path: Path) -> None:
    """To a size that is still twice what they are scaled to; smooth pictures stay the same to 2 of 255."""
    image = circle(12, 12).resize((1600, 1600), Image.Resampling.BICUBIC)
    for split in ("trainA", "testA", "testB"):
        (tmp_path / split).mkdir()
        image.save(tmp_path / split / "x.jpg")
    config = DataConfig(root=tmp_path, size=64)
    whole, augment = Source(tmp_path / "trainA").read(tmp_path / "trainA" / "x.jpg"), config.build()
    for split in ("train", "test"):
        source = sources(config, split)["a"]
        reduced = source.read(source.folder / "x.jpg")
        assert whole.shape[0] == 1600 and reduced.shape[0] == 200
        assert np.abs(augment.prepare(whole).astype(int) - augment.prepare(reduced)).max() <= 2


@pytest.mark.parametrize("change", [{"fit": "none"}, {"transforms": ()}])
def test_pictures_that_are_not_scaled_are_decoded_whole(change: dict[str, Any]) -> None:
    assert DataConfig(**change).enough is None
