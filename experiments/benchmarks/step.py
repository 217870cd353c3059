"""Time one training step of CycleGAN: a plain eager float32 program and ours, in turns, in one process.

    python experiments/benchmarks/step.py --json step.json

The plain program is the one in `plain.py`. Both get the same pictures, which are already on the device. `peak` is the
speed relative to that of a large matrix multiplication in the same precision on the same machine; the number of
operations is that of the plain step for both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

import torch
from plain import Step, plain
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from cyclegan.machine.compiler import layout_of, set_layout
from cyclegan.machine.device import Arithmetic, choose_device, compiler_problem, has_bf16
from cyclegan.methods.config import CycleganConfig
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import TrainingConfig
from cyclegan.training.graph import Graphed
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.training.speed import checkpoint_activations
from cyclegan.types import Batch, Losses

Pictures = Iterator[tuple[Tensor, Tensor]]


def arithmetic(args: argparse.Namespace) -> int:
    """Count the floating point operations of one plain step, without computing them."""
    nothing = torch.device("meta")
    step = plain(args.width, args.blocks, nothing)
    a, b = (torch.empty(args.batch, 3, args.size, args.size, device=nothing) for _ in range(2))
    with FlopCounterMode(display=False) as counter:
        step(a, b)
    return int(counter.get_total_flops())


# Ours


class Levers(NamedTuple):
    """The options that make our step faster or smaller than eager float32, each on or off."""

    bf16: bool
    channels_last: bool
    compile: bool
    graph: bool
    checkpoint: bool


def defaults(device: torch.device) -> Levers:
    """Return the options that are fastest on most machines of this kind; the trainer tries them out instead."""
    on_cuda = device.type == "cuda"
    return Levers(has_bf16(device), on_cuda, not compiler_problem(device), on_cuda, checkpoint=False)


def ours(levers: Levers, args: argparse.Namespace) -> Step:
    """Return a step like that of `Learner.step`."""
    config = CycleganConfig(
        generator=ResnetConfig(width=args.width, blocks=args.blocks), discriminator=PatchganConfig(width=args.width)
    )
    layout = layout_of(levers.channels_last)
    method = config.build().to(args.device)
    set_layout(method, levers.channels_last)
    optimizers = [PlayerOptimizer(player, TrainingConfig(batch_size=args.batch)) for player in method.players]
    precision = Arithmetic(args.device, "bf16" if levers.bf16 else "float32")
    networks = [network for optimizer in optimizers for network in optimizer.player.networks.values()]
    if levers.checkpoint:
        checkpoint_activations(networks)
    if levers.compile:
        for network in networks:
            network.compile(dynamic=False)

    def play(batch: Batch) -> Losses:
        batch = Batch(*(domain.to(memory_format=layout) for domain in batch))
        with precision:
            images = method(batch)
        losses: Losses = {}
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(batch, images, precision)).losses
        return losses

    keys, maybe_graphed = itertools.count(), Graphed(play, method.pools) if levers.graph else play

    def step(a: Tensor, b: Tensor) -> None:
        torch.manual_seed(next(keys))
        for optimizer in optimizers:
            optimizer.scale_lr(1.0)
        maybe_graphed(Batch(a, b))

    return step


def chosen(args: argparse.Namespace) -> dict[str, Levers]:
    """Return the rows to measure: the defaults changed by the command line; with --levers, a row for each option."""
    given = {name: value for name in Levers._fields if (value := getattr(args, name)) is not None}
    final = defaults(args.device)._replace(**given)
    if not args.levers:
        return {"ours": final}
    rows = {"ours, eager float32": Levers(*[False] * len(Levers._fields))}
    for name in Levers._fields:
        if getattr(final, name):
            rows[f"+ {name}"] = [*rows.values()][-1]._replace(**{name: True})
    return rows


# Measuring


class Side(NamedTuple):
    """One of the two programs, after warm-up."""

    name: str
    precision: str
    step: Step
    memory: int | None
    """Peak memory that it reserves on the device, in bytes; None on a CPU."""


def wait(device: torch.device) -> None:
    """Wait until the device has finished all work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def seconds(work: Callable[[], object], times: int, device: torch.device) -> float:
    """Return the mean seconds of a call of `work`, over `times` calls in a row."""
    wait(device)
    begin = time.perf_counter()
    for _ in range(times):
        work()
    wait(device)
    return (time.perf_counter() - begin) / times


def peak_speed(precision: str, device: torch.device) -> float:
    """Return the operations per second of the fastest of several square matrix multiplications."""
    n, tries, times = (2048, 8, 1) if device.type == "cpu" else (8192, 10, 10)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x, y = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(x)

    def multiply() -> None:
        torch.mm(x, y, out=out)

    before = torch.get_float32_matmul_precision()
    if precision == "tf32":
        torch.set_float32_matmul_precision("high")
    multiply()
    best = min(seconds(multiply, times, device) for _ in range(tries))
    torch.set_float32_matmul_precision(before)
    return 2 * n**3 / best


def warm(name: str, precision: str, build: Callable[[], Step], pictures: Pictures, args: argparse.Namespace) -> Side:
    """Build a program, warm it up, and measure its memory."""
    on_cuda = args.device.type == "cuda"
    if on_cuda:
        torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved() if on_cuda else 0
    step = build()
    for _ in range(args.warmup):
        take(step, pictures)
    wait(args.device)
    if not on_cuda:
        return Side(name, precision, step, None)
    # Reserved, not allocated: a CUDA graph keeps its memory without counting as allocated.
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    take(step, pictures)
    wait(args.device)
    return Side(name, precision, step, torch.cuda.max_memory_reserved() - held)


