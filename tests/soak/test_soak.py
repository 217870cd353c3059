"""The soaks of `tests/soak`, short: the same scripts, fewer kills."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent


@pytest.mark.parametrize(
    "script, words, told",
    [
        ("kill.py", "--kills 6 --images 40", "6 kills"),
        ("translate.py", "--kills 3 --pictures 60", "59 good pictures and 1 broken"),
    ],
)
def test_a_short_soak_finds_nothing(script: str, words: str, told: str) -> None:
    done = subprocess.run([sys.executable, str(SOAK / script), *words.split()], capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and told in done.stdout, done.stdout + done.stderr
