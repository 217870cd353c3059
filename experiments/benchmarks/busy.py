"""Time a small training step while other programs use the cores, for several spin counts of waiting OpenMP threads.

    python experiments/benchmarks/busy.py

Each row runs in its own process, because OpenMP reads GOMP_SPINCOUNT only once. Its default is 300,000.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles

FOREVER = "while True: pass"
PATIENCE = 600
"""Timeout, in seconds, of one measurement, which takes at least six steps."""


def seconds(args: argparse.Namespace) -> list[float]:
    """Return the seconds of each plain step of the demo's networks on random pictures, after three for warm-up."""
    import torch

    from cyclegan.demo import demo_recipe
    from cyclegan.recipe import recipe_from
    from cyclegan.training.learner import Learner
    from cyclegan.types import Batch

    plain = {"precision": "float32", "channels_last": "off", "compile": "off", "graph": "off"}
    learner = Learner(
        recipe_from(demo_recipe(Path("nowhere")).to_dict() | {"speed": plain}, "the demo"), torch.device("cpu"), epoch=5
    )
    pixels = Batch(*(torch.randint(256, (1, 3, args.size, args.size), dtype=torch.uint8) for _ in "ab"))
    took: list[float] = []
    end = time.monotonic() + args.seconds
    while time.monotonic() < end or len(took) < 6:
        begin = time.perf_counter()
        learner.step(pixels)
        took.append(time.perf_counter() - begin)
    return took[3:]


def row(spins: int, others: int, args: argparse.Namespace) -> str:
    """Return one measurement as a row of a Markdown table; it ends after `PATIENCE` seconds."""
    with ExitStack() as clean_up:
        for _ in range(others):
            clean_up.callback(subprocess.Popen([sys.executable, "-c", FOREVER]).kill)
        words = [sys.executable, __file__, "--once", "--size", str(args.size), "--seconds", str(args.seconds)]
        environment = os.environ | {"GOMP_SPINCOUNT": str(spins)}
        try:
            told = subprocess.run(
                words, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True, timeout=PATIENCE
            ).stdout
        except subprocess.TimeoutExpired:
            return f"| {others} | {spins:,} | fewer than six steps in {PATIENCE} s | |"
    low, median, high = (1000 * float(number) for number in told.split())
    return f"| {others} | {spins:,} | {median:.0f} | {low:.0f} to {high:.0f} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0, help="least time of a measurement")
    parser.add_argument("--spins", type=int, nargs="+", default=[300_000, 30_000, 10_000, 3_000, 0])
    parser.add_argument(
        "--others", type=int, nargs="+", default=[0, os.cpu_count() or 1], help="numbers of busy programs"
    )
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(*quantiles(seconds(args), n=4))
        return
    print("| other programs | spins | median, ms | quartiles |\n|---|---|---|---|", flush=True)
    for others in args.others:
        for spins in args.spins:
            print(row(spins, others, args), flush=True)


if __name__ == "__main__":
    main()
