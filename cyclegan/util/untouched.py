"""What is one for the whole process, and not ours: random streams, flags, warnings, environment; left as found."""

from __future__ import annotations

import logging
import os
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

_matmul, _cudnn, _mkldnn = torch.backends.cuda.matmul, torch.backends.cudnn, torch.backends.mkldnn

FLAGS: list[tuple[Any, str]] = [
    (_cudnn, "benchmark"),
    (_cudnn, "deterministic"),
    (_cudnn, "allow_tf32"),
    (_matmul, "allow_tf32"),
    # Since torch 2.9, from the general to the special; those above change them, and come first.
    *((owner, "fp32_precision") for owner in (torch.backends, _matmul, _cudnn, _mkldnn)),
    *(
        (getattr(owner, part), "fp32_precision")
        for owner in (_cudnn, _mkldnn)
        for part in ("conv", "rnn", "matmul")
        if hasattr(owner, part)
    ),
]
"""Attributes of torch that say how it computes."""


@contextmanager
def untouched() -> Iterator[None]:
    """Put everything in `KEPT`, and the filters of warnings, back in the end, whatever happens; also a decorator.

    Handlers of signals come back by `StopSignals`, which sets them. While this is open, Pillow's warnings of odd
    metadata in pictures that it reads well are not shown. Nothing here is safe while another thread changes the same.
    """
    with ExitStack() as stack:
        for look, put_back in reversed(KEPT):  # called in their own order, each whatever becomes of those before it
            stack.callback(put_back, look())
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment that are not set, for a while."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _cuda_is_awake() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _device_of_cuda() -> int | None:
    """None while it sleeps: asking would wake it up."""
    return torch.cuda.current_device() if _cuda_is_awake() else None


def _set_device_of_cuda(device: int | None) -> None:
    if device is not None:
        torch.cuda.set_device(device)


def _random_of_cuda() -> list[Tensor] | int:
    """Its states or, while it sleeps, the seed that it will wake up with."""
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
    """None where old and new flags of torch contradict each other."""
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
    """Its value; None where this torch has no such flag, or old and new ones contradict each other."""
    try:
        return getattr(owner, name, None)
    except RuntimeError:
        return None


def _set_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _set_thread_hook(hook: Callable[[threading.ExceptHookArgs], object]) -> None:
    threading.excepthook = hook


KEPT: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
    (_device_of_cuda, _set_device_of_cuda),
    (torch.get_rng_state, torch.set_rng_state),
    (_random_of_cuda, _set_random_of_cuda),
    (_random_of_mps, _set_random_of_mps),
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
    (_determinism, _set_determinism),
    (_matmul_precision, _set_matmul_precision),
    (_flags, _set_flags),
    (torch.get_default_dtype, torch.set_default_dtype),
    (os.environ.copy, _set_environment),
    (lambda: logging.root.manager.disable, logging.disable),
    (lambda: threading.excepthook, _set_thread_hook),
]
"""How to look at each thing that training, translating or scoring may change, and how to put it back."""
