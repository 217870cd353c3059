"""Measure the time and memory of the distances between two sets of features, and the quality of FID's intervals.

    python experiments/benchmarks/metrics.py [--pictures 250 500 1000 5000] [--sizes 512 2048]
    python experiments/benchmarks/metrics.py --intervals --pictures 250 500 1000
    python experiments/benchmarks/metrics.py --intervals --folders trainA trainB --weights squeezenet1_1.safetensors

The features are random, but heavy-tailed, correlated and rectified like those of a network. `--intervals` compares the
95 % interval of the exact bootstrap with the first-order one, and both with the spread of FID over independently drawn
sets. `--folders` uses SqueezeNet's features of real pictures instead, for which there is no such spread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import astuple
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from cyclegan.data.batches import Pictures
from cyclegan.data.convert import normalised
from cyclegan.data.fit import Fit
from cyclegan.data.sources import Source
from cyclegan.metrics import distances as module
from cyclegan.metrics.distances import distances
from cyclegan.metrics.features import load_features
from cyclegan.metrics.frechet import frechet

ANEW = 40
"""Number of independent pairs of sets from which the true spread of FID is estimated."""


def draw(pictures: int, size: int, seed: int, shift: float = 0.0) -> Tensor:
    """Draw random features, float32 (pictures, size)."""
    fixed = torch.Generator().manual_seed(99)
    mixed = torch.randn(size, size, generator=fixed) * torch.arange(1, size + 1).rsqrt()[:, None]
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(pictures, size, generator=generator)
    tails = torch.randn(pictures, 8, generator=generator).square().mean(dim=1, keepdim=True).rsqrt()
    drawn: Tensor = normal.mul(tails) @ mixed / size**0.5
    return drawn.add(0.02 + shift).relu()


def cost(pictures: int, size: int, threads: int) -> dict[str, float]:
    """Return the time of the distances of two sets, and their memory beyond the features; run it in a new process."""
    torch.set_num_threads(threads)
    fake, real = draw(pictures, size, 1, 0.01), draw(pictures, size, 2)
    distances(fake[:60, :60], real[:60, :60], resamples=2)  # warm-up
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets the peak memory (Linux)
    before, begin, work = resident("VmRSS"), time.perf_counter(), time.process_time()
    distances(fake, real)
    took = {"seconds": time.perf_counter() - begin, "CPU seconds": time.process_time() - work}
    return took | {"MiB": resident("VmHWM") - before}


def resident(kind: str) -> float:
    """Return the memory of this process in MiB: current (VmRSS) or peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def widths(fake: Tensor, real: Tensor) -> tuple[float, float]:
    """Return the widths of FID's interval: by the exact bootstrap, and to first order."""
    found = []
    for exact in (10**9, 0):
        module.EXACT = exact
        _, low, high = astuple(distances(fake, real).figures["fid"])
        found.append(high - low)
    return found[0], found[1]


def drawn_intervals(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of pictures and feature size, with means over `--sets` pairs of sets."""
    for size in args.sizes:
        for pictures in args.pictures:
            pairs = ((draw(pictures, size, 2 * i, 0.01), draw(pictures, size, 2 * i + 1)) for i in range(ANEW))
            fids, found = [], []
            for i, (fake, real) in enumerate(pairs):
                fids.append(frechet(fake.double(), real.double()).value)
                found += [widths(fake, real)] if i < args.sets else []
            exact, quick = map(fmean, zip(*found, strict=True))
            yield {"pictures": pictures, "D": size, "FID": fmean(fids), "exact": exact, "first order": quick,
                   "spread": 2 * 1.96 * stdev(fids)}  # fmt: skip


def real_intervals(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of pictures, drawn at random from two folders."""
    network = load_features("squeezenet1_1", args.weights)
    seen = [
        network.of(map(normalised, Pictures(Source(folder), Fit((args.side, args.side))))) for folder in args.folders
    ]
    for pictures in args.pictures:
        some = [each[torch.randperm(len(each), generator=torch.Generator().manual_seed(0))[:pictures]] for each in seen]
        exact, quick = widths(*some)
        fid = frechet(some[0].double(), some[1].double()).value
        yield {"pictures": pictures, "D": some[0].shape[1], "FID": fid, "exact": exact, "first order": quick}


def costs(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the cost for each number of pictures and feature size."""
    for size in args.sizes:
        for pictures in args.pictures:
            with get_context("spawn").Pool(1) as pool:
                yield {"pictures": pictures, "D": size} | pool.apply(cost, (pictures, size, args.threads))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, nargs="+", default=[250, 500, 1000, 5000], help="pictures in each set")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048], help="dimensions of the features")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--intervals", action="store_true", help="compare FID's intervals")
    parser.add_argument("--sets", type=int, default=3, help="pairs of sets for which intervals are computed")
    parser.add_argument("--folders", type=Path, nargs=2, help="two folders of real pictures, for --intervals")
    parser.add_argument("--weights", type=Path, help="file of SqueezeNet's weights, for --folders")
    parser.add_argument("--side", type=int, default=256, help="side of the pictures of --folders, in pixels")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = (real_intervals if args.folders else drawn_intervals if args.intervals else costs)(args)
    made = []
    for row in rows:
        print("   ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
        made.append(row)
    if args.json:
        args.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
