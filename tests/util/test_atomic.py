"""A file is complete or still the old one, whatever error the disk has and however the writer ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from cyclegan.data.stores import SUFFIXES
from cyclegan.data.write import write_image
from cyclegan.util import atomic
from cyclegan.util.atomic import PART, Unwritten, write_whole
from cyclegan.util.locks import try_lock
from tests.forked import ROOT
from tests.patience import PATIENCE


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class Failing:
    """A file that fails at one of its methods."""

    def __init__(self, file: BinaryIO, method: str) -> None:
        self.file, self.method = file, method

    def __getattr__(self, name: str) -> Any:
        return full if name == self.method else getattr(self.file, name)

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        if self.method == "close":
            full()


def disk_that_fails(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Let writing fail at `write`, `flush`, `close` or `fsync`, or `short`: bytes are lost without an error."""
    fill = atomic._fill
    if how == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif how == "short":
        monkeypatch.setattr(os, "fsync", lambda file: os.ftruncate(file, 4))
    else:
        monkeypatch.setattr(atomic, "_fill", lambda file, content: fill(Failing(file, how), content))  # type: ignore[arg-type]


FAILURES = ["write", "flush", "close", "fsync", "short"]


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("before", [None, b"before"])
def test_a_disk_that_fails_leaves_what_was_there(
    how: str, before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    if before:
        path.write_bytes(before)
    disk_that_fails(monkeypatch, how)
    with pytest.raises(Unwritten, match=r"x\.json cannot be written: ") as caught:
        write_whole(path, b"content")
    assert caught.value.errno == (errno.EIO if how == "short" else errno.ENOSPC)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_no_format_of_pictures_overlooks_it(
    suffix: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_that_fails(monkeypatch, how)
    with pytest.raises(Unwritten):
        write_image(Image.new("RGB", (8, 8)), tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"before")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise ValueError("the writer's own")

    with pytest.raises(ValueError, match="the writer's own"):
        write_whole(tmp_path / "x", write)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"before")]


def test_it_is_announced_before_it_takes_its_place(tmp_path: Path) -> None:
    told: list[tuple[os.stat_result, bool]] = []
    path = tmp_path / "new" / "x"
    write_whole(path, b"content", ready=lambda about: told.append((about, path.exists())))
    [(about, there)], now = told, path.stat()
    assert not there and (about.st_size, about.st_mtime_ns) == (7, now.st_mtime_ns)


def test_what_cannot_be_announced_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(Unwritten):
        write_whole(tmp_path / "x", b"content", ready=full)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_cannot_be_asked_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unasked(file: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unasked)
    write_whole(tmp_path / "x", b"content", durable=True)
    assert (tmp_path / "x").read_bytes() == b"content"


def test_a_name_as_long_as_a_name_can_be_is_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("x" * 255), b"content")


WRITER = """
import sys
from pathlib import Path
from cyclegan.util.atomic import write_whole

def write(file):
    file.write(sys.argv[2].encode() * 2**20)
    file.flush()
    print("in the middle", flush=True)
    sys.stdin.read()

write_whole(Path(sys.argv[1]), write)
"""


@contextmanager
def writer(path: Path, letter: str) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of writing; it continues when its stdin is closed."""
    command = [sys.executable, "-c", WRITER, str(path), letter]
    pipe, environment = subprocess.PIPE, os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment) as process:
        assert process.stdout and process.stdout.readline() == "in the middle\n"
        try:
            yield process
        finally:
            process.kill()


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if PART.fullmatch(path.name))


def test_two_processes_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    with writer(tmp_path / "x", "a") as a, writer(tmp_path / "x", "b") as b:
        assert len(parts(tmp_path)) == 2
        assert a.communicate(timeout=PATIENCE)[0] == "" and a.returncode == 0
        assert (tmp_path / "x").read_bytes() == b"a" * 2**20
        assert b.communicate(timeout=PATIENCE)[0] == "" and b.returncode == 0
    assert (tmp_path / "x").read_bytes() == b"b" * 2**20 and not parts(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows tells a leftover by another sign")
def test_what_a_killed_process_leaves_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    (tmp_path / "mine.part").touch()
    with writer(tmp_path / "x", "a") as live, writer(tmp_path / "x", "b") as killed:
        of_live, of_killed = (next(name for name in parts(tmp_path) if f"-{p.pid}-" in name) for p in (live, killed))
        killed.kill()
        killed.wait(PATIENCE)
        atomic._remove_leftovers.cache_clear()
        write_whole(tmp_path / "y", b"")
        assert parts(tmp_path) == [of_live] != [of_killed]
        live.communicate(timeout=PATIENCE)
        assert live.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.part", "x", "y"]


def test_a_disk_without_locks_is_written_to_and_nothing_of_others_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(atomic, "try_lock", no_locks)
    (tmp_path / ".cyclegan-1-00000000.part").touch()
    write_whole(tmp_path / "x", b"content")
    assert len(parts(tmp_path)) == 1 and (tmp_path / "x").read_bytes() == b"content"


def test_a_part_that_is_taken_for_a_leftover_as_it_begins_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def too_late(file: int) -> bool:
        if not removed:
            removed.extend(path for path in tmp_path.iterdir() if PART.fullmatch(path.name))
            removed[0].unlink()
        return try_lock(file)

    monkeypatch.setattr(atomic, "try_lock", too_late)
    write_whole(tmp_path / "x", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and removed
