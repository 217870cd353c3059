import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.config import DataConfig, Transform
from cyclegan.data.folder import Folder
from cyclegan.data.loader import Loader
from cyclegan.data.picture import Pixels
from cyclegan.data.sources import Source
from cyclegan.data.transforms import Augment
from cyclegan.types import Batch
from tests.tiny import write_pictures

CROP_AND_FLIP: list[Transform] = [
    {"Resize": {"height": 20, "width": 20}},
    {"RandomCrop": {"height": 16, "width": 16}},
    {"HorizontalFlip": {"p": 0.5}},
]
RAM = 2**30


def silence(line: str) -> None:
    pass


def flat_pictures(folder: Path, number: int) -> None:
    """Write pictures; picture i has red level i."""
    folder.mkdir(parents=True)
    for i in range(number):
        Image.new("RGB", (20, 20), (i, 0, 0)).save(folder / f"{i:03}.png")


def open_loader(root: Path, *, batch_size: int = 1, seed: int = 0, **others: Any) -> Loader:
    augment = Augment(CROP_AND_FLIP)
    a, b = (Folder(Source(root / name), augment.prepare, memory=RAM, warn=silence) for name in ("A", "B"))
    return Loader(a, b, augment, batch_size=batch_size, seed=seed, **others)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "A", 5, size=30, seed=1)
    write_pictures(tmp_path / "B", 7, size=24, seed=2)
    return tmp_path


def same(one: Batch, two: Batch) -> bool:
    return torch.equal(one.a, two.a) and torch.equal(one.b, two.b)


def test_batches_are_bytes_of_the_size_asked_for(root: Path) -> None:
    [batch] = open_loader(root, batch_size=3).batches(0, 3)
    assert batch.a.shape == batch.b.shape == (3, 3, 16, 16) and batch.a.dtype == torch.uint8


def test_starting_in_the_middle_continues_exactly(root: Path) -> None:
    whole = list(open_loader(root).batches(0, 20))
    assert all(same(x, y) for x, y in zip(whole[13:], open_loader(root).batches(13, 20), strict=True))


def test_threads_change_nothing(root: Path) -> None:
    one, three = open_loader(root).batches(0, 30), open_loader(root, workers=3).batches(0, 30)
    assert all(same(x, y) for x, y in zip(one, three, strict=True))


def test_another_seed_gives_other_batches(root: Path) -> None:
    [one], [two] = open_loader(root).batches(0, 1), open_loader(root, seed=1).batches(0, 1)
    assert not same(one, two)


def test_ranks_share_the_pairs_of_one_larger_batch(root: Path) -> None:
    [whole] = open_loader(root, batch_size=6).batches(0, 6)
    parts = [next(open_loader(root, batch_size=3, rank=rank, processes=2).batches(0, 6)) for rank in (0, 1)]
    assert same(whole, Batch(torch.cat([p.a for p in parts]), torch.cat([p.b for p in parts])))


def test_an_epoch_shows_every_picture_of_the_larger_folder_once_and_shuffles_anew(tmp_path: Path) -> None:
    flat_pictures(tmp_path / "A", 12)
    flat_pictures(tmp_path / "B", 5)
    loader = open_loader(tmp_path)
    reds = [int(batch.a[0, 0, 0, 0]) for batch in loader.batches(0, 24)]
    assert loader.epoch == 12
    assert sorted(reds[:12]) == sorted(reds[12:]) == list(range(12)) and reds[:12] != reds[12:]


def test_the_smaller_folder_is_drawn_modulo(tmp_path: Path) -> None:
    flat_pictures(tmp_path / "A", 4)
    flat_pictures(tmp_path / "B", 8)
    reds = [int(batch.a[0, 0, 0, 0]) for batch in open_loader(tmp_path).batches(0, 8)]
    assert sorted(reds) == sorted([*range(4), *range(4)])


def test_b_is_drawn_at_random(tmp_path: Path) -> None:
    flat_pictures(tmp_path / "A", 200)
    flat_pictures(tmp_path / "B", 10)
    reds = [int(batch.b[0, 0, 0, 0]) for batch in open_loader(tmp_path).batches(0, 200)]
    counts = np.bincount(reds, minlength=10)
    assert counts.min() > 5 and counts.max() < 40


