"""Check and time every combination of speed options on the networks of a recipe.

    python experiments/benchmarks/levers.py experiments/horse2zebra.yaml --size 256

Each row is one combination. Its losses and gradients (with --translate, the pictures of a generator) are checked
against plain eager float32, and it is timed in turns with the program in `plain.py`, which is independent of our code.
`trainer` marks the combination that a long run would choose.
"""

from __future__ import annotations

import argparse
import itertools
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from plain import plain, plain_generator
from torch import Tensor

from cyclegan.inference.engines.torch_engine import TOLERANCES as OF_PICTURES
from cyclegan.inference.translator import Translator
from cyclegan.machine.agreement import disagreement
from cyclegan.machine.device import choose_device, has_bf16, has_compiler
from cyclegan.machine.levers import PLAIN, Bench, Levers, choose_levers, offers_for
from cyclegan.networks.config import ResnetConfig
from cyclegan.recipe import Recipe, read_recipe
from cyclegan.training.learner import Learner
from cyclegan.training.tuning import bench_of
from cyclegan.types import Batch
from cyclegan.util.provenance import device_name

FOREVER = 10.0**9


class Row(NamedTuple):
    """The results of one combination."""

    levers: Levers
    agrees: str
    """How it differs from plain float32; empty if it agrees."""
    seconds: float
    times: float
    """How many times as fast as the plain program it is, the median over turns."""


def combinations(device: torch.device, *, graphs: bool) -> list[Levers]:
    """Return all combinations that the device may support; fp16 on a CPU is left out, because it takes minutes."""
    on_cuda = device.type == "cuda"
    precisions = ["float32", *(["tf32", "fp16"] if on_cuda else []), *(["bf16"] if has_bf16(device) else [])]
    compiling = ["off", *(["on"] if has_compiler(device) else []), *(["simd256"] if not on_cuda else [])]
    switch = (False, True)
    # Changing the compile option discards what was compiled, so all rows with one such option are measured together.
    ordered = itertools.product(compiling, precisions, switch, switch if graphs else (False,))
    return [Levers(precision, last, how, graph) for how, precision, last, graph in ordered]  # type: ignore[arg-type]


def seconds(work: Callable[[], object], wait: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    wait()
    begin = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begin


def rows(bench: Bench, reference: Callable[[], object], candidates: list[Levers], turns: int) -> list[Row]:
    """Check every combination, and time it in turns with the reference program."""
    bench.use(PLAIN)
    expected = {name: value.clone() for name, value in bench.probe().items()}
    reference()
    measured = []
    for levers in candidates:
        try:
            bench.use(levers)
            wrong = disagreement(bench.probe(), expected, bench.tolerances[levers.precision])
            bench.probe()
            pairs = [(seconds(reference, bench.wait), seconds(bench.probe, bench.wait)) for _ in range(turns)]
        except Exception as error:  # compilers and drivers raise nearly anything
            measured.append(Row(levers, str(error).partition("\n")[0][:60], math.nan, math.nan))
            continue
        ours, ratio = (statistics.median(v) for v in ([o for _, o in pairs], [p / o for p, o in pairs]))
        measured.append(Row(levers, wrong, ours, ratio))
        print(".", end="", flush=True)
    return measured


Trial: TypeAlias = tuple[Bench, Callable[[], object]]
"""What is measured, and the plain program that it is compared with."""


@contextmanager
def training(recipe: Recipe, args: argparse.Namespace) -> Iterator[Trial]:
    """Yield our step without the weight update, which no option affects, and a whole step of the plain program."""
    learner = Learner(recipe, args.device, epoch=1000)
    shape = (recipe.training.batch_size, 3, args.size, args.size)
    pixels = Batch(*(torch.randint(0, 256, shape, dtype=torch.uint8) for _ in "ab"))
    generator = recipe.method.generator
    assert isinstance(generator, ResnetConfig)
    step = plain(generator.width, generator.blocks, args.device)
    a, b = (domain.to(args.device).float() / 127.5 - 1 for domain in pixels)
    with learner.at_rest(), bench_of(learner, pixels) as bench:
        yield bench, lambda: step(a, b)


@contextmanager
def translating(recipe: Recipe, args: argparse.Namespace) -> Iterator[Trial]:
    """Yield the translation of a picture by our generator with random weights, and by the plain one."""
    config = recipe.method.generator
    assert isinstance(config, ResnetConfig)
    torch.manual_seed(0)
    translator = Translator(config.build(), device=args.device.type, compile_="on")
    picture = torch.rand(1, 3, args.size, args.size, device=args.device) * 2 - 1
    other = plain_generator(config.width, config.blocks).to(args.device).eval()

    @torch.inference_mode()
    def reference() -> Tensor:
        translated: Tensor = other(picture)
        return translated

    wait = torch.cuda.synchronize if args.device.type == "cuda" else lambda: None
    run = lambda: {"the picture": translator.torch.run(picture)}  # noqa: E731
    yield Bench(translator.torch.use, run, wait, OF_PICTURES), reference


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", type=Path, nargs="?", help="YAML file; default: the reference CycleGAN")
    parser.add_argument("--size", type=int, default=256, help="side of the pictures")
    parser.add_argument("--turns", type=int, default=5, help="timings of each row")
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    parser.add_argument(
        "--translate", action="store_true", help="measure a generator's translation instead of a training step"
    )
    args = parser.parse_args()
    args.device = choose_device(args.device)
    recipe = read_recipe(args.recipe) if args.recipe else Recipe()

    graphs = args.device.type == "cuda" and not args.translate
    offers = offers_for(args.device, {} if graphs else {"graph": ""}, bf16=has_bf16(args.device))
    with (translating if args.translate else training)(recipe, args) as (bench, reference):
        found = rows(bench, reference, combinations(args.device, graphs=graphs), args.turns)
        chosen = choose_levers(bench, PLAIN, offers, FOREVER)
    here = f"{device_name(args.device)}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    print(f"\n{here}, {torch.get_num_threads()} threads, torch {torch.__version__}\n{chosen.told}\n")
    heads = ["precision", "channels_last", "compile", "graph", "ms", "times plain", "right?", ""]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for row in found:
        cells = [str(value) for value in row.levers] + [f"{1000 * row.seconds:.1f}", f"{row.times:.2f}"]
        print("| " + " | ".join([*cells, row.agrees or "yes", "trainer" if row.levers == chosen.levers else ""]) + " |")


if __name__ == "__main__":
    main()
