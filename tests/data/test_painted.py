"""The built-in data set: its photographs, its paintings, and the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.data.painted import build_demo, columns, paint, photographs

skimage = pytest.importorskip("skimage")
SIZE = 32
FOLDERS = ("trainA", "trainB", "testA", "testB", "truthB")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("data") / "demo", size=SIZE)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_photograph_comes_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from skimage.data import _fetchers

    monkeypatch.setattr(_fetchers, "_image_fetcher", None)  # nothing to download with, no cache of earlier downloads
    monkeypatch.setattr(_fetchers, "data_dir", str(Path(skimage.__file__).parent / "data"))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # under pytest, scikit-image skips a test that would download
    assert len(photographs(width=64)) == 5


@pytest.mark.parametrize("size", [16, 33, 96, 128])
def test_sides_are_wide_enough_and_apart_from_what_is_held_out(size: int) -> None:
    left, held_out, right = columns(size)
    places = [set(range(side.start, side.stop)) for side in (left, held_out, right)]
    assert min(map(len, places)) == size
    assert not places[0] & places[1] and not places[1] & places[2] and not places[0] & places[2]
    assert max(set().union(*places)) < 4 * size


def test_no_place_is_in_two_sets(demo: Path) -> None:
    for name, photo in photographs(width=4 * SIZE).items():
        left, held_out, right = columns(SIZE)
        painting = paint(photo)
        a, b = pixels(demo / "trainA" / f"{name}.png"), pixels(demo / "trainB" / f"{name}.png")
        sides = (photo[:, left], painting[:, right]), (photo[:, right], painting[:, left])
        assert any(np.array_equal(a, side_a) and np.array_equal(b, side_b) for side_a, side_b in sides)
        for path in (demo / "testA").glob(f"{name}-*.png"):
            strip = np.lib.stride_tricks.sliding_window_view(photo[:, held_out], SIZE, axis=0)
            assert (strip == pixels(path).transpose(1, 2, 0)).all(axis=(1, 2, 3)).any()


def test_every_test_photograph_has_its_truth(demo: Path) -> None:
    assert len(names(demo / "testA")) == 15
    assert names(demo / "testA") == names(demo / "testB") == names(demo / "truthB")


def test_test_pictures_are_squares_of_the_asked_size_and_training_holds_larger_ones(demo: Path) -> None:
    assert {Image.open(path).size for path in (demo / "testA").iterdir()} == {(SIZE, SIZE)}
    assert all(min(Image.open(path).size) >= SIZE for path in (demo / "trainA").iterdir())


def test_truth_is_far_from_the_photograph(demo: Path) -> None:
    for path in (demo / "testA").iterdir():
        difference = pixels(path).astype(float) - pixels(demo / "truthB" / path.name)
        assert 10 * np.log10(255**2 / (difference**2).mean()) < 22


def test_paint_gives_the_same_painting_every_time() -> None:
    photo = photographs(width=96)["cat"]
    painting = paint(photo)
    assert painting.shape == photo.shape and painting.dtype == np.uint8
    np.testing.assert_array_equal(painting, paint(photo))


def test_paint_looks_only_at_what_is_near() -> None:
    photo = photographs(width=192)["coffee"]
    other = photo.copy()
    other[:, 128:] = 0
    np.testing.assert_array_equal(paint(photo)[:, :80], paint(other)[:, :80])


def test_same_seed_gives_the_same_files_and_another_swaps_sides(demo: Path, tmp_path: Path) -> None:
    assert contents(build_demo(tmp_path / "again", size=SIZE)) == contents(demo)
    other = build_demo(tmp_path / "other", size=SIZE, seed=1)
    assert contents(other / "trainA") != contents(demo / "trainA")
    assert contents(other / "testA") == contents(demo / "testA")


def test_a_finished_folder_is_used_again(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    assert build_demo(demo, size=SIZE) == demo
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(FileExistsError, match="choose another"):
        build_demo(tmp_path, size=SIZE)
    assert names(tmp_path) == ["holiday.jpg"]


def test_an_interrupted_build_leaves_no_folder_and_the_next_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    root = tmp_path / "demo"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cyclegan.data.painted.paint", interrupt)
        build_demo(root, size=SIZE)
    assert not root.exists()
    assert names(build_demo(root, size=SIZE)) == sorted([*FOLDERS, "about.txt"])
    assert names(tmp_path) == ["demo"]


def test_without_scikit_image_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "skimage"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'^the demo needs scikit-image: pip install "cyclegan\[demo\]"$'):
        build_demo(tmp_path / "demo", size=SIZE)
    assert not (tmp_path / "demo").exists()
