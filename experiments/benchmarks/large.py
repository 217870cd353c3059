"""Measure the time and memory of reading and writing large pictures, by strips and as a whole.

    python experiments/benchmarks/large.py [--megapixels 1 4 25 100 200] [--formats jpg png tif] [--json]

Each case runs in a process of its own. Memory is what the process allocates while it reads or writes, above what it had
before: files that are mapped into memory are told apart, because the system takes their pages back when others need
them. Both are sampled from /proc, so they are given on Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cyclegan.data.codecs.limits import at_most
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.write_strips import streamed, strips_of
from cyclegan.util.atomic import write_whole

WAYS = ("strips", "whole")
ROWS = 64
EVERY = 0.01
"""Seconds between two looks at the memory of a process."""


class Row(NamedTuple):
    """A measurement."""

    megapixels: float
    format: str
    does: str
    way: str
    seconds: float
    memory_mb: float | None
    """Most memory that was allocated, in MB of 2**20 bytes."""
    with_files_mb: float | None
    """Most memory with the pages of mapped files that were in RAM."""
    file_mb: float


def texture(height: int, width: int) -> Iterator[np.ndarray]:
    """Yield rows of a picture of waves of all lengths and grain, which compresses about as well as a photograph."""
    random = np.random.default_rng(0)
    across = np.arange(width, dtype=np.float32)[None, :, None]
    for top in range(0, height, ROWS):
        down = np.arange(top, min(top + ROWS, height), dtype=np.float32)[:, None, None]
        phases = np.array([0, 2, 4], np.float32)
        waves = sum(np.sin(across / length + down / (length * 1.7) + phases) for length in (9, 41, 233))
        grain = random.standard_normal((len(down), width, 3), dtype=np.float32)
        yield (127 + 30 * waves + 4 * grain).clip(0, 255).astype(np.uint8)


def once(way: str, does: str, path: Path, size: tuple[int, int]) -> None:
    """Read `path`, or write pixels from a mapped file to it; says when it is ready, and the seconds that it took."""
    from cyclegan.data.codecs import map_tiff, stream_tiff
    from cyclegan.data.convert import convert
    from cyclegan.data.read import read_picture
    from cyclegan.data.strips import read_large
    from cyclegan.data.write import encoded

    assert map_tiff and stream_tiff  # imported before the clock starts
    pixels = np.memmap(path.with_suffix(".raw"), np.uint8, "r", shape=(*size, 3)) if does == "write" else None
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    if pixels is None and way == "strips":
        assert read_large(path, RGB_PICTURES, path.parent) is not None
    elif pixels is None:
        convert(read_picture(path), RGB_PICTURES)
    elif way == "strips":
        write_whole(path, streamed(strips_of(pixels, RGB_PICTURES), path, shape=pixels.shape, dtype=np.uint8))
    else:
        write_whole(path, encoded(pixels, path))
    print(time.perf_counter() - begin, flush=True)
    sys.stdin.readline()


def measured(way: str, does: str, path: Path, size: tuple[int, int]) -> Row:
    """Measure one case in a process of its own."""
    words = [sys.executable, __file__, "--once", way, does, str(path), *map(str, size)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8") as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdout.readline()
        before, most = _memory(child.pid), {"RssAnon": 0.0, "VmRSS": 0.0}
        child.stdin.write("\n")
        child.stdin.flush()
        while os.name != "nt" and not select.select([child.stdout], [], [], EVERY)[0]:
            most = {name: max(most[name], now) for name, now in _memory(child.pid).items()}
        seconds = float(child.stdout.readline())
        child.communicate("\n")
    grown = {name: round(most[name] - before[name]) for name in before}
    return Row(
        megapixels=round(size[0] * size[1] / 1e6, 1),
        format=path.suffix[1:],
        does=does,
        way=way,
        seconds=round(seconds, 2),
        memory_mb=grown.get("RssAnon"),
        with_files_mb=grown.get("VmRSS"),
        file_mb=round(path.stat().st_size / 2**20, 1),
    )


def _memory(process: int) -> dict[str, float]:
    """Return MB that a process has allocated, and that it has in RAM; nothing where the system does not say."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return {}
    lines = (line.split() for line in status.read_text(encoding="ascii").splitlines())
    return {name[:-1]: int(rest[0]) / 1024 for name, *rest in lines if name in ("RssAnon:", "VmRSS:")}


def rows(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Yield the measurements of each size and format."""
    for megapixels in args.megapixels:
        height = round((megapixels * 1e6 * 2 / 3) ** 0.5)
        size = height, round(megapixels * 1e6 / height)
        raw = folder / "picture.raw"
        raw.unlink(missing_ok=True)
        with raw.open("wb") as file:
            for part in texture(*size):
                file.write(part.tobytes())
        for suffix in args.formats:
            path = folder / f"picture.{suffix}"
            for does in ("write", "read"):
                yield from (measured(way, does, path, size) for way in WAYS)
            path.unlink()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 25, 100, 200])
    parser.add_argument("--formats", nargs="+", default=["jpg", "png", "tif"])
    parser.add_argument("--folder", type=Path, help="folder for the files, with 3 GB free; by default a temporary one")
    parser.add_argument("--json", action="store_true", help="print one object a line, for programs")
    parser.add_argument("--once", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        way, does, path, *size = args.once
        with at_most(2**32):
            return once(way, does, Path(path), (int(size[0]), int(size[1])))
    if not args.json:
        print(
            "| megapixels | format | | way | seconds | memory, MB | with mapped files, MB | file, MB |\n"
            + "|---" * 8
            + "|"
        )
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for row in rows(args, Path(folder)):
            fields: dict[str, Any] = row._asdict()
            told = (
                json.dumps(fields) if args.json else "| " + " | ".join(str(value) for value in fields.values()) + " |"
            )
            print(told, flush=True)


if __name__ == "__main__":
    main()
