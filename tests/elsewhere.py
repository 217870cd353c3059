"""Run the tests as on other machines: instruction sets, threads, users, languages, time zones, Pythons, libraries.

    make elsewhere
    python tests/elsewhere.py --only "two threads" --only "Python 3.12" tests/training -n 2

Each setting stands alone, against what is here; the slow machine is all of its own at once. Other arguments are
pytest's. What it prints is kept in runs/elsewhere, and so are the environments of other Pythons and libraries.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "elsewhere"
NOBODY = 65534

SETTINGS: dict[str, dict[str, str]] = {
    "as it is here": {},
    "torch without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "torch with AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "oneDNN with SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN with AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN with AVX-512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "a slow machine": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},  # there are more threads than cores
    "LANG=C": {"LANG": "C", "LC_ALL": "C"},
    "14 hours east": {"TZ": "Pacific/Kiritimati"},
    "11 hours west": {"TZ": "Pacific/Pago_Pago"},
    "another order of sets": {"PYTHONHASHSEED": "1"},
}
PYTHONS = ("3.11", "3.12", "3.13")
OLDEST = "oldest libraries"
"""With the lowest versions that pyproject.toml allows."""


class NotHere(Exception):
    """A setting that this machine cannot be put into, and why."""


def pytest_in(setting: str, more: list[str], clean_up: ExitStack) -> tuple[list[str], Path, dict[str, str]]:
    """The command that runs the tests in a setting, its folder and its environment."""
    command = [sys.executable, "-m", "pytest", "-m", "", *more]
    if setting in SETTINGS:
        return command, ROOT, SETTINGS[setting]
    if setting == "another user":
        checkout = clean_up.enter_context(tempfile.TemporaryDirectory())
        return as_nobody(command), copied(Path(checkout, "copy")), {"HOME": "/nowhere", "PYTHONPATH": ""}
    if setting == OLDEST:
        interpreter = environment(sys.executable, KEPT / "oldest", "--resolution", "lowest-direct")
    else:
        interpreter = python(setting.removeprefix("Python "))
    return [str(interpreter), *command[1:]], ROOT, {}


def python(version: str) -> Path:
    """An environment of the Python on the path, or of pyenv's own, whose command on the path may do nothing."""
    name = f"python{version}"
    own = map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
    for found in filter(None, [shutil.which(name), *own]):
        if not subprocess.run([found, "-c", ""], capture_output=True).returncode:
            return environment(found, KEPT / name)
    raise NotHere(f"no {name}")


def environment(base: str, place: Path, *options: str) -> Path:
    """An environment of the project, made at the first time: its interpreter. The options are uv's."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not uv:
        raise NotHere("no uv, which `make test` installs")
    subprocess.run([base, "-m", "venv", "--without-pip", place], check=True)
    interpreter = place / "bin" / "python"
    words = ["--quiet", "--python", str(interpreter), *options, "--editable", f"{ROOT}[dev]"]
    subprocess.run([uv, "pip", "install", *words], check=True)
    return interpreter


def copied(place: Path) -> Path:
    """The files of the project where nobody may write."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    place.parent.chmod(0o755)
    return place


def as_nobody(command: list[str]) -> list[str]:
    """The command as a user who owns nothing.

    Where the interpreter lies in a closed folder, as in root's home, it runs in a mount namespace of its own, in which
    that folder is open, and holds the interpreter alone.
    """
    if os.geteuid():
        raise NotHere("only root can become another user")
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    needed = {Path(place).resolve() for place in (sys.base_prefix, sys.prefix)}
    closed = [above for place in needed for above in place.parents if not above.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return words
    top = min(closed, key=lambda folder: len(folder.parts))
    lines, back = ["set -e", "aside=$(mktemp -d)"], list[str]()
    for number, place in enumerate(place for place in needed if place.is_relative_to(top)):
        here, there = f"$aside/{number}", shlex.quote(str(place))
        lines.append(f"mkdir {here}; mount --bind {there} {here}")
        back.append(f"mkdir -p {there}; mount --bind {here} {there}")
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(top))}", *back, f"exec {shlex.join(words)}"]
    return ["unshare", "--mount", "sh", "-c", "\n".join(lines)]


def trial(setting: str, more: list[str]) -> tuple[str, bool]:
    """Run the tests in a setting: its row of the table, and whether they hold."""
    began, log = time.monotonic(), KEPT / f"{setting}.log"
    with ExitStack() as clean_up, log.open("w", encoding="utf-8") as out:
        try:
            command, folder, changes = pytest_in(setting, more, clean_up)
        except NotHere as why:
            return f"| {setting} | skipped: {why} | |", True
        environment: Mapping[str, str] = os.environ | changes
        code = subprocess.run(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode
    took = time.monotonic() - began
    told = re.findall(r"^(?:=+ )?(\d+ .*) in [\d.]+s", log.read_text(errors="replace", encoding="utf-8"), re.M)
    result = told[-1] if told else f"ended with {code}, see {log}"
    return f"| {setting} | {result} | {took // 60:.0f} min {took % 60:02.0f} s |", code == 0


def main() -> int:
    """The command line: 1 when the tests fail in a setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    others = [f"Python {version}" for version in PYTHONS if not sys.version.startswith(f"{version}.")]
    settings = [*SETTINGS, "another user", *others, OLDEST]
    parser.add_argument("--only", action="append", choices=settings, help="a setting; give it again for more")
    args, more = parser.parse_known_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    print("| setting | result | time |\n| --- | --- | --- |", flush=True)
    held = []
    for setting in args.only or settings:
        row, holds = trial(setting, more)
        print(row, flush=True)
        held.append(holds)
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
