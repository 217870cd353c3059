"""Whatever a test waits for, it gives up in the end, and says what it knows. No test measures speed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 300.0
"""Seconds until what does not come is given up; many times what the slowest machine needs."""


def until(condition: Callable[[], bool], *, pause: float = 0.01, patience: float = PATIENCE) -> None:
    """Come back once the condition holds; look again after `pause` seconds. Raises TimeoutError when it never does."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"it has not come within {patience:g} seconds")
        time.sleep(pause)


def run(
    words: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, patience: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """A command, run to its end; its output is text. Raises TimeoutError, with the output, if the end does not come."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdout=pipe, stderr=pipe, encoding="utf-8", env=environment, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with it whatever it has started, which holds the pipes open
            out, err = process.communicate()
            raise TimeoutError(f"{words} has not ended within {patience:g} seconds\n{out}{err}") from None
    return subprocess.CompletedProcess(words, process.returncode, out, err)
