"""Pictures of several sizes come in batches of one size, each about equally often, and always the same ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.config import DataConfig, Preset
from cyclegan.data.fit import Size
from cyclegan.data.folder import Folder
from cyclegan.data.loader import Loader
from cyclegan.data.order import GroupedOrder, Order
from cyclegan.data.presets import size_in_training
from cyclegan.data.sources import Source
from cyclegan.types import Batch

SIZES: list[Size] = [(20, 30)] * 6 + [(30, 20)] * 4 + [(24, 24)] * 1
"""The sizes of the pictures of A, in the order of their red levels."""


def write(folder: Path, sizes: list[Size]) -> None:
    """Write pictures; picture i has red level i."""
    folder.mkdir(parents=True)
    for i, (height, width) in enumerate(sizes):
        Image.new("RGB", (width, height), (i, 0, 0)).save(folder / f"{i:03}.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "A", SIZES)
    write(tmp_path / "B", [(16, 40)] * 30 + [(40, 16)] * 10)
    return tmp_path


def open_loader(root: Path, *, fit: Preset = "none", batch_size: int = 4, **others: Any) -> Loader:
    data = DataConfig(fit=fit, size=16)
    augment = data.build()
    a, b = (Folder(Source(root / name), augment.prepare, memory=2**20, warn=lambda line: None) for name in "AB")
    others = {"seed": 0, "becomes": size_in_training(data)} | others
    return Loader(a, b, augment, batch_size=batch_size, **others)


def reds(images: torch.Tensor) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def same(one: Batch, two: Batch) -> bool:
    return torch.equal(one.a, two.a) and torch.equal(one.b, two.b)


def test_a_step_has_one_size_in_each_domain_and_sees_every_picture_equally_often(root: Path) -> None:
    batches = list(open_loader(root).batches(0, 4 * len(SIZES)))
    assert all(SIZES[red] == batch.a.shape[2:] for batch in batches for red in reds(batch.a))
    assert Counter(red for batch in batches for red in reds(batch.a)) == dict.fromkeys(range(len(SIZES)), 4)


def test_b_is_drawn_in_proportion(root: Path) -> None:
    order = GroupedOrder(np.zeros(5, np.int64), np.array([0] * 30 + [1] * 10), seed=0, together=4)
    drawn = [[pick.chosen for pick in next(order.of_b(range(seen, seen + 4), seen))] for seen in range(0, 8000, 4)]
    assert all(len({each >= 30 for each in picked}) == 1 for picked in drawn)
    counts = np.bincount(np.array(drawn).ravel())
    assert counts.min() > 130 and counts.max() < 280  # 200 each


@pytest.mark.parametrize("fit", ["none", "scale_width", "scale_shortest"])
def test_starting_in_the_middle_and_threads_change_nothing(root: Path, fit: Preset) -> None:
    whole = list(open_loader(root, fit=fit).batches(0, 200))
    rest = list(open_loader(root, fit=fit, workers=3).batches(80, 200))
    assert len(whole) == 50 and all(same(x, y) for x, y in zip(whole[20:], rest, strict=True))
    assert len({batch.a.shape for batch in whole}) == 3 and len({batch.b.shape for batch in whole}) == 2


def test_ranks_share_the_pictures_of_one_larger_batch(root: Path) -> None:
    for seen in range(0, 80, 4):
        [whole] = open_loader(root).batches(seen, seen + 4)
        parts = [
            next(open_loader(root, batch_size=2, rank=rank, processes=2).batches(seen, seen + 4)) for rank in (0, 1)
        ]
        assert same(whole, Batch(torch.cat([part.a for part in parts]), torch.cat([part.b for part in parts])))


def test_another_seed_gives_another_order(root: Path) -> None:
    one, other = (list(open_loader(root, seed=seed).batches(0, 40)) for seed in (0, 1))
    assert [batch.a.shape for batch in one] != [batch.a.shape for batch in other]


def test_a_batch_of_one_picture_has_the_order_of_pictures_of_one_size(root: Path) -> None:
    grouped, plain = open_loader(root, batch_size=1), open_loader(root, batch_size=1, becomes=None)
    assert grouped.sizes == {"a": 3, "b": 2} and isinstance(grouped.order, Order)
    assert all(same(x, y) for x, y in zip(grouped.batches(0, 30), plain.batches(0, 30), strict=True))


def test_pictures_of_one_size_keep_their_order(tmp_path: Path) -> None:
    write(tmp_path / "A", [(20, 30)] * 5)
    write(tmp_path / "B", [(30, 30)] * 7)
    one, plain = open_loader(tmp_path), open_loader(tmp_path, becomes=None)
    assert one.sizes == {"a": 1, "b": 1}
    assert all(same(x, y) for x, y in zip(one.batches(0, 40), plain.batches(0, 40), strict=True))


def test_pairs_stay_together(tmp_path: Path) -> None:
    for name in "AB":
        write(tmp_path / name, SIZES)
    for batch in open_loader(tmp_path, paired=True).batches(0, 100):
        assert reds(batch.a) == reds(batch.b) and batch.a.shape == batch.b.shape


def test_a_broken_picture_is_replaced_by_one_of_its_size_and_a_broken_size_by_another(tmp_path: Path) -> None:
    sizes = SIZES + [(20, 30)] * 10
    for name in "AB":
        write(tmp_path / name, sizes)
    for path in (tmp_path / "A" / "000.png", tmp_path / "A" / "010.png"):  # 10 is the only one of its size
        path.write_bytes(path.read_bytes()[:45])
    loader = open_loader(tmp_path)
    whole = list(loader.batches(0, 400))
    for number, batch in enumerate(whole):
        assert all(sizes[red] == batch.a.shape[2:] for red in reds(batch.a)) and not {0, 10} & {*reds(batch.a)}
        assert [int(path.stem) for path in loader.files(4 * number)[::2]] == reds(batch.a)
    rest = open_loader(tmp_path, workers=3).batches(200, 400)
    assert len(loader.a.broken) == 2 and all(same(x, y) for x, y in zip(whole[50:], rest, strict=True))


def test_pictures_of_a_list_of_transforms_are_not_grouped(root: Path) -> None:
    with pytest.raises(ValueError, match=r"differ in size \(.*\); set data.fit to crop, which gives all the same"):
        list(open_loader(root, becomes=None).batches(0, 40))
