"""Tests of the sizes that pictures are translated at."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyclegan.data.config import DataConfig, Preset, Transform
from cyclegan.inference.sizes import Sizing, advice, is_much_larger, trained_size

LARGE = (3000, 4000)
"""(H, W)."""


def test_by_default_pictures_keep_their_size() -> None:
    assert Sizing().of(LARGE) == (LARGE, LARGE)


@pytest.mark.parametrize(
    ("how", "size"),
    [
        (Sizing(size=256), (256, 341)),
        (Sizing(scale=0.1), (300, 400)),
        (Sizing(scale=2), (6000, 8000)),
        (Sizing(size=1), (1, 1)),
        (Sizing(scale=1e-9), (1, 1)),
    ],
)
def test_size_and_scale_change_the_output_too(how: Sizing, size: tuple[int, int]) -> None:
    assert how.of(LARGE) == (size, size)


@pytest.mark.parametrize("how", [Sizing(size=256, detail=True), Sizing(detail=True).known(256)])
def test_detail_brings_back_the_full_size(how: Sizing) -> None:
    assert how.of(LARGE) == ((256, 341), LARGE)
    assert Sizing(scale=0.25, detail=True).known(None).of(LARGE) == ((750, 1000), LARGE)


def test_detail_never_enlarges() -> None:
    small = (100, 120)
    assert Sizing(size=256, detail=True).of(small) == (small, small)


def test_detail_needs_a_size() -> None:
    with pytest.raises(ValueError, match="trained at is not known; add --size"):
        Sizing(detail=True).known(None)
    assert Sizing().known(None) == Sizing()
    assert Sizing(size=64, detail=True).known(256) == Sizing(size=64, detail=True)


def test_too_many_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="10 x 1000 pixels are over the limit of 9,999; use a smaller --size"):
        Sizing(size=10).of((100, 1), most=9_999)
    with pytest.raises(ValueError, match="use a smaller --scale"):
        Sizing(scale=2).of(LARGE, most=12_000_000)


def test_values_out_of_range_and_clashing_options_are_refused() -> None:
    with pytest.raises(ValueError, match="--size and --scale exclude each other"):
        Sizing(size=256, scale=0.5)
    with pytest.raises(ValueError, match="--size: must be at least 1, not 0"):
        Sizing(size=0)
    for scale in (0, -1, 17, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="--scale: must be above 0 and at most 16"):
            Sizing(scale=scale)


def test_it_is_told_in_a_few_words() -> None:
    told = [str(Sizing()), str(Sizing(size=256)), str(Sizing(scale=0.5, detail=True))]
    assert told == ["", "size 256", "scale 0.5 detail"]


@pytest.mark.parametrize("fit", ["crop", "squash", "scale_width", "scale_shortest"])
def test_the_size_of_a_training_is_that_of_its_preset(fit: Preset) -> None:
    assert trained_size(DataConfig(fit=fit, size=192)) == 192


CROP: Transform = {"RandomCrop": {"height": 64, "width": 64}}


@pytest.mark.parametrize(
    ("transforms", "size"),
    [
        ([{"Resize": {"height": 286, "width": 300}}, CROP], 286),
        ([{"Scale": {"shortest": 144}}, CROP], 144),
        ([{"Scale": {"width": 144}}], 144),
        ([{"SmallestMaxSize": {"max_size": 128}}, {"Resize": {"height": 99, "width": 98}}, CROP], 98),
        ([{"RandomResizedCrop": {"size": [256, 256]}}], 256),
        ([CROP], None),
        ([{"SmallestMaxSize": {"max_size": [128, 256]}}], None),
        ([{"Resize": {"height": 64, "width": 64, "p": 0.5}}], None),
        ([], None),
    ],
)
def test_the_size_of_a_training_with_transforms_is_that_of_the_last_scaling(
    transforms: list[Transform], size: int | None
) -> None:
    assert trained_size(DataConfig(transforms=tuple(transforms))) == size


def test_the_size_of_a_training_on_pictures_as_they_are_is_not_known() -> None:
    assert trained_size(DataConfig(fit="none")) is None


def test_pictures_much_larger_than_those_of_the_training_get_advice() -> None:
    assert is_much_larger((1024, 2000), 256)
    assert not is_much_larger((1023, 20_000), 256)
    assert not is_much_larger(LARGE, None)
    assert advice("photo.jpg", LARGE, 256) == (
        "photo.jpg has 4000 x 3000 pixels, but the model was trained at 256, so its textures will be fine-grained; "
        "try --detail, --size 256 or --scale 0.09"
    )
    assert "pixels, and 11 more are as large, but" in advice(str(Path("a.png")), LARGE, 256, 12)
