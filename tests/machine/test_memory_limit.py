"""An allocation of more memory than the machine has fails, and the program continues."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from cyclegan.inference.generator_file import write_generator
from cyclegan.machine import memory_limit as room
from cyclegan.machine.memory import is_out_of_memory
from cyclegan.machine.memory_limit import _rooms, only_what_is_there
from cyclegan.networks.config import ResnetConfig
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.tiny import outputs, write_pictures

MIB = 2**20

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse by themselves")


@linux
def test_more_than_is_left_is_refused_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_room", lambda: 300 * MIB)
    with only_what_is_there():
        torch.empty(100 * MIB, dtype=torch.uint8)
        with pytest.raises(RuntimeError) as caught:
            torch.empty(400 * MIB, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    torch.empty(400 * MIB, dtype=torch.uint8)


def test_a_machine_that_does_not_say_limits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_room", lambda: None)
    with only_what_is_there():
        torch.empty(400 * MIB, dtype=torch.uint8)


@linux
def test_this_machine_has_some_left() -> None:
    left = room._room()
    assert left is None or 0 <= left < 2**50


@linux
def test_the_command_line_translates_what_fits_at_once_and_the_rest_in_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_generator(ResnetConfig(width=4, blocks=1).build(), Direction.AtoB, tmp_path / "g.safetensors")
    paths = write_pictures(tmp_path / "in", 3, size=16)
    Image.new("RGB", (2000, 1500)).save(paths[1], compress_level=1)
    monkeypatch.setattr(room, "_room", lambda: 300 * MIB)
    words = ("translate", tmp_path / "g.safetensors", tmp_path / "in", tmp_path / "out", "--precision", "float32")
    assert run_main(*words, "--device", "cpu", "--engine", "torch") == 0, capsys.readouterr().err
    assert list(outputs(tmp_path / "out")) == ["0.png", "1.png", "2.png"]


def test_what_zfs_caches_counts_as_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ZFS", tmp_path / "arcstats")
    assert room._cached_by_zfs() == 0
    (tmp_path / "arcstats").write_text("hits    4    12\nsize    4    345\nc_max    4    99\n", encoding="utf-8")
    assert room._cached_by_zfs() == 345


def test_a_process_keeps_a_little_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_room", lambda: 0)
    with only_what_is_there():
        torch.empty(100 * MIB, dtype=torch.uint8)


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(content, encoding="utf-8")


def test_the_groups_around_a_process_count(tmp_path: Path) -> None:
    stat = "anon 40\nactive_file 7\ninactive_file 3\n"
    group(tmp_path / "job", max="100\n", current="50\n", stat=stat)
    group(tmp_path / "job" / "step", max="max\n", current="50\n", stat=stat)
    assert list(_rooms(["0::/job/step"], tmp_path)) == [sys.maxsize, 60]


def test_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    group(tmp_path / "memory" / "job", limit_in_bytes="100\n", usage_in_bytes="120\n", stat="cache 9\n")
    assert list(_rooms(["4:memory:/job", "3:cpuset:/", "0::/"], tmp_path)) == [sys.maxsize, 0]
