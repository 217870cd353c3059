"""Measure how many pairs of pictures per second the loader alone delivers, and the speed of decoding.

    python experiments/benchmarks/loader.py [--data.root data/horse2zebra]

Without a data set, both domains are noise of 256 x 256 pixels. The first pass decodes and resizes every picture; the
following ones read them from RAM, like every epoch of a training after the first.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from cyclegan.data.config import DataConfig
from cyclegan.data.folder import open_folders
from cyclegan.data.loader import Loader


def make_pictures(root: Path, number: int) -> None:
    """Write `number` JPEGs of 256 x 256 pixels for each domain."""
    random = np.random.default_rng(0)
    for domain in ("trainA", "trainB"):
        (root / domain).mkdir()
        for i in range(number):
            coarse = Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
            coarse.resize((256, 256), Image.Resampling.BICUBIC).save(root / domain / f"{i:04d}.jpg")


def open_loader(config: DataConfig, batch: int) -> Loader:
    """The loader as the trainer opens it."""
    augment, memory = config.build(), int(config.cache_gib * 2**30)
    folders = open_folders(config, augment.prepare, memory=memory, warn=print, tell=print)
    a, b = folders["a"], folders["b"]
    return Loader(a, b, augment, batch_size=batch, seed=0, workers=config.workers, paired=config.paired)


def pairs_per_second(loader: Loader, start: int, pairs: int) -> float:
    """Return the pairs per second over `pairs` pairs, starting at pair `start`."""
    begin = time.perf_counter()
    for _ in loader.batches(start, start + pairs):
        pass
    return pairs / (time.perf_counter() - begin)


def measure(args: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Measure everything that is printed; returns plain data."""
    loader = open_loader(DataConfig(root=root, workers=args.workers), args.batch)
    for folder in (loader.a, loader.b):  # the first pass, one picture after the other
        begin = time.perf_counter()
        for index in range(len(folder)):
            _ = folder[index]
        decoded = len(folder) / (time.perf_counter() - begin)
    rates = [pairs_per_second(loader, i * args.pairs, args.pairs) for i in range(args.passes)]
    return {
        "machine": f"{os.cpu_count()} cores",
        "settings": {name: str(value) for name, value in vars(args).items()},
        "decoded_per_second_by_one_thread": decoded,
        "pairs_per_second": median(rates),
        "every_pass": rates,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data.root", dest="root", type=Path, help="a data set; by default one is made")
    parser.add_argument("--workers", type=int, default=DataConfig().workers, help="worker threads of the loader")
    parser.add_argument("--batch", type=int, default=1, help="pairs in a batch")
    parser.add_argument("--pairs", type=int, default=2000, help="pairs in a pass")
    parser.add_argument("--passes", type=int, default=7, help="number of passes; the median is reported")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if args.root is None:
            make_pictures(Path(made), 200)
        result = measure(args, args.root or Path(made))
    print(f"{result['machine']}, {args.workers} workers, batches of {args.batch}")
    print(f"read, decode and resize   {result['decoded_per_second_by_one_thread']:8.0f} pictures/s, one thread")
    print(f"draw, crop, flip, stack   {result['pairs_per_second']:8.0f} pairs/s from RAM")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
