"""A short version of the soak of translating: killed, started again, whole at the end."""

import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "soak" / "translate.py"


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the soak forks")
def test_a_killed_translation_ends_whole_when_it_is_resumed() -> None:
    command = [sys.executable, str(SCRIPT), "--pictures", "60", "--kills", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^59 good pictures and 1 broken", done.stdout, re.MULTILINE)
    assert re.search(r"^[1-3] kills", done.stdout, re.MULTILINE)
