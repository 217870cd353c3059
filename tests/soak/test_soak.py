"""The soaks of `tests/soak`, short: the same code, fewer kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.forked import Forks
from tests.soak import kill, translate


def test_a_training_that_is_killed_again_and_again_ends_as_if_undisturbed(forks: Forks, tmp_path: Path) -> None:
    assert kill.soak(forks, tmp_path, kills=4, images=16).startswith("4 kills")


def test_a_translation_that_is_killed_again_and_again_loses_and_repeats_nothing(
    forks: Forks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translate.soak(forks, tmp_path, pictures=60, kills=3) == []
    assert "59 good pictures and 1 broken" in capsys.readouterr().out
