"""Decoded pictures come back as they were, from RAM and from a scratch file that leaves no trace."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cyclegan.data.cache import Cache
from cyclegan.data.config import DataConfig
from cyclegan.data.folder import open_folders
from cyclegan.data.loader import Loader
from cyclegan.data.scratch import Scratch
from tests.tiny import write_pictures


def arrays(number: int = 12) -> list[Any]:
    """Pictures of several sizes, channels and types."""
    random = np.random.default_rng(0)
    kinds: list[Any] = [np.uint8, np.float32, np.uint16]
    return [random.integers(0, 255, (3 + i, 2 + i, 1 + i % 4)).astype(kinds[i % 3]) for i in range(number)]


def fail(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.parametrize("memory", [0, 500, 10**6])
def test_arrays_come_back_as_they_were(memory: int, tmp_path: Path) -> None:
    cache = Cache(12, memory, Scratch(tmp_path, fail, spare=0))
    for index, array in enumerate(arrays()):
        assert cache.get(index) is None
        cache.put(index, array)
    for index, array in reversed(list(enumerate(arrays()))):
        found = cache.get(index)
        assert found is not None and found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_without_a_scratch_file_the_rest_is_not_kept() -> None:
    cache = Cache(3, 20)
    for index in range(3):
        cache.put(index, np.full((2, 2, 2), index, np.uint8))
    assert [cache.get(index) is not None for index in range(3)] == [True, True, False]


def test_a_view_does_not_keep_its_whole_picture() -> None:
    whole = np.zeros((100, 100, 3), np.uint8)
    cache = Cache(1, 100)
    cache.put(0, whole[:3, :3])
    found = cache.get(0)
    assert found is not None and found.base is None and found.nbytes == 27


def test_an_array_that_is_put_twice_takes_its_room_once() -> None:
    cache = Cache(2, 16)
    for index in (0, 0, 1):
        cache.put(index, np.zeros((2, 2, 2), np.uint8))
    assert cache.get(1) is not None


def test_a_change_of_an_array_does_not_reach_the_file(tmp_path: Path) -> None:
    cache = Cache(1, 0, Scratch(tmp_path, fail, spare=0))
    cache.put(0, np.zeros((2, 2, 2), np.uint8))
    first = cache.get(0)
    assert first is not None
    first += 1
    again = cache.get(0)
    assert again is not None and not again.any()


def test_the_file_has_no_name_and_two_processes_may_use_one_folder(tmp_path: Path) -> None:
    caches = [Cache(1, 0, Scratch(tmp_path, fail, spare=0)) for _ in range(2)]
    for value, cache in enumerate(caches):
        cache.put(0, np.full((2, 2, 2), value, np.uint8))
    found = [cache.get(0) for cache in caches]
    assert [array.max() for array in found if array is not None] == [0, 1]
    del caches, found, cache
    assert not list(tmp_path.iterdir())


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache, expected = Cache(12, 500, Scratch(tmp_path, fail, spare=0)), arrays()

    def use(turn: int) -> bool:
        index = turn % 12
        found = cache.get(index)
        if found is None:
            cache.put(index, expected[index])
        return found is None or np.array_equal(found, expected[index])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(600)))
    assert all(cache.get(index) is not None for index in range(12))


def test_a_full_disk_ends_caching_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    scratch = Scratch(tmp_path, told.append, spare=0)
    cache = Cache(4, 0, scratch)
    cache.put(0, np.full((2, 2, 2), 7, np.uint8))

    class Full:
        """A disk that takes three more bytes."""

        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 3

        def write(self, data: memoryview) -> int:
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            written: int = self.file.write(data[: self.left])
            self.left -= written
            return written

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    monkeypatch.setattr(scratch, "_file", Full(scratch._file))
    for index in (1, 2, 3):
        cache.put(index, np.zeros((2, 2, 2), np.uint8))
    found = cache.get(0)
    assert found is not None and (found == 7).all() and cache.get(1) is cache.get(2) is None
    rest = "the other pictures are decoded each time that they are used"
    assert told == [f"data.cache_dir: {tmp_path} is full (No space left on device); {rest}"]


def test_some_of_the_disk_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(2**40, 2**39, 10 * 2**30))
    cache = Cache(1, 0, Scratch(tmp_path, told.append))
    cache.put(0, np.zeros((2, 2, 2), np.uint8))
    [line] = told
    assert cache.get(0) is None and "is full (less than 10 GiB would be left free)" in line


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.cache_dir: no file can be written in .*gone: No such file or dir"):
        Scratch(tmp_path / "gone", fail)


def test_training_batches_are_the_same_with_and_without_it(tmp_path: Path) -> None:
    for name in ("trainA", "trainB"):
        write_pictures(tmp_path / name, 4, size=30)

    def batches(**cache: Any) -> list[bytes]:
        config = DataConfig(root=tmp_path, transforms=({"RandomCrop": {"height": 8, "width": 8}},), **cache)
        augment = config.build()
        folders = open_folders(config, augment.prepare, memory=3000, warn=print, tell=fail)
        loader = Loader(folders["a"], folders["b"], augment, batch_size=2, seed=0, workers=2)
        return [each.numpy().tobytes() for batch in loader.batches(0, 24) for each in batch]

    assert batches(cache_dir=tmp_path) == batches()
