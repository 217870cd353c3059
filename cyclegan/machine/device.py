"""The capabilities of this machine: device, precision, compiler."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import shutil
import sys
from contextlib import redirect_stderr
from types import TracebackType

import torch
from torch import Tensor

from cyclegan.types import Device, Precision


def choose_device(wanted: Device = "auto") -> torch.device:
    """Return the requested device; `auto` picks CUDA, then MPS, then the CPU.

    Raises ValueError when this machine does not have the requested device.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, here in present.items() if here))
    if not present[wanted]:
        here = ", ".join(name for name, is_here in present.items() if is_here)
        raise ValueError(f"speed.device: no {wanted} on this machine; it has {here}")
    return torch.device(wanted)


class Arithmetic:
    """A reusable context manager in which networks compute in a precision on a device.

    Raises ValueError for tf32 on a device that is not a CUDA GPU.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        if precision == "tf32" and device.type != "cuda":
            raise ValueError(f"speed.precision: tf32 needs cuda, but the device is {device.type}; use auto")
        dtype = torch.float16 if precision == "fp16" else torch.bfloat16
        self._autocast = torch.autocast(device.type, dtype=dtype, enabled=precision in ("bf16", "fp16"))
        self._tf32 = precision != "float32" if device.type == "cuda" else None
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> Arithmetic:
        if self._tf32 is not None:
            matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
            self._before.append((matmul.allow_tf32, cudnn.allow_tf32))
            matmul.allow_tf32 = cudnn.allow_tf32 = self._tf32
        self._autocast.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._autocast.__exit__(kind, error, trace)
        if self._tf32 is not None:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = self._before.pop()


def has_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bf16 in hardware, and therefore fast."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # MPS supports bf16, but is not faster with it
    return device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def has_compiler(device: torch.device) -> bool:
    """Return whether `torch.compile` has what it needs: a C++ compiler for the CPU, Triton for CUDA."""
    if device.type == "cpu":
        return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def compiler_problem(device: torch.device) -> str:
    """Return why `torch.compile` does not work on this device, in a few words; empty if it works.

    It is tested by compiling one addition.
    """
    if not has_compiler(device):
        return {"cpu": "no C++ compiler found, install g++", "cuda": "no Triton found"}.get(
            device.type, f"not supported on {device.type}"
        )
    try:
        import_extensions()
        torch.compile(_add_one)(torch.zeros(8, device=device))
    except Exception as error:  # compilers, headers and drivers fail in almost any way
        return first_line(error)
    return ""


def import_extensions() -> None:
    """Import torch's module for extensions, without its warning that this machine has CUDA's tools but no GPU."""
    logger, said = logging.getLogger("torch.utils.cpp_extension"), io.StringIO()
    logger.addFilter(_is_worth_saying)
    try:
        with redirect_stderr(said):  # torch 2.7 prints the warning
            importlib.import_module(logger.name)
    finally:
        logger.removeFilter(_is_worth_saying)
        sys.stderr.writelines(filter(_is_worth_saying, said.getvalue().splitlines(keepends=True)))


def _is_worth_saying(line: logging.LogRecord | str) -> bool:
    return not (line if isinstance(line, str) else line.getMessage()).startswith("No CUDA runtime is found")


def first_line(error: Exception) -> str:
    """Return the first line of an error of a compiler, which can have pages of details after it."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _add_one(x: Tensor) -> Tensor:
    return x + 1
