"""The global state of torch that `untouched` restores: random generators, flags, devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_matmul, _cudnn, _mkldnn = torch.backends.cuda.matmul, torch.backends.cudnn, torch.backends.mkldnn

FLAGS: list[tuple[Any, str]] = [
    (_cudnn, "benchmark"),
    (_cudnn, "deterministic"),
    (_cudnn, "allow_tf32"),
    (_matmul, "allow_tf32"),
    # Since torch 2.9, from general to specific. The flags above change these, so they come first.
    *((owner, "fp32_precision") for owner in (torch.backends, _matmul, _cudnn, _mkldnn)),
    *(
        (getattr(owner, part), "fp32_precision")
        for owner in (_cudnn, _mkldnn)
        for part in ("conv", "rnn", "matmul")
        if hasattr(owner, part)
    ),
]
"""The global flags of torch that change how it computes."""


def _cuda_is_awake() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _device_of_cuda() -> int | None:
    """Return the current CUDA device; None before CUDA is initialised, because asking would initialise it."""
    return torch.cuda.current_device() if _cuda_is_awake() else None


def _set_device_of_cuda(device: int | None) -> None:
    if device is not None:
        torch.cuda.set_device(device)


def _random_of_cuda() -> list[Tensor] | int:
    """Return CUDA's random states or, before CUDA is initialised, the seed that it will start with."""
    return torch.cuda.get_rng_state_all() if _cuda_is_awake() else torch.initial_seed()


def _set_random_of_cuda(state: list[Tensor] | int) -> None:
    if isinstance(state, int):
        torch.cuda.manual_seed_all(state)
    else:
        torch.cuda.set_rng_state_all(state)


def _random_of_mps() -> Tensor | None:
    return torch.mps.get_rng_state() if torch.backends.mps.is_available() else None


def _set_random_of_mps(state: Tensor | None) -> None:
    if state is not None:
        torch.mps.set_rng_state(state)


def _determinism() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_determinism(state: tuple[bool, bool]) -> None:
    if state != _determinism():
        torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _matmul_precision() -> str | None:
    """Return torch's precision of matrix products; None if its old and new flags contradict each other."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _set_matmul_precision(precision: str | None) -> None:
    if precision not in (None, _matmul_precision()):
        torch.set_float32_matmul_precision(precision)


def _flags() -> list[Any]:
    return [_flag(owner, name) for owner, name in FLAGS]


def _set_flags(values: list[Any]) -> None:
    for (owner, name), value in zip(FLAGS, values, strict=True):
        if value is not None and value != _flag(owner, name):
            setattr(owner, name, value)


def _flag(owner: Any, name: str) -> Any:
    """Return the value of a flag; None if this torch does not have it, or old and new flags contradict each other."""
    try:
        return getattr(owner, name, None)
    except RuntimeError:
        return None


KEPT_OF_TORCH: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
    (_device_of_cuda, _set_device_of_cuda),
    (torch.get_rng_state, torch.set_rng_state),
    (_random_of_cuda, _set_random_of_cuda),
    (_random_of_mps, _set_random_of_mps),
    (_determinism, _set_determinism),
    (_matmul_precision, _set_matmul_precision),
    (_flags, _set_flags),
    (torch.get_default_dtype, torch.set_default_dtype),
]
"""A getter and a setter for each."""
