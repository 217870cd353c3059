"""Copies are found, exact and near, without comparing each with each."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.check.copies import Copies, find_copies, near_pairs
from cyclegan.check.facts import gather
from cyclegan.check.layout import find_data, find_places
from cyclegan.check.look import perceptual_hash
from tests.check.conftest import natural


def found(root: Path, near: bool = True) -> list[Copies]:
    return find_copies([gather(place) for place in find_places(find_data(root))], near=near)


def told(copies: list[Copies]) -> list[tuple[str, str, bool, int]]:
    return [(each.first, each.second, each.near, each.pictures) for each in copies]


@pytest.mark.parametrize("number", [0, 1, 2, 3000])
def test_near_pairs_are_those_of_comparing_each_with_each(number: int) -> None:
    random = np.random.default_rng(number)
    hashes = random.integers(0, 2**64, number, dtype=np.uint64)
    for i in range(0, number - 1, 50):  # copies that differ in up to six bits
        flips = random.choice(64, i // 50 % 7, replace=False).astype(np.uint64)
        hashes[i + 1] = hashes[i] ^ np.bitwise_or.reduce(np.uint64(1) << flips) if len(flips) else hashes[i]
    hashes = np.unique(hashes)
    expected = [
        pair
        for pair in combinations(range(len(hashes)), 2)
        if number < 3000 and int(np.bitwise_count(hashes[pair[0]] ^ hashes[pair[1]])) <= 4
    ]
    if number == 3000:
        distance = np.bitwise_count(hashes[:, None] ^ hashes[None])
        expected = [(int(i), int(j)) for i, j in np.argwhere(np.triu(distance <= 4, 1))]
        assert len(expected) > 20
    assert [(int(i), int(j)) for i, j in near_pairs(hashes)] == expected


def test_hashes_that_share_a_bucket_with_many_do_not_take_forever() -> None:
    hashes = np.arange(2**12, dtype=np.uint64) << np.uint64(48)  # all equal in 48 bits
    assert len(near_pairs(hashes)) > 0


def test_other_pictures_are_no_copies(root: Path) -> None:
    assert told(found(root)) == []


def test_an_exact_copy_is_found_in_any_format_and_under_any_name(root: Path) -> None:
    with Image.open(root / "trainA" / "trainA0.png") as image:
        image.save(root / "trainA" / "again.bmp")
        image.save(root / "testA" / "leak.tif")
        image.save(root / "trainB" / "both.png")
    assert told(found(root)) == [
        ("trainA", "trainA", False, 1),
        ("trainA", "trainB", False, 1),
        ("trainA", "testA", False, 1),
        ("trainB", "testA", False, 1),
    ]


@pytest.mark.parametrize("how", ["smaller", "compressed", "brighter"])
def test_a_near_copy_is_found(root: Path, how: str) -> None:
    with Image.open(root / "trainA" / "trainA0.png") as image:
        match how:
            case "smaller":
                image.resize((48, 48), Image.Resampling.BICUBIC).save(root / "testA" / "near.png")
            case "compressed":
                image.save(root / "testA" / "near.jpg", quality=60)
            case "brighter":
                image.point(lambda value: min(255, value * 1.1)).save(root / "testA" / "near.png")
    assert told(found(root)) == [("trainA", "testA", True, 1)]
    assert told(found(root, near=False)) == []


def test_an_exact_copy_is_not_counted_as_a_near_one_too(root: Path) -> None:
    with Image.open(root / "trainA" / "trainA0.png") as image:
        image.save(root / "trainA" / "again.png")
    assert told(found(root)) == [("trainA", "trainA", False, 1)]


def test_flat_pictures_are_not_called_alike(root: Path) -> None:
    for value in range(5):
        Image.new("RGB", (64, 64), (value * 50, 0, 0)).save(root / "trainA" / f"flat{value}.png")
    assert told(found(root)) == []


def test_a_perceptual_hash_fills_64_bits() -> None:
    assert all(0 <= perceptual_hash(natural(seed)) < 2**64 for seed in range(5))
    assert np.bitwise_count(np.uint64(perceptual_hash(natural(0)))) in range(28, 37)
