"""Measure the time of a translation by the generator of every method with styles, and the peak memory of its process.

    python experiments/benchmarks/styles.py [--size 256]

The generators have the sizes of the papers and random weights, the pictures are noise, and nothing is compiled. Each
runs in plain float32 in a process of its own. The ratio is to the ResNet generator of CycleGAN with 9 blocks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from statistics import median

import torch

from cyclegan.machine.memory_used import memory_used
from cyclegan.networks.base import StyleGenerator
from cyclegan.networks.config import AdainGeneratorConfig, AnyGeneratorConfig, MunitGeneratorConfig, ResnetConfig

GENERATORS: dict[str, AnyGeneratorConfig] = {
    "CycleGAN": ResnetConfig(),
    "perceptual": ResnetConfig(width=32, blocks=5, upsample="resize"),
    "MUNIT": MunitGeneratorConfig(),
    "AdaIN, VGG-19": AdainGeneratorConfig(),
    "AdaIN, SqueezeNet": AdainGeneratorConfig(encoder="squeezenet1_1"),
}
WARM_UP, TIMED = 2, 7


@torch.inference_mode()
def measure(name: str, size: int) -> tuple[float, float, float]:
    """Return the median times of a translation and of finding a style in ms, and the peak memory in GiB."""
    network, noise = GENERATORS[name].build().eval(), torch.rand(1, 3, size, size) * 2 - 1
    style = [network.encode_style(noise)] if isinstance(network, StyleGenerator) else []
    translating, finding = list[float](), list[float]()
    for _ in range(WARM_UP + TIMED):
        begin = time.perf_counter()
        network(noise, *style)
        translating.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        if isinstance(network, StyleGenerator):
            network.encode_style(noise)
        finding.append(time.perf_counter() - begin)
    used = memory_used(torch.device("cpu")) or 0.0
    return 1000 * median(translating[WARM_UP:]), 1000 * median(finding[WARM_UP:]), used


def main() -> None:
    """Print a row for each generator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    args = parser.parse_args()
    spawn, reference = multiprocessing.get_context("spawn"), 0.0
    print(f"{'ms':>7} {'ratio':>6} {'style':>6} {'GiB':>6}  generator")
    for name in GENERATORS:
        with spawn.Pool(1) as pool:
            milliseconds, style, gibibytes = pool.apply(measure, (name, args.size))
        reference = reference or milliseconds
        print(f"{milliseconds:7.0f} {milliseconds / reference:6.2f} {style:6.0f} {gibibytes:6.2f}  {name}", flush=True)


if __name__ == "__main__":
    main()
