"""Time the translation of a directory of JPEGs, with reading and writing, by a plain loop and by ours in turns.

    python experiments/benchmarks/translate.py --json translate.json

The plain loop translates one picture at a time with an eager float32 network. Both use the same weights and write the
same format, so their pictures are compared too: `difference` is in pixel values, 0..255.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import torch
from PIL import Image

from cyclegan.data.convert import to_image, to_tensor
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.translator import Translator
from cyclegan.machine.device import choose_device
from cyclegan.networks.config import ResnetConfig


def make_pictures(folder: Path, number: int, size: int) -> None:
    """Write pictures of smooth noise with grain, about as hard to compress as photographs."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(number):
        coarse = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((size, size))
        grain = random.normal(0, 8, (size, size, 3))
        pixels = (np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:05d}.jpg", quality=95)


@torch.no_grad()
def plain(network: torch.nn.Module, source: Path, out: Path, device: torch.device) -> None:
    """Translate a folder like a simple script."""
    out.mkdir()
    for path in sorted(source.iterdir()):
        image = to_tensor(Image.open(path).convert("RGB"))[None].to(device)
        to_image(network(image)[0]).save(out / path.name, quality=95, subsampling=0)


def pixels(folder: Path) -> np.ndarray:
    """Read all pictures of a folder, (N, H, W, 3)."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.jpg"))]).astype(np.int16)


def coding(source: Path, scratch: Path) -> float:
    """Return how many pictures per second one thread reads and writes, without a network."""
    paths = sorted(source.iterdir())
    begin = time.perf_counter()
    for path in paths:
        Image.open(path).convert("RGB").save(scratch / path.name, quality=95, subsampling=0)
    return len(paths) / (time.perf_counter() - begin)


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure everything that is printed; returns plain data."""
    torch.manual_seed(0)
    network = ResnetConfig(width=args.width, blocks=args.blocks).build().to(args.device).eval()
    translator = Translator(network, device=args.device.type, precision=args.precision)
    sides: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(network, folder / "source", folder / "plain", args.device),
        "ours": lambda: translate_directory(translator, folder / "source", folder / "ours"),
    }
    make_pictures(folder / "source", args.number, args.size)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(args.turns + 1):  # the first one is for warm-up
        for name, translate in sides.items():
            shutil.rmtree(folder / name, ignore_errors=True)
            begin = time.perf_counter()
            translate()
            if turn:
                times[name].append(time.perf_counter() - begin)

    difference = np.abs(pixels(folder / "plain") - pixels(folder / "ours"))
    (folder / "scratch").mkdir()
    ratios = [p / o for p, o in zip(times["plain"], times["ours"], strict=True)]
    here = torch.cuda.get_device_name() if args.device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {
        "settings": {name: str(value) for name, value in vars(args).items()},
        "machine": f"{platform.machine()}, {here}",
        "torch": torch.__version__,
        "pictures_per_second": {name: args.number / middle(each) for name, each in times.items()},
        "times_faster": middle(ratios),
        "every_time": times,
        "coding_per_second_by_one_thread": coding(folder / "source", folder / "scratch"),
        "difference": {"largest": int(difference.max()), "mean": float(difference.mean())},
    }


def middle(values: list[float]) -> float:
    """Return the median."""
    return values[0] if len(values) == 1 else quantiles(values, n=2)[0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--number", type=int, help="pictures; default: 2048 on a GPU, 12 on a CPU")
    parser.add_argument("--size", type=int, default=256, help="side of the pictures")
    parser.add_argument("--width", type=int, default=64, help="channels of the generator (ngf)")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks of the generator")
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    parser.add_argument("--precision", choices=("auto", "float32", "bf16"), default="auto", help="our precision")
    parser.add_argument("--turns", type=int, default=5, help="passes over the directory by each program")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    args.device = choose_device(args.device)
    args.number = args.number or (12 if args.device.type == "cpu" else 2048)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args, Path(folder))

    print(f"{result['machine']}, torch {result['torch']}; {args.number} pictures of {args.size} pixels")
    for name, rate in result["pictures_per_second"].items():
        print(f"{name:<6}{rate:9.2f} pictures/s")
    print(f"read and write alone, one thread: {result['coding_per_second_by_one_thread']:.0f} pictures/s")
    difference = result["difference"]
    print(f"largest difference of a pixel {difference['largest']} of 255, mean {difference['mean']:.3f}")
    print(f"ours is {result['times_faster']:.2f} times as fast as plain")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