def test_domains_are_flipped_apart(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.tile(np.arange(20, dtype=np.uint8)[None, :, None], (20, 1, 3)))
    for name in "AB":
        (tmp_path / name).mkdir()
        ramp.save(tmp_path / name / "0.png")
    batches = open_loader(tmp_path).batches(0, 100)
    flips = {(bool(x.a[0, 0, 0, 0] > x.a[0, 0, 0, -1]), bool(x.b[0, 0, 0, 0] > x.b[0, 0, 0, -1])) for x in batches}
    assert len(flips) == 4


def test_a_broken_picture_is_named_once_and_left_out(root: Path) -> None:
    write_pictures(root / "A", 12, size=30)
    (root / "A" / "3.png").write_bytes(b"not a picture")
    told: list[str] = []
    augment = Augment(CROP_AND_FLIP)
    a, b = (Folder(Source(root / name), augment.prepare, memory=RAM, warn=told.append) for name in ("A", "B"))
    assert len(list(Loader(a, b, augment, batch_size=1, seed=0).batches(0, 40))) == 40
    assert len(told) == 1 and "3.png" in told[0]


def test_too_many_broken_pictures_stop_with_one_line(root: Path) -> None:
    for name in ("1.png", "2.png"):
        (root / "A" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"pictures cannot be read.*\.png") as caught:
        list(open_loader(root, workers=2).batches(0, 40))
    assert "\n" not in str(caught.value)


def test_an_empty_and_a_missing_folder_are_one_line(root: Path) -> None:
    (root / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(FileNotFoundError) as caught:
            Folder(Source(root / name), lambda pixels: pixels, memory=0, warn=silence)
        assert str(root / name) in str(caught.value) and "\n" not in str(caught.value)


def test_what_fits_stays_in_memory_and_the_rest_is_read_again(root: Path) -> None:
    reads = 0

    def prepare(pixels: Pixels) -> Pixels:
        nonlocal reads
        reads += 1
        return pixels

    folder = Folder(Source(root / "A"), prepare, memory=3 * 30 * 30 * 3, warn=silence)  # three of five pictures
    for _ in range(2):
        for index in range(5):
            _ = folder[index]
    assert reads == 5 + 2


def test_the_certain_beginning_of_the_transforms_is_done_once() -> None:
    augment = DataConfig(fit="squash").build()
    prepared = augment.prepare(np.zeros((50, 90, 3), np.uint8))
    assert prepared.shape == (286, 286, 3) and augment(prepared, key=0).shape == (256, 256, 3)


def test_augmentation_is_a_function_of_the_key() -> None:
    transforms: list[Transform] = [*CROP_AND_FLIP, {"ColorJitter": {"p": 1.0}}, {"GaussNoise": {"p": 0.5}}]
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    one, other = Augment(transforms), Augment(transforms)
    first = [one(pixels, key) for key in range(6)]
    again = [other(pixels, key) for key in reversed(range(6))][::-1]
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert len({x.tobytes() for x in first}) > 3


@pytest.mark.parametrize(
    "transform, told",
    [
        ({"RandomCorp": {}}, "data.transforms.0: albumentations has no 'RandomCorp'; did you mean 'RandomCrop'?"),
        ({"RandomCrop": {"heigth": 3}}, "data.transforms.0: RandomCrop takes no 'heigth'; did you mean 'height'?"),
        (
            {"RandomCrop": {"height": "x", "width": 3}},
            "data.transforms.0.RandomCrop.height: input should be a",
        ),
        ({"Blur": {"blur_limit": [7, 3]}}, "data.transforms.0.Blur: blur_limit: Invalid range"),
        (
            {"ImageOnlyTransform": {}},
            "data.transforms.0: 'ImageOnlyTransform' is an abstract base class",
        ),
        ({"Resize": {"height": 10**9, "width": 3}}, "data.transforms.0.Resize.height: 1000000000 exceeds 65,536"),
        ({"RandomCrop": {}, "Resize": {}}, "data.transforms.0: write one transform as"),
    ],
)
def test_a_mistaken_transform_is_one_line(transform: Transform, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        Augment([transform])
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_leaving_early_leaves_no_thread_waiting(root: Path) -> None:
    before = threading.active_count()
    batches = open_loader(root, workers=2).batches(0, 10**9)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_what_albumentations_merely_advises_is_taken_silently(recwarn: pytest.WarningsRecorder) -> None:
    Augment([{"ShiftScaleRotate": {}}])
    assert not recwarn.list
