"""Measure how long large folders take to list, split, pair, save and read, and how much memory that needs.

    python experiments/benchmarks/folders.py --files 1000000 --pictures 100000

The files of trainA and trainB are links to one small JPEG, 1000 in each subfolder; the pictures that are read are JPEGs
of 64 x 64 pixels. Each measurement runs in its own process. Memory is the peak above that after the imports (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cyclegan.data.files import find_images
from cyclegan.data.folder import Folder
from cyclegan.data.held_out import changes, draw
from cyclegan.data.scratch import Scratch
from cyclegan.data.sources import Source, find_pairs
from cyclegan.util.torchfile import load_pickled

IN_A_FOLDER = 1000


def make_names(folder: Path, number: int) -> None:
    """Make `number` files 000/000123.jpg; those in a subfolder are links to the first one."""
    for start in range(0, number, IN_A_FOLDER):
        below = folder / f"{start // IN_A_FOLDER:03d}"
        below.mkdir(parents=True)
        first = below / f"{start:06d}.jpg"
        Image.new("RGB", (64, 64), (9, 99, 200)).save(first)
        for i in range(start + 1, min(start + IN_A_FOLDER, number)):
            os.link(first, below / f"{i:06d}.jpg")


def make_pictures(folder: Path, number: int) -> None:
    """Write `number` JPEGs of 64 x 64 pixels, all different."""
    random = np.random.default_rng(0)
    for i in range(number):
        below = folder / f"{i // IN_A_FOLDER:03d}"
        below.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(below / f"{i:06d}.jpg")


def open_folder(folder: Path, *, memory: int = 0, scratch: Scratch | None = None) -> Folder:
    """The folder as a run opens it, without transforms."""
    return Folder(Source(folder), lambda pixels: pixels, memory=memory, warn=print, scratch=scratch)


def listing(root: Path) -> Iterator[str]:
    """A folder is listed."""
    find_images(root / "trainA")
    yield "list the names"


def split(root: Path) -> Iterator[str]:
    """A new run draws 50 pictures and holds them out; a resumed run compares the names with those of before."""
    folder = open_folder(root / "trainA")
    before, files = [f"{name}"[:-4] + ".jpg" for name in folder.files.names], folder.files
    yield ""
    chosen = draw(files, 50, 0, print)
    yield "draw 50 held-out pictures"
    folder.hold_out(chosen)
    yield "hold them out"
    changes(files, before, chosen)
    yield "compare with the names in a checkpoint"


def pairs(root: Path) -> Iterator[str]:
    """The partners in two folders are found."""
    find_pairs({"a": Source(root / "trainA"), "b": Source(root / "trainB")})
    yield "list two folders and pair them"


def checkpoint(root: Path) -> Iterator[str]:
    """The names in a checkpoint are written and read."""
    names = find_images(root / "trainA").names
    yield ""
    torch.save({"pictures": {"a": names, "b": [name.replace(".jpg", ".png") for name in names]}}, root / "names.pt")
    yield f"write the names of both folders, {(root / 'names.pt').stat().st_size / 2**20:.0f} MiB"
    load_pickled(root / "names.pt", check=True)
    yield "read them"


def reading(root: Path, **cache: Any) -> Iterator[str]:
    """Every picture is read twice, in shuffled order."""
    folder = open_folder(root / "pictures", **cache)
    yield ""
    for what in ("first", "second"):
        for index in np.random.default_rng(0).permutation(len(folder)).tolist():
            _ = folder[index]
        yield f"read all pictures for the {what} time"


def plain(root: Path) -> Iterator[str]:
    """Nothing is cached."""
    return reading(root)


def ram(root: Path) -> Iterator[str]:
    """All pictures fit into RAM."""
    return reading(root, memory=2**40)


def scratch(root: Path) -> Iterator[str]:
    """All pictures are cached in the scratch file."""
    return reading(root, scratch=Scratch(root, print))


PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    part.__name__: part for part in (listing, split, pairs, checkpoint, plain, ram, scratch)
}


def peak() -> float:
    """The largest resident memory of this process since `forget_peak`, in MiB."""
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(line) / 1024


def forget_peak() -> None:
    """Let the peak begin at what is in use now; imports have used more before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(part: str, root: Path) -> list[dict[str, Any]]:
    """Run a part in this process; returns the name, seconds and MiB of each of its steps."""
    forget_peak()
    base, rows, begin = peak(), [], time.perf_counter()
    for what in PARTS[part](root):
        if what:
            rows.append({"part": part, "what": what, "s": time.perf_counter() - begin, "MiB": peak() - base})
        begin = time.perf_counter()
    return rows


def measured_apart(part: str, root: Path) -> list[dict[str, Any]]:
    """Run a part in a process of its own."""
    words = [sys.executable, __file__, "--part", part, "--root", str(root)]
    rows: list[dict[str, Any]] = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=10**6, help="names in trainA, and in trainB")
    parser.add_argument("--pictures", type=int, default=10**5, help="pictures that are read")
    parser.add_argument("--root", type=Path, help="where the files are made, for --part: where they are")
    parser.add_argument("--part", choices=PARTS, help="measure one part of files that exist, and print JSON")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    if args.part:
        print(json.dumps(measure(args.part, args.root)))
        return
    with tempfile.TemporaryDirectory(dir=args.root) as made:
        root = Path(made)
        make_names(root / "trainA", args.files)
        make_names(root / "trainB", args.files)
        make_pictures(root / "pictures", args.pictures)
        rows = [row for part in PARTS for row in measured_apart(part, root)]
    print(f"{os.cpu_count()} cores, {args.files:,} names in a folder, {args.pictures:,} pictures")
    for row in rows:
        print(f"{row['part']:12s}{row['what']:50s}{row['s']:8.2f} s   peak {row['MiB']:6.0f} MiB")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
