"""The provenance of a run: version and revision of the code, versions of the libraries, the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch

LIBRARIES = ("torch", "torchvision", "kornia", "albumentations", "torch-fidelity", "pillow")


def provenance(device: torch.device) -> dict[str, str]:
    """Return version, device, machine, Python and library versions by name, to record them with results."""
    return {
        "cyclegan": " ".join([version("cyclegan"), git_revision()]).strip(),
        "device": device_name(device),
        "machine": f"{os.cpu_count()} cores, {_memory()}{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def git_revision() -> str:
    """Return `git abc1234` for the checkout that this code runs from; empty if it runs from elsewhere.

    `, changed` is appended if the checkout has uncommitted changes.
    """
    where = ["git", "-C", str(Path(__file__).parent)]
    try:
        ours = subprocess.run([*where, "ls-files", "--error-unmatch", __file__], capture_output=True, timeout=10)
        head = subprocess.run([*where, "rev-parse", "--short", "HEAD"], capture_output=True, timeout=10)
        changed = subprocess.run([*where, "status", "--porcelain"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if ours.returncode or head.returncode:
        return ""
    return f"git {head.stdout.decode().strip()}{', changed' if changed.stdout.strip() else ''}"


def device_name(device: torch.device) -> str:
    """Return the product name of a GPU, or that of the CPU for any other device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or device.type)


def _memory() -> str:
    """Return the machine's memory in GiB and a comma; empty if the system does not report it."""
    if sys.platform == "win32":
        return ""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, "
    except (ValueError, OSError, AttributeError):
        return ""
