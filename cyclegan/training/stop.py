"""Stopping in good order: a signal asks, the loop finishes its step, saves and leaves."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Stopped(Exception):  # noqa: N818  # no error: somebody asked for it
    """Training was asked to stop and has saved; `signal` says by what."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class StopSignals:
    """While open, the first SIGINT or SIGTERM is noted in `received`; the second one acts as it always did."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
        self._before = {}
