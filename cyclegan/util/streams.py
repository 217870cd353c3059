"""Output streams that outlive their reader: when a terminal or pipe closes, output is lost but work continues."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

GONE = {errno.EPIPE, errno.EIO, errno.EBADF} | ({errno.EINVAL} if os.name == "nt" else set())
"""The errors of a stream without a reader: a broken pipe, or a terminal that was closed."""


class _Lasting:
    """A text stream whose `write` and `flush` ignore errors: any OSError, or only those in `GONE`.

    Everything else is passed to the stream.
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
    """Return `sys.stderr`, wrapped so that no error of writing (closed terminal, full disk) ends the program.

    None if the process has no stderr.
    """
    return None if sys.stderr is None else cast(TextIO, _Lasting(sys.stderr, any_error=True))


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Wrap `sys.stdout` and `sys.stderr` inside a `with` block, so that a command continues when its reader is gone.

    Other errors of stdout, such as a full disk, still raise OSError.
    """
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:
        sys.stdout = cast(TextIO, _Lasting(sys.stdout, any_error=False))
    sys.stderr = cast(TextIO, lasting_stderr())  # None if the process has no stderr, as before
    try:
        yield
    finally:
        sys.stdout, sys.stderr = (_flushed(stream) for stream in before)


def _flushed(stream: TextIO) -> TextIO:
    """Return the stream, or a stream to /dev/null if it is gone.

    At its end, Python flushes both streams, and exits with code 120 if that fails.
    """
    if stream is None:
        return stream
    try:
        stream.flush()
    except OSError:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # a device, which stays open
    return stream
