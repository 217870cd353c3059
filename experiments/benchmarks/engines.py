"""Time the engines on the same pictures in one run, and compare their translations with plain float32 of torch.

    python experiments/benchmarks/engines.py --json engines.json
    python experiments/benchmarks/engines.py --model runs/h2z --pictures data/testA --number 120 \\
        --network squeezenet1_1 --weights squeezenet1_1.safetensors --real data/testB

Times are medians of several turns, in which the engines follow each other, so that other programs slow all of them.
Differences are in grey levels, 1/255 of the range. Without `--model`, the weights are random.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cyclegan.data.format import PictureFormat
from cyclegan.inference.engines.agreement import difference
from cyclegan.inference.engines.libraries import installed
from cyclegan.inference.engines.quantise import quantised_onnx, quantised_openvino
from cyclegan.inference.engines.session_engine import LibraryName, engine_from, engine_of
from cyclegan.inference.engines.sessions import Array, EnginePrecision
from cyclegan.inference.graph.trace import trace
from cyclegan.inference.model import open_model
from cyclegan.machine.device import has_bf16
from cyclegan.metrics.distances import distances
from cyclegan.metrics.features import Features, load_features
from cyclegan.metrics.paired import ssim_and_psnr
from cyclegan.networks.base import Generator
from cyclegan.networks.config import ResnetConfig
from cyclegan.publish.calibration import pictures_in
from cyclegan.publish.checked import cut

MIXED = [(256, 341), (300, 200), (123, 457), (384, 256), (211, 211), (320, 240)]
"""Sizes (H, W) of pictures as they come."""

Translate = Callable[[Array], Array]


def network_of(args: argparse.Namespace) -> Generator:
    """Return the generator of `--model`, or an untrained one with weights that keep the size of activations."""
    if args.model:
        model = open_model(args.model)
        return model.generators[model.choose(None)].eval()
    torch.manual_seed(0)
    network = ResnetConfig(width=args.width, blocks=args.blocks).build().eval()
    for weights in network.parameters():
        if weights.ndim == 4:
            torch.nn.init.normal_(weights, 0, (2 / weights[0].numel()) ** 0.5)
    return network


def torch_engine(
    network: Generator, *, layout: torch.memory_format, bf16: bool = False, compiled: bool = False
) -> Translate:
    """Return the translation by torch."""
    copy = type(network)(network.config, network.inputs, network.outputs).eval()
    copy.load_state_dict(network.state_dict())
    run: Callable[[Tensor], Tensor] = copy.to(memory_format=layout)
    if compiled:
        run = torch.compile(run, dynamic=False)

    def translate(images: Array) -> Array:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            made: Array = run(torch.from_numpy(images).to(memory_format=layout)).float().numpy()
            return made

    return translate


def builders(
    network: Generator, args: argparse.Namespace, calibration: Sequence[Array]
) -> dict[str, Callable[[], Translate]]:
    """Return what builds each engine, by name; building includes all that a first picture waits for."""
    plain, last = torch.contiguous_format, torch.channels_last
    made: dict[str, Callable[[], Translate]] = {
        "torch": lambda: torch_engine(network, layout=plain),
        "torch channels_last": lambda: torch_engine(network, layout=last),
    }
    if args.compile:
        made["torch compiled"] = lambda: torch_engine(network, layout=plain, compiled=True)
    if has_bf16(torch.device("cpu")):
        made["torch bf16"] = lambda: torch_engine(network, layout=last, bf16=True)

    def of(name: LibraryName, precision: EnginePrecision = "float32") -> Callable[[], Translate]:
        return lambda: engine_of(trace(network), name, precision, args.threads)

    if installed("onnxruntime"):
        made["onnxruntime"] = of("onnxruntime")
    if installed("openvino"):
        made["openvino"] = of("openvino")
        if has_bf16(torch.device("cpu")):
            made["openvino bf16"] = of("openvino", "bf16")
    graph, ends = trace(network), (network.inputs, network.outputs)
    if installed("onnxruntime"):
        model = quantised_onnx(graph, calibration, {})  # like an exported file, so its making is no part of the start
        made["onnxruntime int8"] = lambda: engine_from(model, "onnxruntime", "int8", *ends, threads=args.threads)
    if installed("openvino") and installed("nncf"):
        file = quantised_openvino(graph, calibration, {})
        made["openvino int8"] = lambda: engine_from(
            file.xml, "openvino", "int8", *ends, threads=args.threads, weights=file.weights
        )
    return made


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that is printed; returns plain data."""
    network = network_of(args)
    source = PictureFormat.of(network.inputs)
    pictures = pictures_in(args.pictures, source, args.number) if args.pictures else []
    squares = [cut(pictures, number, (args.size, args.size), network.inputs) for number in range(args.number)]
    mixed = [cut(pictures, number, size, network.inputs) for number, size in enumerate(MIXED[: args.mixed])]
    starts, engines = {}, {}
    for name, build in builders(network, args, squares[:8]).items():
        begin = time.perf_counter()
        engine = build()
        try:
            engine(squares[0][:, :, :64, :64])
        except RuntimeError as error:
            print(f"{name} does not run here: {error}", file=sys.stderr)
            continue
        engines[name] = engine
        starts[name] = time.perf_counter() - begin
    seconds = {name: ([], []) for name in engines}  # type: dict[str, tuple[list[float], list[float]]]
    for turn in range(args.turns):
        for name, engine in engines.items():
            seconds[name][0].append(timed(engine, [squares[turn % len(squares)]]))
            if name != "torch compiled":  # it would compile for each size
                seconds[name][1].append(timed(engine, mixed) if turn % 2 == 0 else seconds[name][1][-1])
    outputs = {name: np.concatenate([engine(picture) for picture in squares]) for name, engine in engines.items()}
    features = load_features(args.network, args.weights) if args.weights else None
    real = (
        features.of(map(torch.from_numpy, pictures_in(args.real, source, 10_000))) if features and args.real else None
    )
    megapixels = sum(height * width for height, width in MIXED[: args.mixed]) / 2**20
    return {
        "settings": {name: str(value) for name, value in vars(args).items()},
        "machine": f"{platform.machine()}, {platform.processor()}, {args.threads} threads",
        "torch": torch.__version__,
        "engines": {
            name: {
                "start_s": starts[name],
                "ms": 1000 * median(seconds[name][0]),
                "times_faster": median(p / e for p, e in zip(seconds["torch"][0], seconds[name][0], strict=True)),
                "mixed_s_per_megapixel": median(seconds[name][1]) / megapixels if seconds[name][1] else None,
                "largest": difference(output, outputs["torch"]).largest,
                "mean": difference(output, outputs["torch"]).mean,
                "ssim": float(ssim_and_psnr(torch.from_numpy(output), torch.from_numpy(outputs["torch"]))[:, 0].mean()),
                **(kids(features, output, outputs["torch"], real) if features else {}),
            }
            for name, output in outputs.items()
        },
    }


