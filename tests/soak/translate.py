"""Kill a translation of a large folder again and again, go on with --resume, and look at what it leaves.

    python tests/soak/translate.py --pictures 10000 --kills 20

Every hundredth picture is broken. A pass is the command `cyclegan translate ... --resume` in a process of its own,
ended by SIGKILL at a random instant; a last one runs to its end. Another pass is left in peace: its memory is measured,
and the killed ones must arrive at its very bytes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from cyclegan.cli.codes import UNREADABLE
from cyclegan.data.files import UnreadableImage
from cyclegan.data.read import read_image
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.job import LOCK
from cyclegan.inference.manifest import FOLDER, NAME
from cyclegan.networks.config import ResnetConfig
from cyclegan.types import Direction
from cyclegan.util.text import shown
from tests.forked import Forks, Started

SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".gif")
FOLDERS = 10
EVERY = 100
"""One in so many pictures is broken."""

GROWTH = 32
"""MiB by which memory may grow from a tenth of the pictures to all of them."""

FEW = 1000
"""Of fewer pictures a tenth is over before the memory that every pass needs is all there."""

PASS = 3600.0
"""Seconds that a pass may take; one over 10,000 pictures takes some minutes."""

Written = dict[Path, tuple[int, int]]


class Files(NamedTuple):
    """Where everything is; `good` and `broken` are names below `source`."""

    generator: Path
    source: Path
    good: list[Path]
    broken: list[Path]

    def command(self, out: Path) -> list[str]:
        """One pass, as a person types it."""
        return ["translate", str(self.generator), str(self.source), str(out), "--resume", "--device", "cpu"]


def files_of(folder: Path, pictures: int) -> Files:
    """Names of pictures in several folders and formats."""
    names = [Path(f"{i % FOLDERS}", f"{i:06d}{SUFFIXES[i % len(SUFFIXES)]}") for i in range(pictures)]
    broken = names[EVERY // 2 :: EVERY]
    good = sorted(set(names) - set(broken))
    return Files(folder / "generator.safetensors", folder / "source", good, broken)


def make(files: Files, seed: int) -> None:
    """A generator, pictures of 16 to 32 pixels, and broken ones: empty, text, and cut in half."""
    torch.manual_seed(seed)
    write_generator(ResnetConfig(width=4, blocks=1).build(), Direction.AtoB, files.generator)
    random = np.random.default_rng(seed)
    for i in range(FOLDERS):
        (files.source / f"{i}").mkdir(parents=True)
    for path in (files.source / name for name in [*files.good, *files.broken]):
        height, width = random.integers(16, 33, 2)
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    for i, path in enumerate(files.source / name for name in files.broken):
        data = path.read_bytes()
        path.write_bytes((b"", b"no picture", data[: len(data) // 2])[i % 3])


def start(forks: Forks, words: Sequence[str], log: Path) -> Started:
    """The command in a process of its own; what it prints is the log."""
    log.unlink(missing_ok=True)
    return forks.start(*words, log=log)


def count(out: Path) -> int:
    """How many files lie in the folders of OUT."""
    return sum(len(os.listdir(folder)) for folder in out.glob("[0-9]*"))  # noqa: PTH208 - quick


def written(out: Path) -> Written:
    """What lies in OUT, but for its manifest, its lock and the folder of the processes at work: each file and the time
    of its writing.
    """
    names = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    files = ((name, (out / name).stat()) for name in names if name.parts[0] not in (NAME, LOCK, FOLDER))
    return {name: (about.st_ino, about.st_mtime_ns) for name, about in files}


def in_peace(forks: Forks, files: Files, out: Path, log: Path) -> tuple[list[float], float]:
    """One pass without a kill: MiB of resident memory at 10, 50 and 100 % of the pictures, and its seconds."""
    begin, process = time.perf_counter(), start(forks, files.command(out), log)
    marks, memory = [share * len(files.good) for share in (0.1, 0.5, 1.0)], [0.0, 0.0, 0.0]

    def measured() -> bool:
        here, done = resident(process), count(out)
        memory[:] = [here if here and done <= mark else kept for mark, kept in zip(marks, memory, strict=True)]
        return False

    process.until(measured, patience=PASS)
    return memory, time.perf_counter() - begin


def resident(process: Started) -> float:
    """MiB of memory; 0 when the process has ended, or where there is no /proc."""
    try:
        return (
            int(Path(f"/proc/{process.number}/statm").read_text(encoding="utf-8").split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 2**20
        )
    except OSError:
        return 0.0


class Killed(NamedTuple):
    """What was seen of the passes that were killed, and of the last, which was not."""

    codes: list[int]
    """How each ended."""
    in_the_middle: int
    """Kills that left a file half written, under a .part name."""
    twice: int
    """Outputs that a later pass wrote again."""

    @property
    def kills(self) -> int:
        """Passes that a kill ended; it may come too late."""
        return self.codes.count(-signal.SIGKILL)


def killed(forks: Forks, files: Files, out: Path, log: Path, kills: int, random: np.random.Generator) -> Killed:
    """Passes ended by SIGKILL at random instants, then one to the end."""
    codes, middle, twice, before = list[int](), 0, 0, Written()
    for left in range(kills, -1, -1):
        process = start(forks, files.command(out), log)
        if left:
            _kill(process, out, _goal(len(before), len(files.good), left, random), random)
        codes.append(process.wait(patience=PASS))
        after = written(out)
        if codes[-1] not in (-signal.SIGKILL, UNREADABLE, 0):
            print(f"a pass ended with {codes[-1]} and said: {log.read_text(encoding='utf-8')}")
        middle += any(path.suffix == ".part" for path in after)
        twice += sum(after.get(path) != about for path, about in before.items() if path.suffix != ".part")
        before = after
    return Killed(codes, middle, twice)


def _goal(done: int, total: int, left: int, random: np.random.Generator) -> float:
    """How many outputs a pass may reach: every fourth dies as it begins; the others share what there is to do."""
    return done + random.random() * 2 * max(0.0, 0.9 * total - done) / (left + 1) if left % 4 else 0


def _kill(process: Started, out: Path, goal: float, random: np.random.Generator) -> None:
    process.until(lambda: count(out) >= goal, pause=0.002, patience=PASS)
    time.sleep(random.random() * (0.01 if goal else 0.3))
    with suppress(ProcessLookupError):
        process.send(signal.SIGKILL)


def faults(files: Files, out: Path, peace: Path, log: Path, seen: Killed) -> list[str]:
    """What is wrong at the end, a line for each kind."""
    lines, left = log.read_text(encoding="utf-8").splitlines(), set(written(out))
    begin = [f"{shown(files.source / path)} cannot be read: " for path in files.broken]
    there = sorted(left & set(files.good))
    right = UNREADABLE if files.broken else 0
    wrong = {
        "outputs written twice": seen.twice,
        "good pictures without an output": len(set(files.good) - left),
        "files that are no output, .part among them": len(left - set(files.good)),
        "outputs that do not decode to their source's size": sum(
            _size(out / p) != _size(files.source / p) for p in there
        ),
        "outputs unlike those of the pass in peace": sum((out / p).read_bytes() != _bytes(peace / p) for p in there),
        "broken pictures not listed once": sum(sum(line.startswith(b) for line in lines) != 1 for b in begin),
        "lines too many or too few": abs(len(lines) - len(files.broken) - 1),
        "passes that ended in their own way": sum(code not in (-signal.SIGKILL, right) for code in seen.codes),
        "last pass that did not end well": int(seen.codes[-1] != right),
        "locks left": int((out / LOCK).exists() or (out / FOLDER).exists()),
    }
    return [f"{number} {what}" for what, number in wrong.items() if number]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _size(path: Path) -> tuple[int, int] | str:
    try:
        return read_image(path).size
    except UnreadableImage as error:
        return str(error)


def soak(forks: Forks, folder: Path, *, pictures: int, kills: int, seed: int = 0) -> list[str]:
    """All of it, with a summary; returns what is wrong."""
    files, log = files_of(folder, pictures), folder / "log"
    make(files, seed)
    memory, seconds = in_peace(forks, files, folder / "peace", folder / "log of peace")
    seen = killed(forks, files, folder / "out", log, kills, np.random.default_rng(seed))
    wrong = faults(files, folder / "out", folder / "peace", log, seen)
    if pictures >= FEW and memory[2] > memory[0] + GROWTH:
        wrong.append(f"memory grew by {memory[2] - memory[0]:.0f} MiB, more than {GROWTH}")

    print(f"{len(files.good)} good pictures and {len(files.broken)} broken, {seconds:.0f} s in peace")
    print(
        f"{seen.kills} kills, {seen.in_the_middle} of them in the middle of a file; {seen.twice} outputs written twice"
    )
    print("MiB of memory at 10, 50 and 100 %: " + ", ".join(f"{each:.1f}" for each in memory))
    said = [line for line in log.read_text(encoding="utf-8").splitlines() if " translated to " in line]
    print(f"the last pass ended with {seen.codes[-1]} and said: {' '.join(said)}")
    return wrong


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000, help="of them, one in a hundred is broken")
    parser.add_argument("--kills", type=int, default=20, help="passes that are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the pictures and of when to kill")
    return parser.parse_args()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made, Forks() as server:
        problems = soak(server, Path(made), **vars(_arguments()))
    print("\n".join(problems) or "every promise kept")
    sys.exit(1 if problems else 0)
