"""Measure the peak memory of a run."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STATUS = Path("/proc/self/status")


def memory_used(device: torch.device) -> float | None:
    """Return the peak memory so far in GiB: of the GPU on CUDA, else of the process; None if it is unknown."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**30
    return memory_used_by_process()


def memory_used_by_process() -> float | None:
    """Return the peak memory of this process so far in GiB; None if it is unknown."""
    used = _of_linux() or _of_posix() or _of_windows()
    return used / 2**30 if used else None


def own_bytes() -> int:
    """Return the bytes of RAM that this process uses now, without files that it has mapped, where Linux tells them.

    Elsewhere it is the peak so far.
    """
    return _status("RssAnon:") or int((memory_used_by_process() or 0) * 2**30)


def _of_linux() -> int:
    """Return the bytes that Linux reports; 0 elsewhere. `getrusage` would include the process that started this one."""
    return _status("VmHWM:")


def _status(name: str) -> int:
    """Return the bytes that Linux reports about this process under a name; 0 elsewhere."""
    try:
        lines = STATUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 2**10 for line in lines if line.startswith(name)), 0)


def _of_posix() -> int:
    """Return the bytes that `getrusage` reports; 0 on systems without it."""
    if sys.platform == "win32":
        return 0
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of the Windows API."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        ("rest", ctypes.c_size_t * 7),
    )


def _of_windows() -> int:
    """Return the bytes that the Windows API reports; 0 on other systems, and if the call fails."""
    if sys.platform != "win32":
        return 0
    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    counters = _Counters(size=ctypes.sizeof(_Counters))
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    told = kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.size)
    return int(counters.peak_working_set) if told else 0