def timed(engine: Translate, pictures: Sequence[Array]) -> float:
    """Return the seconds that the pictures take, one by one."""
    begin = time.perf_counter()
    for picture in pictures:
        engine(picture)
    return time.perf_counter() - begin


def kids(features: Features, output: Array, plain: Array, real: Tensor | None) -> dict[str, float]:
    """Return the KID of translations to those of plain float32 and, if there are any, to real pictures."""
    ours, expected = (features.of(torch.split(torch.from_numpy(each), 16)) for each in (output, plain))
    found = {"kid_to_float32": distances(ours, expected, resamples=2).figures["kid"].value}
    return found | (
        {"kid_to_real": distances(ours, real, resamples=2).figures["kid"].value} if real is not None else {}
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="run, checkpoint or file; default: random weights")
    parser.add_argument("--pictures", type=Path, help="folder of pictures; default: painted ones")
    parser.add_argument("--number", type=int, default=4, help="pictures whose translations are compared")
    parser.add_argument("--size", type=int, default=256, help="side of the pictures")
    parser.add_argument("--width", type=int, default=64, help="channels of the generator (ngf)")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks of the generator")
    parser.add_argument("--turns", type=int, default=7, help="measurements of each engine")
    parser.add_argument("--mixed", type=int, default=len(MIXED), choices=range(1, len(MIXED) + 1), help="other sizes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    parser.add_argument("--network", default="squeezenet1_1", help="network for KID")
    parser.add_argument("--weights", type=Path, help="its weights; without them, there is no KID")
    parser.add_argument("--real", type=Path, help="folder of real pictures of the target domain, for KID")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = measure(args)
    print(f"{result['machine']}, torch {result['torch']}; {args.number} pictures of {args.size} pixels")
    print(f"{'':<20}{'start s':>8}{'ms':>8}{'faster':>8}{'s/Mpx mixed':>13}{'largest':>10}{'mean':>10}{'SSIM':>8}  KID")
    for name, row in result["engines"].items():
        mixed = row["mixed_s_per_megapixel"]
        print(
            f"{name:<20}{row['start_s']:8.2f}{row['ms']:8.0f}{row['times_faster']:8.2f}"
            f"{f'{mixed:.2f}' if mixed else '-':>13}{row['largest']:10.3g}{row['mean']:10.2g}{row['ssim']:8.4f}  "
            + ", ".join(f"{key[4:].replace('_', ' ')} {value:.5f}" for key, value in row.items() if key[:4] == "kid_")
        )
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
