"""How much memory a run has needed."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def memory_used(device: torch.device) -> float | None:
    """The most that the run has needed so far, in GiB: on the GPU, else of the process; None where nothing tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    used = _of_linux() or _of_posix() or _of_windows()
    return used / 2**30 if used else None


def _of_linux() -> int:
    """Bytes by the kernel's own account; 0 elsewhere. `getrusage` would count the process that started this one."""
    try:
        lines = STATUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 2**10 for line in lines if line.startswith("VmHWM:")), 0)


def _of_posix() -> int:
    """Bytes by `getrusage`; 0 where there is none."""
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
    """Bytes by the Windows API; 0 elsewhere, and where it refuses."""
    if sys.platform != "win32":
        return 0
    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    counters = _Counters(size=ctypes.sizeof(_Counters))
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    told = kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.size)
    return int(counters.peak_working_set) if told else 0
