"""Words to whoever watches: once the terminal is closed or the pipe cut, words are lost, and never work."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

GONE = {errno.EPIPE, errno.EIO, errno.EBADF} | ({errno.EINVAL} if os.name == "nt" else set())
"""What the system answers when nobody can read any more: a cut pipe, or a terminal that was closed."""


class _Lasting:
    """A text stream whose `write` and `flush` fail silently where nobody is left to read, or where anything is wrong.

    All else is the stream's own.
    """

    def __init__(self, stream: TextIO, *, any_error: bool) -> None:
        self._stream, self._any_error = stream, any_error

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._pass_over(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._pass_over(error)

    def _pass_over(self, error: OSError) -> None:
        if not self._any_error and error.errno not in GONE:
            raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def lasting_stderr() -> TextIO | None:
    """`sys.stderr`, whose notes are no reason to end anything: not a closed terminal, and not a log on a full disk."""
    return None if sys.stderr is None else cast(TextIO, _Lasting(sys.stderr, any_error=True))


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Let the output of a command outlive its reader. Results that a full disk does not take are still an OSError."""
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:
        sys.stdout = cast(TextIO, _Lasting(sys.stdout, any_error=False))
    sys.stderr = cast(TextIO, lasting_stderr())  # None where the system gives no stream, as before
    try:
        yield
    finally:
        sys.stdout, sys.stderr = (_flushed(stream) for stream in before)


def _flushed(stream: TextIO) -> TextIO:
    """The stream, or one to nowhere if it is gone: Python flushes both at its end, and fails with code 120."""
    if stream is None:
        return stream
    try:
        stream.flush()
    except OSError:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # it is no file, and stays open
    return stream
