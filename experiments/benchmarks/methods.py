"""Measure the time of a training step of every method, and the peak memory of its process.

    python experiments/benchmarks/methods.py [--size 128] [--method '{kind: cut, generator: {kind: resnet, blocks: 6}}']

The networks have the reference widths, the batch size is 1, the pictures are noise and nothing is compiled. Each
method and precision runs in its own process, so that its memory is measured separately. Frozen backbones have random
weights too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from untrained import untrained

from cyclegan.machine.levers import Levers
from cyclegan.machine.memory_used import memory_used
from cyclegan.recipe import recipe_from
from cyclegan.training.learner import Learner
from cyclegan.types import Batch, Precision

METHODS = (
    "{kind: cyclegan}",
    "{kind: cyclegan, discriminator: {kind: patchgan, norm: spectral}}",
    "{kind: cyclegan, discriminator: {kind: patchgan, scales: 2}}",
    "{kind: cut}",
    "{kind: fastcut}",
    "{kind: munit}",
    "{kind: perceptual}",
    "{kind: adain}",
    "{kind: pix2pix}",
    "{kind: pix2pix, generator: {kind: unet, depth: 7}}",
)
WARM_UP, TIMED = 2, 4


def measure(method: str, precision: Precision, size: int) -> tuple[float, float]:
    """Return the median time of a step in ms, and the peak memory of the process in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipe_from({"method": with_backbone(yaml.safe_load(method), Path(folder))}, "--method")
        learner = Learner(recipe, torch.device("cpu"), epoch=1000)
    learner.use(Levers(precision=precision))
    noise, times = Batch(*torch.randint(0, 256, (2, 1, 3, size, size), dtype=torch.uint8)), list[float]()
    for _ in range(WARM_UP + TIMED):
        begin = time.perf_counter()
        learner.step(noise)
        times.append(time.perf_counter() - begin)
    return 1000 * median(times[WARM_UP:]), memory_used(learner.device) or 0.0


def with_backbone(method: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a `method` section whose frozen backbone, if it needs one, comes from a file."""
    match method["kind"]:
        case "perceptual":
            return {"backbone": {"network": "vgg16", "weights": str(untrained("vgg16", folder))}} | method
        case "adain":
            return {"weights": str(untrained("vgg19", folder))} | method
    return method


def main() -> None:
    """Print a row for each method and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--method", action="append", help="`method` section of a recipe, in YAML; default: all methods")
    args = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print(f"{'ms':>7} {'GiB':>6}  precision  method")
    for method in args.method or METHODS:
        for precision in ("float32", "bf16"):
            with spawn.Pool(1) as pool:
                milliseconds, gibibytes = pool.apply(measure, (method, precision, args.size))
            print(f"{milliseconds:7.0f} {gibibytes:6.2f}  {precision:9}  {method}", flush=True)


if __name__ == "__main__":
    main()
