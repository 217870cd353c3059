"""Stopping in good order: a signal asks, the work in hand is finished and saved, then it ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # a terminal that closes sends SIGHUP, or SIGBREAK on Windows
SIGNALS = tuple(number for name in _NAMES if (number := getattr(signal, name, None)) is not None)
"""Those of this system that ask a program to end."""

HANG_UP = getattr(signal, "SIGHUP", None)


class Stopped(Exception):  # noqa: N818  # no error: somebody asked for it
    """The work was asked to stop, and what is done is saved; `signal` says by what."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class StopSignals:
    """While open, the first of `SIGNALS` to come is noted in `received`; the same one again acts as it always did.

    But for SIGHUP: one terminal that closes sends it several times, from the shell and from the kernel. A signal that
    is ignored stays ignored, as `nohup` asks.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            before = {number: signal.getsignal(number) for number in SIGNALS}
            # None is a handler that was not set from Python, which could not be put back.
            self._before = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}
            for number in self._before:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in tuple(self._before):
            self._restore(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number
        if number != HANG_UP:
            self._restore(number)

    def _restore(self, number: int) -> None:
        signal.signal(number, self._before.pop(number))
