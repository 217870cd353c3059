"""How far banded inference is from the whole picture at once: all generators, all engines, many sizes.

    python experiments/benchmarks/exactness.py --most 4000 --json exactness.json

The networks have random weights and a width of 16, so that 16 megapixels fit into memory at once. Each picture is
translated at once by plain float32, and in tiles of `TILE` by each engine that is installed. Printed is, for each
generator and engine, the largest difference in levels of 255 over all sizes, and the share of values that differ.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.plan import plan_of
from cyclegan.inference.bands.runner import Runner
from cyclegan.inference.bands.sweep import Sweep
from cyclegan.inference.engines.libraries import installed
from cyclegan.inference.engines.library_engine import LibraryEngine
from cyclegan.inference.engines.session_engine import engine_of
from cyclegan.inference.engines.torch_engine import TorchEngine
from cyclegan.networks.blocks import BatchNorm
from cyclegan.networks.config import ResnetConfig, UnetConfig

GENERATORS: dict[str, ResnetConfig | UnetConfig] = {
    "ResNet-9": ResnetConfig(width=16),
    "ResNet-6": ResnetConfig(width=16, blocks=6),
    "antialiased ResNet-9": ResnetConfig(width=16, downsample="blur", upsample="blur", bias=True),
    "resizing ResNet-9": ResnetConfig(width=16, upsample="resize"),
    "ResNet-9 with a skip": ResnetConfig(width=16, skip=True),
    "ResNet-9 with batch norm": ResnetConfig(width=16, norm="batch"),
    "U-Net with instance norm": UnetConfig(width=16, norm="instance"),
    "U-Net with batch norm": UnetConfig(width=16),
}

SIZES = [
    *((64, 64), (65, 67), (127, 254), (255, 129), (256, 256), (333, 500), (512, 511), (750, 1001), (1023, 1537)),
    *((2048, 64), (63, 2999), (2000, 1333), (2999, 3001), (4000, 4000)),
]
"""Height and width."""

TILE = 160, 480
"""Rows and columns of a tile."""


def picture(height: int, width: int) -> Pixels:
    """Return a picture of waves and noise."""
    random = np.random.default_rng(height * width)
    rows, columns = np.ogrid[:height, :width]
    waves = 128 + 50 * np.sin(rows / 23) + 50 * np.sin(columns / 37)
    noise = random.normal(0, 12, (height, width, 3))
    return np.asarray((waves[..., None] + noise).clip(0, 255), dtype=np.uint8)


def engine_for(config: ResnetConfig | UnetConfig) -> TorchEngine:
    """Return an untrained generator in plain float32, with running statistics as after training."""
    torch.manual_seed(0)
    network = config.build().eval()
    for norm in network.modules():
        if isinstance(norm, BatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    return TorchEngine(network, device="cpu", precision="float32", channels_last=False, compile_="off")


def runners(plain: TorchEngine) -> Iterator[tuple[str, Runner[Any]]]:
    """Yield what computes bands, for each engine that is installed."""
    yield "torch", plain.runner(PictureFormat())
    assert plain.graph is not None
    for name in ("onnxruntime", "openvino"):
        if installed(name):
            yield name, LibraryEngine(engine_of(plain.graph, name)).runner(PictureFormat())


def main() -> None:
    """Print a row for each generator and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=4000, help="the longest side")
    parser.add_argument("--libraries_most", type=int, default=4000, help="the longest side for engines but torch")
    parser.add_argument("--generators", nargs="+", default=[*GENERATORS], choices=GENERATORS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for name in args.generators:
        plain = engine_for(GENERATORS[name])
        assert plain.graph is not None
        passes = plan_of(plain.graph)
        off: dict[str, list[tuple[int, float, tuple[int, int]]]] = {}
        for size in SIZES:
            if max(size) > args.most:
                continue
            pixels = picture(*size)
            whole = plain.pixels(pixels[None], PictureFormat())[0].astype(np.int16)
            for engine, runner in runners(plain):
                if engine != "torch" and max(size) > args.libraries_most:
                    continue
                made = np.empty_like(pixels)
                Sweep(plain.graph, runner, pixels, made).run(passes, [TILE] * len(passes))
                apart = np.abs(made - whole)
                off.setdefault(engine, []).append((int(apart.max()), float(np.mean(apart > 0)), size))
        for engine, found in off.items():
            most = max(found)
            share = sum(s * h * w for _, s, (h, w) in found) / sum(h * w for *_, (h, w) in found)
            rows.append({"generator": name, "engine": engine, "sizes": len(found), "most": most[0], "share": share})
            print(f"| {name} | {engine} | {len(found)} | {most[0]} | {100 * share:.4f} % |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
