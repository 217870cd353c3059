"""Where a run came from: the code's version and revision, the libraries, the machine."""

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
    """Facts for the person who asks later, name by name."""
    return {
        "cyclegan": " ".join([version("cyclegan"), git_revision()]).strip(),
        "device": device_name(device),
        "machine": f"{os.cpu_count()} cores, {_memory()}{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def git_revision() -> str:
    """`git abc1234` of the checkout that this code runs from, `, changed` where files differ; nothing elsewhere."""
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
    """What the maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or device.type)


def _memory() -> str:
    """GiB of the machine and a comma; nothing where the system does not tell."""
    if sys.platform == "win32":
        return ""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, "
    except (ValueError, OSError, AttributeError):
        return ""
