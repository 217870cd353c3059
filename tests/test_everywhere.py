"""What one system has and another lacks is asked for only where it is there."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

import pytest

from cyclegan.recipe import write_recipe
from tests.patience import run
from tests.tiny import tiny_recipe

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("cyclegan", "experiments", "tests") for path in (ROOT / folder).rglob("*.py"))

ELSEWHERE = """
import asyncio  # Python's own, which knows which system it was built for
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
    if name.startswith("SIG") and name[3:] not in ("_DFL", "_IGN", "ABRT", "FPE", "ILL", "INT", "SEGV", "TERM"):
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
    write_recipe(tiny_recipe(data, training={"lr_schedule": {"constant": "1 images", "decay": "1 images"}}), recipe)
    words = ["train", str(recipe), "--out", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    told = run([sys.executable, "-c", ELSEWHERE, *words], environment)
    assert told.returncode == 0, told.stderr
    assert "unpaired image-to-image translation" in told.stdout
    assert f"report: {tmp_path / 'run' / 'report.html'}" in told.stdout, told.stderr
    assert not refused_by_windows(tmp_path / "run")


REFUSED = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


def refused_by_windows(folder: Path) -> list[Path]:
    """Files and folders in it whose names Windows does not take."""
    return [path for path in folder.rglob("*") if REFUSED.search(path.name)]


@pytest.mark.parametrize("name", ["a:b", "what?", "nul", "Con.png", "com1.txt", "end.", "end ", "a\\b", '"a"', "a\nb"])
def test_names_that_windows_refuses_are_found(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert refused_by_windows(tmp_path) == [tmp_path / name]


def test_windows_takes_the_names_of_this_project() -> None:
    assert not [path for folder in ("cyclegan", "experiments", "tests") for path in refused_by_windows(ROOT / folder)]


def text_without_encoding(source: str) -> list[int]:
    """Lines that read or write text in whatever encoding the system likes, as PLW1514 of ruff where it knows types."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and _is_text(node) and not any(k.arg in ("encoding", None) for k in node.keywords)
    ]


def _is_text(call: ast.Call) -> bool:
    texts = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    match call.func:
        case ast.Attribute(attr="read_text" | "write_text"):
            return True
        case ast.Name(id="open"):
            return not any(re.fullmatch(r"[rwax+]*b[rwax+]*", text) for text in texts[-1:])
        case ast.Attribute(attr="open"):  # of a path; others are told no mode
            return not (call.args or given) or any(re.fullmatch(r"[rwax]t?\+?", text) for text in texts)
        case ast.Attribute(attr="run" | "Popen" | "check_output" | "check_call"):
            return given.get("text", given.get("universal_newlines")) == "True"
    return False


@pytest.mark.parametrize(
    "line, found",
    [
        ("path.read_text()", True),
        ("path.write_text(words)", True),
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("path.open()", True),
        ("path.open('a')", True),
        ("subprocess.run(command, text=True)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("open(path, 'rb')", False),
        ("path.open('ab')", False),
        ("path.open('w', encoding='utf-8')", False),
        ("Image.open(path)", False),
        ("subprocess.run(command, capture_output=True)", False),
    ],
)
def test_text_without_encoding_is_found(line: str, found: bool) -> None:
    assert text_without_encoding(line) == [1] * found


def test_text_files_are_opened_as_utf_8() -> None:
    found = {path: lines for path in SOURCES if (lines := text_without_encoding(path.read_text(encoding="utf-8")))}
    assert not found
