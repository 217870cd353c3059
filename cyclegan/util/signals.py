"""Graceful stops: after a signal, the current work is finished and saved before the program ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # a terminal that closes sends SIGHUP, or SIGBREAK on Windows
SIGNALS = tuple(number for name in _NAMES if (number := getattr(signal, name, None)) is not None)
"""The signals of this system that ask a program to end."""

HANG_UP = getattr(signal, "SIGHUP", None)


class Stopped(Exception):
    """The work was stopped by a signal, whose number is `signal`, and its state is saved."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class StopSignals:
    """A context manager that catches `SIGNALS` and stores the number of the first one in `received`.

    When the same signal comes again, the previous handler acts. SIGHUP is an exception, because a terminal that closes
    sends it several times, from the shell and from the kernel. A signal that is ignored stays ignored, so that `nohup`
    works.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers in the main thread only
            before = {number: signal.getsignal(number) for number in SIGNALS}
            # None is a handler that was not set from Python, and could not be restored.
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
