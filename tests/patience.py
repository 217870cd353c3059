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


def until(condition: Callable[[], bool], told: Callable[[], str] = str, pause: float = 0.01) -> None:
    """Come back once the condition holds. Raises TimeoutError, with what is told by then, if that does not come."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"it has not come within {PATIENCE:.0f} seconds\n{told()}")
        time.sleep(pause)


def run(words: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command, run to its end; its output is text. Raises TimeoutError, with the output, if the end does not come."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # whatever it has started holds the pipes open
            out, err = process.communicate()
            raise TimeoutError(f"{words} has not ended within {PATIENCE:.0f} seconds\n{out}{err}") from None
    return subprocess.CompletedProcess(words, process.returncode, out, err)
