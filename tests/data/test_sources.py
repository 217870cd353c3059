"""Pictures of one name, or halves of one file, are pairs: found, reported if incomplete, and augmented alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.batches import Pictures, training_fit
from cyclegan.data.config import DataConfig
from cyclegan.data.files import UnreadableImage
from cyclegan.data.folder import Folder
from cyclegan.data.loader import Loader
from cyclegan.data.read import read_image
from cyclegan.data.sources import Source, check_learned, find_pairs, find_partners, sources, truth_source, unseen_split
from tests.tiny import write_pictures

ALIKE: list[dict[str, Any]] = [
    {"RandomCrop": {"height": 24, "width": 24}},
    {"HorizontalFlip": {"p": 0.5}},
    {"VerticalFlip": {"p": 0.5}},
    {"Rotate": {"limit": 20, "p": 0.5}},
    {"ColorJitter": {"p": 0.5}},
]


def copies(root: Path, number: int = 6, a: str = "trainA", b: str = "trainB") -> dict[Any, Source]:
    """The same pictures in both domains, so that their augmented versions must be equal too."""
    for name in (a, b):
        write_pictures(root / name, number)
    return {"a": Source(root / a), "b": Source(root / b)}


def side_by_side(folder: Path, number: int, width: int = 80) -> list[Path]:
    """Pictures whose left half is all red, and whose right half is all blue, each of another brightness."""
    folder.mkdir(parents=True)
    paths = [folder / f"{i}.png" for i in range(number)]
    for i, path in enumerate(paths):
        pixels = np.zeros((40, width, 3), np.uint8)
        pixels[:, : width // 2, 0] = pixels[:, -(width // 2) :, 2] = 100 + i
        Image.fromarray(pixels).save(path)
    return paths


def open_loader(places: dict[Any, Source], transforms: list[dict[str, Any]], **others: Any) -> Loader:
    augment, pairs = DataConfig(transforms=tuple(transforms)).build(), find_pairs(places)
    a, b = (
        Folder(place, augment.prepare, memory=2**30, warn=print, files=files)
        for place, files in zip(places.values(), (pairs.a, pairs.b), strict=True)
    )
    return Loader(a, b, augment, batch_size=1, seed=0, paired=True, **others)


@pytest.mark.parametrize("transforms", [ALIKE, ALIKE[:2], [{"Resize": {"height": 30, "width": 44}}, *ALIKE]])
def test_a_pair_is_cropped_flipped_and_coloured_alike(transforms: list[dict[str, Any]], tmp_path: Path) -> None:
    batches = list(open_loader(copies(tmp_path), transforms).batches(0, 12))
    assert all(torch.equal(batch.a, batch.b) for batch in batches)
    assert len({batch.a.numpy().tobytes() for batch in batches}) == 12


def test_threads_ranks_and_restarts_change_no_pair(tmp_path: Path) -> None:
    places = copies(tmp_path)
    whole = list(open_loader(places, ALIKE).batches(0, 12))
    later = list(open_loader(places, ALIKE, workers=2).batches(5, 12))
    ranks = [list(open_loader(places, ALIKE, rank=rank, processes=2).batches(0, 12)) for rank in (0, 1)]
    assert all(torch.equal(x.a, y.a) for x, y in zip(whole[5:], later, strict=True))
    assert all(torch.equal(x.b, y.b) for x, y in zip(whole[1::2], ranks[1], strict=True))


def test_an_epoch_shows_every_pair_once(tmp_path: Path) -> None:
    loader = open_loader(copies(tmp_path), ALIKE)
    seen = [loader.files(number) for number in range(6)]
    assert {a.name for a, _ in seen} == {f"{i}.png" for i in range(6)} and all(a.name == b.name for a, b in seen)


def test_a_pair_with_one_broken_picture_is_left_out_whole(tmp_path: Path) -> None:
    places = copies(tmp_path, 12)
    (tmp_path / "trainB" / "3.png").write_bytes(b"broken")
    loader = open_loader(places, ALIKE)
    assert all(torch.equal(batch.a, batch.b) for batch in loader.batches(0, 24))
    assert all("3.png" not in (a.name, b.name) for a, b in map(loader.files, range(24)))


def test_the_pictures_of_a_pair_must_have_one_size(tmp_path: Path) -> None:
    places = copies(tmp_path, 2)
    write_pictures(tmp_path / "trainB", 2, size=50)
    with pytest.raises(
        ValueError, match=r"\d.png: its pair has two sizes, 40 x 40 and 50 x 50; set data.fit to squash"
    ):
        next(open_loader(places, ALIKE).batches(0, 1))
    next(open_loader(places, [{"Resize": {"height": 30, "width": 30}}, *ALIKE]).batches(0, 1))


def test_partners_have_one_name_whatever_their_suffix(tmp_path: Path) -> None:
    for name in ("trainA/1.jpg", "trainA/x/2_A.png", "trainA/3_A.png", "trainA/3_B.png"):
        Image.new("RGB", (8, 8)).save(write(tmp_path / name))
    for name in ("trainB/1.png", "trainB/x/2_B.bmp", "trainB/3_A.png", "trainB/3_B.jpg"):
        Image.new("RGB", (8, 8)).save(write(tmp_path / name))
    found = find_pairs(sources(DataConfig(root=tmp_path, pairs="stem"), "train"))
    names = [(a.name, b.name) for a, b in zip(found.a, found.b, strict=True)]
    assert names == [("1.jpg", "1.png"), ("3_A.png", "3_A.png"), ("3_B.png", "3_B.jpg"), ("2_A.png", "2_B.bmp")]
    assert found.alone == []


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_pictures_without_a_partner_are_told_by_number_and_name(tmp_path: Path) -> None:
    places = copies(tmp_path, 15)
    for i in range(12):
        (tmp_path / "trainA" / f"{i}.png").unlink()
    (tmp_path / "trainB" / "14.png").unlink()
    found = find_pairs(places)
    assert [path.name for path in found.a] == [path.name for path in found.b] == ["12.png", "13.png"]
    one, many = found.alone
    a, b = tmp_path / "trainA", tmp_path / "trainB"
    assert one == f"{a}: 1 picture has no partner in {b} and is skipped: 14.png"
    named = "0.png, 1.png, 10.png, 11.png, 2.png, 3.png, 4.png, 5.png, 6.png, 7.png"
    assert many == f"{b}: 12 pictures have no partner in {a} and are skipped: {named}, and 2 more"


def test_no_pair_at_all_and_two_partners_are_mistakes(tmp_path: Path) -> None:
    places = copies(tmp_path, 2)
    (tmp_path / "trainB" / "0.png").rename(tmp_path / "trainB" / "1.jpg")
    with pytest.raises(ValueError, match=r"1\.jpg and 1\.png have the same name, so their pair is ambiguous"):
        find_pairs(places)
    (tmp_path / "trainB" / "1.png").unlink()
    (tmp_path / "trainB" / "1.jpg").rename(tmp_path / "trainB" / "x.jpg")
    with pytest.raises(FileNotFoundError, match=r"no picture has a partner of the same name; check data\.pairs"):
        find_pairs(places)


@pytest.mark.parametrize("width", [80, 81])
def test_the_left_half_is_a_and_the_right_half_b(tmp_path: Path, width: int) -> None:
    side_by_side(tmp_path / "train", 3, width)
    places = sources(DataConfig(root=tmp_path, pairs="side_by_side"), "train")
    for batch in open_loader(places, [{"RandomCrop": {"height": 32, "width": 32}}]).batches(0, 6):
        red, blue = batch.a[0, :, 0, 0].tolist(), batch.b[0, :, 0, 0].tolist()
        assert red[0] == blue[2] >= 100 and not (red[1] or red[2] or blue[0] or blue[1])
    assert training_fit(DataConfig(transforms=()), places["a"], places["a"].find()).size == (40, 40)
    seen = Pictures(places["a"])
    [left], [right] = list(seen), list(seen.partners(places["b"]))
    assert left.shape == right.shape == (3, 3, 40, 40) and torch.equal(left[:, 0], right[:, 2])


def test_a_half_is_a_crop_of_what_is_read(tmp_path: Path) -> None:
    [path] = write_pictures(tmp_path, 1, size=9)
    whole = np.asarray(read_image(path))
    assert np.array_equal(Source(tmp_path, "left").read(path), whole[:, :4])
    assert np.array_equal(Source(tmp_path, "right").read(path), whole[:, 5:])
    assert np.array_equal(Source(tmp_path).read(path), whole)
    Image.new("RGB", (1, 9)).save(path)
    with pytest.raises(UnreadableImage, match=r"0\.png cannot be read: it is 1 pixel wide and has no halves"):
        Source(tmp_path, "left").read(path)


def test_a_missing_folder_says_what_a_data_set_holds(tmp_path: Path) -> None:
    def complaint(**data: Any) -> str:
        with pytest.raises(FileNotFoundError) as error:
            check_learned(DataConfig(root=tmp_path, **data))
        return re.sub(r".*?: no such folder; ", "", str(error.value))

    known = "cyclegan fetch downloads known ones"
    assert complaint() == complaint(pairs="stem") == f"a data set needs trainA and trainB; {known}"
    assert complaint(pairs="side_by_side") == f"a data set needs train, with pictures side by side; {known}"
    (tmp_path / "train").mkdir()
    check_learned(DataConfig(root=tmp_path, pairs="side_by_side"))
    hint = "exists: if its pictures are pairs, set data.pairs to side_by_side"
    assert complaint() == f"{tmp_path / 'train'} {hint}"


def test_the_truth_is_a_folder_of_its_own_or_the_partner(tmp_path: Path) -> None:
    plain, pairs = (DataConfig(root=tmp_path, fit="none", pairs=pairs) for pairs in ("none", "stem"))
    assert truth_source(plain, "test", "a") is None and truth_source(pairs, "test", "a") == Source(tmp_path / "testB")
    assert truth_source(pairs, "val", "b") == Source(tmp_path / "valA")
    (tmp_path / "truthB").mkdir()
    assert truth_source(plain, "test", "a") == Source(tmp_path / "truthB") and truth_source(plain, "val", "a") is None


def test_sets_of_pairs_may_have_val_instead_of_test(tmp_path: Path) -> None:
    data = DataConfig(root=tmp_path, pairs="side_by_side")
    assert unseen_split(data) == "test"
    (tmp_path / "val").mkdir()
    assert unseen_split(data) == "val"
    (tmp_path / "test").mkdir()
    assert unseen_split(data) == "test"


def test_two_pictures_may_share_a_truth(tmp_path: Path) -> None:
    """Two files of one name are an error in a data set of pairs, but a truth may have one picture for both."""
    places = copies(tmp_path, 1, "testA", "truthB")
    Image.open(tmp_path / "testA" / "0.png").save(tmp_path / "testA" / "0.bmp")
    truth = tmp_path / "truthB" / "0.png"
    files = places["a"].find()
    assert find_partners(files, places["b"]) == [truth.name] * 2 and len(files) == 2


def test_only_the_files_asked_for_get_partners(tmp_path: Path) -> None:
    places = copies(tmp_path, 4)
    (tmp_path / "trainB" / "1.png").unlink()
    assert find_partners(places["a"].find().only(["2.png", "1.png"]), places["b"]) == ["2.png", None]
