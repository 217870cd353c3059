"""Memory and time of translating pictures of 1 to 200 megapixels in bands, each in a process of its own.

    python experiments/benchmarks/bands.py --megapixels 1 4 16 100 --memory 2GB --json bands.json

Time is seconds per pixel, relative to pictures of 256 x 256 that are translated before and after in the same process.
Memory is the most RAM of the process, sampled, without the pages of mapped files, which the system gives back when
others need them. Up to 4 megapixels, the result is compared with that of the network at once: the largest difference in
levels of 255, and the share of values that differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from cyclegan.data.mapped import mapped
from cyclegan.data.picture import Pixels
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from cyclegan.util.text import bytes_from

SMALL, COMPARED = 256, 4.0
"""Side of the picture that sets the time; most megapixels that are also translated at once."""


class Peak(threading.Thread):
    """Samples the RAM of this process, without mapped files."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes, self.over = 0, False

    def run(self) -> None:
        """Sample until `over`."""
        while not self.over:
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            now = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
            self.bytes = max(self.bytes, now)
            time.sleep(0.02)


def picture(megapixels: float) -> Pixels:
    """Return a picture of smooth noise in a mapped file, made in strips."""
    side = round((megapixels * 1e6) ** 0.5)
    pixels: Pixels = mapped((side, side, 3), np.uint8)
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(side)[:, None] / [[40.0, 60.0, 90.0]]) * 60 + 128
    for row in range(side):
        level = waves * (0.7 + 0.3 * np.sin(row / 50)) + random.normal(0, 10, (side, 3))
        pixels[row] = level.clip(0, 255).astype(np.uint8)
    return pixels


def measured(megapixels: float, memory: int | None, precision: Any) -> dict[str, Any]:
    """Return the measurements of one picture."""
    torch.manual_seed(0)
    network = ResnetConfig().build()
    own = Translator(network, device="cpu", precision=precision, channels_last=False, compile_="off", memory=memory)
    small = np.ascontiguousarray(picture(1)[:SMALL, :SMALL])[None]
    own.engine.pixels(small, own.target)

    def timed() -> list[float]:
        times = []
        for _ in range(8):
            begin = time.perf_counter()
            own.engine.pixels(small, own.target)
            times.append(time.perf_counter() - begin)
        return times

    times = timed()
    pixels = picture(megapixels)
    banded = own.budget.is_exceeded(own.engine, *pixels.shape[:2])
    peak = Peak()
    peak.start()
    begin = time.perf_counter()
    made = own.translate_pixels(pixels[None])[0]
    seconds = time.perf_counter() - begin
    peak.over = True
    times += timed()
    found = {
        "megapixels": megapixels,
        "precision": precision,
        "bands": banded,
        "seconds": round(seconds, 1),
        "seconds_a_megapixel": round(seconds / pixels[..., 0].size * 1e6, 2),
        "times_small": round(seconds / pixels[..., 0].size / (median(times) / SMALL**2), 2),
        "gib": round(peak.bytes / 2**30, 2),
    }
    if banded and megapixels <= COMPARED:
        whole = own.engine.pixels(pixels[None], own.target)[0]
        off = np.abs(whole.astype(np.int16) - made)
        found |= {"difference": int(off.max()), "differing": float(np.mean(off > 0))}
    return found


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 16, 64, 100, 200])
    parser.add_argument("--memory", default=None, help="the budget, such as 2GB; by default what is free")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        memory = None if args.memory is None else bytes_from(args.memory)
        print(json.dumps(measured(args.megapixels[0], memory, args.precision)))
        return
    results = []
    for size in args.megapixels:
        words = [sys.executable, __file__, "--one", "--megapixels", str(size), "--precision", args.precision]
        words += ["--memory", args.memory] if args.memory else []
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, encoding="utf-8")
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(results[-1], flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
