"""Write many small JPEGs, check them without measuring a training, and print seconds and peak memory.

    python experiments/benchmarks/check.py /dev/shm/small --pictures 100000

The folder must not exist; it is removed afterwards.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cyclegan.check.copies import find_copies
from cyclegan.check.facts import gather
from cyclegan.check.layout import find_data, find_places
from cyclegan.machine.memory_used import memory_used

SHARES = {"trainA": 0.6, "trainB": 0.38, "testA": 0.01, "testB": 0.01}
"""The share of each folder in the pictures."""

SIZE = 64


def main() -> None:
    """Write, check, print, remove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=100_000)
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    try:
        write(args.folder, args.pictures)
        told("before", clocks())
        began = clocks()
        folders = [gather(place) for place in find_places(find_data(args.folder))]
        told("decoded", began)
        began = clocks()
        copies = find_copies(folders, near=True)
        told(f"compared, {sum(each.pictures for each in copies)} copies", began)
    finally:
        shutil.rmtree(args.folder)


def write(folder: Path, pictures: int) -> None:
    """Write smooth random pictures."""
    random = np.random.default_rng(0)
    for name, share in SHARES.items():
        (folder / name).mkdir()
        for i in range(round(share * pictures)):
            coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
            coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(folder / name / f"{i:07}.jpg", quality=85)


def told(what: str, began: tuple[float, float]) -> None:
    """Print the time and the CPU time since `began`, and the peak memory of the process."""
    seconds, cpu = (now - then for now, then in zip(clocks(), began, strict=True))
    memory = (memory_used(torch.device("cpu")) or 0) * 1024
    print(f"{what:<24}{seconds:8.1f} s{cpu:8.1f} s of CPU{memory:8.0f} MiB", flush=True)


def clocks() -> tuple[float, float]:
    """Return the time and the CPU time of this process, in seconds."""
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
