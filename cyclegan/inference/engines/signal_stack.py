"""Keep the stack on which this thread handles signals: OpenVINO 2026.4 exchanges it for one that it then frees.

The next signal, such as Ctrl-C, would end the process with a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DISABLED = 2
"""The flag of a thread without such a stack (SS_DISABLE)."""


class Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """A context at whose end this thread has the signal stack that it had before; Linux only."""
    if sys.platform != "linux":
        yield
        return
    exchange, before = ctypes.CDLL(None).sigaltstack, Stack()
    exchange(None, ctypes.byref(before))
    try:
        yield
    finally:
        before.flags &= DISABLED
        exchange(ctypes.byref(before), None)
