"""Only one process holds a lock; the error of a second one names it, and a dead process holds no lock."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cyclegan.util import locks
from cyclegan.util.locks import Busy, locked
from tests.forked import ROOT
from tests.patience import PATIENCE

HOLDER = """
import sys
from pathlib import Path
from cyclegan.util.locks import locked

with locked(Path(sys.argv[1])) as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Another process that holds a lock until its stdin is closed."""
    command, pipe = [sys.executable, "-c", HOLDER, str(path)], subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment)
    assert process.stdout and process.stdout.readline() == "True\n"
    return process


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with hold(tmp_path / "lock") as holder:
        with (
            pytest.raises(Busy, match=f"{tmp_path.name}: in use by process {holder.pid} on .*; wait until it ends"),
            locked(tmp_path / "lock"),
        ):
            raise AssertionError
        holder.communicate(timeout=PATIENCE)
    assert not list(tmp_path.iterdir())
    with locked(tmp_path / "lock") as held:
        assert held


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with hold(tmp_path / "lock") as holder:
        holder.kill()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock") as held:
        assert held
    assert not list(tmp_path.iterdir())


def test_it_excludes_other_threads_too(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(Busy), locked(tmp_path / "lock"):
        raise AssertionError


def test_a_lock_that_is_removed_while_it_is_being_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_lock, removed = locks.try_lock, list[Path]()

    def too_late(file: int) -> bool:
        if not removed:
            removed.append(tmp_path / "lock")
            removed[0].unlink()
        return try_lock(file)

    monkeypatch.setattr(locks, "try_lock", too_late)
    with locked(tmp_path / "lock"):
        assert removed and (tmp_path / "lock").exists()


def test_a_disk_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "try_lock", no_locks)
    with locked(tmp_path / "lock") as held:
        assert not held


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "lock").symlink_to("precious")
    with pytest.raises(OSError), locked(tmp_path / "lock"):
        raise AssertionError
    assert (tmp_path / "precious").read_bytes() == b"precious"
