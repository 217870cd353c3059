from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cyclegan.data import mapped as module
from cyclegan.data.mapped import NoRoom, mapped, usual_folder


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool", ">u2"])
def test_an_array_of_zeros_takes_values(dtype: str, tmp_path: Path) -> None:
    array = mapped((3, 5, 2), dtype, tmp_path)
    assert (array.shape, array.dtype) == ((3, 5, 2), np.dtype(dtype))
    assert not array.any()
    array[1] = 1
    assert array.sum() == 10


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    array = mapped((100, 100), np.uint8, tmp_path)
    if os.name != "nt":
        assert not list(tmp_path.iterdir())
    del array
    assert not list(tmp_path.iterdir())


def test_an_empty_array_needs_no_file(tmp_path: Path) -> None:
    assert mapped((0, 7), np.float32, tmp_path / "nowhere").shape == (0, 7)


def test_too_little_room_is_told_in_a_line_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(3 * 2**30))
    with pytest.raises(NoRoom) as raised:
        mapped((2**20, 2**13), np.uint8, tmp_path)
    line = f"no room for 8 GiB of temporary data in {tmp_path} (2 GiB are free, without 1 GiB in reserve); free some"
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="reserves space in another way")
def test_a_disk_that_fills_while_space_is_reserved_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NoRoom, match=r"\(No space left on device\); free some, or set TMPDIR"):
        mapped((10,), np.uint8, tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="reserves space in another way")
def test_a_file_system_that_cannot_reserve_is_filled_with_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(file: int, start: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", cannot)
    monkeypatch.setattr(module, "BLOCK", 64)
    array = mapped((100,), np.uint16, tmp_path)
    array[-1] = 7
    assert array.sum() == 7


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match=r"in .*nowhere"):
        mapped((10,), np.uint8, tmp_path / "nowhere")


def test_the_usual_folder_is_that_of_the_user_or_on_a_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert usual_folder() == tmp_path
