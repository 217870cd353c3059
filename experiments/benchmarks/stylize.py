"""Measure the time of `cyclegan stylize` by size, and the peak memory of its process.

    python experiments/benchmarks/stylize.py --network squeezenet1_1 --weights squeezenet1_1.safetensors --out painted

The content is a photograph in scikit-image (Rachel Michetti, CC0), the style another one (NASA, public domain) as the
built-in painter paints it; `--content` and `--style` name others. Each size is painted in a process of its own, with
the defaults, so bf16 is used where it is correct and faster. Without `--weights`, the network has random ones: that
changes the picture, but not the time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from untrained import untrained

from cyclegan.data.painted import paint, photographs
from cyclegan.inference.inputs import picture_from
from cyclegan.machine.memory_used import memory_used
from cyclegan.painting.settings import Settings
from cyclegan.painting.stylize import load_extractor, stylize

WIDTH = 1536
"""Of the built-in photographs, in pixels."""


def measure(args: argparse.Namespace, size: int) -> str:
    """Return a row: size, seconds, memory and what was chosen."""
    content = picture_from(args.content) if args.content else photographs(WIDTH)["coffee"]
    style = picture_from(args.style) if args.style else paint(photographs(WIDTH // 2)["astronaut"])
    settings = Settings(network=args.network, weights=args.weights, size=size, iterations=args.iterations)
    extractor, lines = load_extractor(settings), list[str]()
    began = time.perf_counter()
    painted = stylize(content, style, settings, extractor=extractor, note=lines.append)
    seconds = time.perf_counter() - began
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        painted.save(args.out / f"{args.network}_{size}.jpg", quality=92)
    used = memory_used(torch.device("cpu")) or 0.0
    height, width = np.asarray(painted).shape[:2]
    return f"{width:5} x {height:<5} {seconds:7.0f} {used:7.2f}  {extractor.levers} {' '.join(lines)}"


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="vgg19", help="classifier of torchvision")
    parser.add_argument("--weights", type=Path, help="file with its weights; by default random ones")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="pixels of the shorter side")
    parser.add_argument("--iterations", type=int, default=Settings().iterations, help="steps at all sizes together")
    parser.add_argument("--content", type=Path, help="picture")
    parser.add_argument("--style", type=Path, help="picture")
    parser.add_argument("--out", type=Path, help="folder for the paintings")
    args = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print(f"{'pixels':13} {'seconds':>7} {'GiB':>7}")
    with tempfile.TemporaryDirectory() as made:
        args.weights = args.weights or untrained(args.network, Path(made))
        for size in args.sizes:
            with spawn.Pool(1) as pool:
                print(pool.apply(measure, (args, size)), flush=True)


if __name__ == "__main__":
    main()
