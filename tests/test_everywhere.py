"""What one system has and another lacks is asked for only where it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cyclegan.recipe import write_recipe
from tests.tiny import tiny_recipe

ROOT = Path(__file__).parents[1]

ELSEWHERE = """
import importlib, os, pkgutil, signal, sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name in ("resource", "fcntl", "pwd", "grp", "termios"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden)
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
for name in ("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "setsid", "sysconf", "statvfs", "mkfifo"):
    delattr(os, name)
for name in dir(signal):
    if name.startswith("SIG") and name not in ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"):
        delattr(signal, name)

import cyclegan
for module in pkgutil.walk_packages(cyclegan.__path__, "cyclegan."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

from cyclegan.cli import main
for words in (["--help"], sys.argv[1:]):
    try:
        main(words)
    except SystemExit as done:
        assert not done.code, done.code
"""


def test_every_module_is_imported_and_a_run_trained_without_what_only_posix_has(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    write_recipe(tiny_recipe(data, training={"constant": "1 images", "decay": "1 images"}), recipe)
    words = ["train", str(recipe), "--out", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *words], env=environment, capture_output=True, encoding="utf-8"
    )
    assert told.returncode == 0, told.stderr
    assert "Unpaired image-to-image translation" in told.stdout
    assert f"report: {tmp_path / 'run' / 'report.html'}" in told.stdout, told.stderr
