"""Save and restore global state of the process: random generators, torch flags, warnings, environment."""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np


@contextmanager
def untouched() -> Iterator[None]:
    """Restore everything in `KEPT`, and the warning filters, at the end, even after an error. Also a decorator.

    The state of torch is restored too, if torch is imported; a model that another library runs does not need it.

    Signal handlers are restored by `StopSignals`, which sets them. Inside, Pillow's warnings of odd metadata in
    pictures that it reads well are not shown. This is not thread-safe: no other thread may change the same state.
    """
    with ExitStack() as stack:
        for look, put_back in reversed((*_kept_of_torch(), *KEPT)):  # each is restored even if another one fails
            stack.callback(put_back, look())
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set those environment variables that are not set yet, and remove them at the end."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _kept_of_torch() -> Sequence[tuple[Callable[[], Any], Callable[[Any], object]]]:
    if "torch" not in sys.modules:
        return ()
    from cyclegan.util.untouched_torch import KEPT_OF_TORCH  # takes long, because of torch

    return KEPT_OF_TORCH


def _set_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _set_thread_hook(hook: Callable[[threading.ExceptHookArgs], object]) -> None:
    threading.excepthook = hook


KEPT: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
    (os.environ.copy, _set_environment),
    (lambda: logging.root.manager.disable, logging.disable),
    (lambda: threading.excepthook, _set_thread_hook),
]
"""A getter and a setter for each global state that training, translating or scoring may change."""