def random_pictures(args: argparse.Namespace) -> Pictures:
    """Return eight pairs of batches on the device, repeated forever."""
    shape = (args.batch, 3, args.size, args.size)
    batches = [torch.rand(shape, device=args.device) * 2 - 1 for _ in range(16)]
    return itertools.cycle(zip(batches[::2], batches[1::2], strict=True))


class Quartiles(NamedTuple):
    """The 25th, 50th and 75th percentiles."""

    low: float
    median: float
    high: float


def quartiles(values: list[float]) -> Quartiles:
    """Return the quartiles of the values; for a single value, the value itself."""
    return Quartiles(*quantiles(values, n=4, method="inclusive")) if len(values) > 1 else Quartiles(*values * 3)


def take(step: Step, pictures: Pictures) -> None:
    """Run one step on the next pictures."""
    step(*next(pictures))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that is printed; returns plain data."""
    torch.backends.cudnn.benchmark = True
    on_cuda = args.device.type == "cuda"
    plain_precision = "tf32" if on_cuda and torch.backends.cudnn.allow_tf32 else "float32"
    rows_of_ours = chosen(args)
    precisions = {name: "bf16" if levers.bf16 else plain_precision for name, levers in rows_of_ours.items()}

    peaks = {precision: peak_speed(precision, args.device) for precision in {plain_precision, *precisions.values()}}
    pictures = random_pictures(args)
    sides = [warm("plain", plain_precision, lambda: plain(args.width, args.blocks, args.device), pictures, args)]
    for name, levers in rows_of_ours.items():
        sides.append(warm(name, precisions[name], partial(ours, levers, args), pictures, args))
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(args.steps):
        for side in sides:
            times[side.name].append(seconds(partial(take, side.step, pictures), args.burst, args.device))

    # Measured again, in case another program disturbed the first measurement.
    peaks = {precision: max(speed, peak_speed(precision, args.device)) for precision, speed in peaks.items()}
    flops = arithmetic(args)
    rows = []
    for name, precision, _, memory in sides:
        time_of_step = quartiles(times[name])
        rows.append(
            {
                "name": name,
                "precision": precision,
                "seconds": time_of_step._asdict(),
                "images_per_second": args.batch / time_of_step.median,
                "peak_fraction": flops / time_of_step.median / peaks[precision],
                "memory_bytes": memory,
                "times_faster": quartiles([p / o for p, o in zip(times["plain"], times[name], strict=True)])._asdict(),
                "every_time": times[name],
            }
        )
    here = torch.cuda.get_device_name() if on_cuda else f"{platform.machine()}, {torch.get_num_threads()} threads"
    return {
        "settings": {
            name: value if isinstance(value, bool | int) else str(value) for name, value in vars(args).items()
        },
        "machine": here,
        "torch": torch.__version__,
        "flops_per_step": flops,
        "peak_flops_per_second": peaks,
        "steps": rows,
    }


# Command line


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a table."""
    peaks = ", ".join(f"{name} {speed / 1e12:.3g}" for name, speed in result["peak_flops_per_second"].items())
    print(f"{result['machine']}, torch {result['torch']}; {result['flops_per_step'] / 1e12:.3g} TFLOP per step")
    print(f"matrix multiplication peak in TFLOP/s: {peaks}\n")
    print(f"{'step':<21}precision   median s  (quartiles)            images/s   peak  times faster          memory")
    for row in result["steps"]:
        low, middle, high = row["seconds"].values()
        memory = "" if row["memory_bytes"] is None else f"{row['memory_bytes'] / 2**30:5.2f} GiB"
        print(
            f"{row['name']:<21}{row['precision']:<9}{middle:>11.5f}  ({low:.5f} to {high:.5f})"
            f"{row['images_per_second']:>13.2f}{row['peak_fraction']:>7.1%}"
            f"{times_faster(row):>22}   {memory}"
        )


def times_faster(row: dict[str, Any]) -> str:
    """Return how many times as fast as the plain program a row is, with quartiles."""
    low, middle, high = row["times_faster"].values()
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def arguments() -> argparse.Namespace:
    """Parse the command line, and resolve `auto`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="side of the pictures")
    parser.add_argument("--width", type=int, default=64, help="channels of all four networks (ngf, ndf)")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks of a generator")
    parser.add_argument("--batch", type=int, default=1, help="pairs of pictures in a step")
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    for lever in Levers._fields:
        option = f"--{lever.replace('_', '-')}"
        parser.add_argument(option, action=argparse.BooleanOptionalAction, help="option of our step")
    parser.add_argument("--levers", action="store_true", help="measure a row for each option, each row with one more")
    parser.add_argument("--steps", type=int, default=20, help="number of turns of each program")
    parser.add_argument("--burst", type=int, help="steps in a turn; default: 10 on a GPU, 1 on a CPU")
    parser.add_argument("--warmup", type=int, default=5, help="steps before the first turn")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()

    args.device = choose_device(args.device)
    args.burst = args.burst or (1 if args.device.type == "cpu" else 10)
    return args


if __name__ == "__main__":
    arguments_given = arguments()
    result = measure(arguments_given)
    print_table(result)
    if arguments_given.json:
        arguments_given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
