"""The peak memory of a run is reported on every system that provides it."""

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cyclegan.machine import memory_used as memory
from cyclegan.machine.memory_used import memory_used

CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without /proc."""
    monkeypatch.setattr(memory, "STATUS", tmp_path / "nothing")
    return monkeypatch


def test_linux_tells_the_peak_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    memory.STATUS.write_bytes(b"Name:\tpyth\xffon\nVmPeak:\t 9999999 kB\nVmHWM:\t 3145728 kB\nVmRSS:\t 1 kB\n")
    assert memory_used(CPU) == 3


@pytest.mark.parametrize("platform, unit", [("darwin", 1), ("linux", 1024), ("freebsd14", 1024)])
def test_other_posix_systems_tell_it_in_their_own_units(
    platform: str, unit: int, elsewhere: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(ru_maxrss=2 * GIB // unit)
    elsewhere.setattr(sys, "platform", platform)
    elsewhere.setitem(sys.modules, "resource", SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: usage))
    assert memory_used(CPU) == 2


class FakeKernel:
    """A fake kernel32 with the functions that are called."""

    def __init__(self, peak: int) -> None:
        self.GetCurrentProcess = lambda: 2**64 - 1
        self.peak = peak

    def K32GetProcessMemoryInfo(self, process: Any, counters: Any, size: int) -> int:  # noqa: N802  # its name
        assert size == 8 + 8 * ctypes.sizeof(ctypes.c_size_t)
        counters._obj.peak_working_set = self.peak
        return int(self.peak > 0)


@pytest.mark.parametrize("peak, told", [(5 * GIB, 5), (0, None)])
def test_windows_tells_it_or_refuses(peak: int, told: float | None, elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setattr(sys, "platform", "win32")
    elsewhere.setattr(ctypes, "WinDLL", lambda name: FakeKernel(peak) if name == "kernel32" else None, raising=False)
    assert memory_used(CPU) == told


def test_a_system_that_does_not_tell_is_no_figure(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setitem(sys.modules, "resource", None)
    assert memory_used(CPU) is None
