"""A test that waits for what never comes fails, says why, and leaves nothing running."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.forked import Forks
from tests.patience import run


def hanging(words: Sequence[str]) -> None:
    print("so far", flush=True)  # noqa: T201
    time.sleep(10**6)


def test_a_process_that_never_ends_is_killed_and_what_it_said_is_shown(forks: Forks, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = forks.start(log=log, main="tests.test_patience:hanging")
    process.until(lambda: log.exists() and "so far" in process.told)
    with pytest.raises(TimeoutError, match=r"(?s)not come within 0\.1 seconds; .*so far.* in hanging"):
        process.wait(patience=0.1)
    assert not process.alive()


def test_what_a_test_leaves_running_is_killed(forks: Forks, tmp_path: Path) -> None:
    process = forks.start(log=tmp_path / "log", main="tests.test_patience:hanging")
    assert process.alive()
    forks.end()
    assert not process.alive()


def test_a_command_that_never_ends_is_killed_with_all_that_it_started() -> None:
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.1 seconds"):
        run(["sh", "-c", "sleep 1000000 & sleep 1000000"], patience=0.1)
