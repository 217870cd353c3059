"""The speed options of a run: chosen on its first batch, stored in its folder, checked again when numbers diverge."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import TypeAdapter
from torch import Tensor

from cyclegan.machine.compiler import Compile
from cyclegan.machine.device import has_bf16, has_compiler
from cyclegan.machine.levers import PLAIN, Bench, Choice, Levers, choose_levers, offers_for
from cyclegan.machine.memory import is_out_of_memory
from cyclegan.training.graph import Graphed, has_graphs
from cyclegan.training.learner import Learner
from cyclegan.training.speed import by_hand
from cyclegan.types import Batch, Precision
from cyclegan.util.atomic import write_whole
from cyclegan.util.provenance import device_name

SMALLEST_TRIAL = 64
"""Smallest side, in pixels, to which a batch is cropped when plain float32 does not fit into memory."""

SETTLING = 16
"""Number of fp16 probes in which the loss scale falls from 65536 to where no gradient overflows."""

LOOK = "check the pictures named above, then try a lower training.lr, or a training.grad_clip of 1"
"""The advice when no speed option is the cause."""

SWITCH = (False, True)
EVERY = [Levers(*each) for each in itertools.product(get_args(Precision), SWITCH, get_args(Compile), SWITCH)]
"""Every combination, so that processes can exchange a choice as its index."""


def tune(learner: Learner, pixels: Batch, steps: int, run: Path, *, sizes: int = 1) -> str:
    """Choose and apply the speed options that are correct and fastest for `steps` steps; returns a line about them.

    `pixels` is the first batch, `Pixels` (N, C, H, W), and `sizes` how many sizes batches have. If there are several,
    neither compilation nor graphs are tried, because each size would take a minute or memory.
    The first process chooses for all. The others, which may run on other machines, check the choice; if it is wrong in
    one of them, only the options of the recipe are used. The choice is stored in `run`, so that a resumed run computes
    with the same arithmetic on this machine. Options set by hand are kept. If all are set, or with
    `speed.deterministic`, nothing is timed.
    """
    machine, by_recipe = _machine(learner, sizes), learner.levers
    choice = _kept(run, machine)
    with learner.at_rest():
        if choice is None:
            choice = _chosen(learner, pixels, steps, sizes) if learner.processes.first else Choice(PLAIN, "")
        levers = EVERY[learner.processes.largest(EVERY.index(choice.levers) if learner.processes.first else 0)]
        doubted = levers != by_recipe and not learner.processes.first and _is_wrong(learner, pixels, levers)
        if learner.processes.largest(int(doubted)):
            told = f"speed: {by_recipe.options()} (chosen, but wrong in another process: {levers.options()})"
            levers, choice = by_recipe, Choice(by_recipe, told)
    learner.use(levers)
    if learner.processes.first:
        kept = {"machine": machine, "levers": levers._asdict(), "told": choice.told}
        write_whole(run / "levers.json", json.dumps(kept, indent=1).encode())
    return choice.told


def blame(learner: Learner, pixels: Batch) -> str:
    """Compute a batch again in plain float32; returns why its numbers are not finite and what to do, in one line."""
    levers = learner.levers
    try:
        with learner.at_rest(), bench_of(learner, pixels) as bench:
            bench.use(PLAIN)
            finite = all(bool(value.isfinite().all()) for value in bench.probe().values())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"not compared with plain float32, which does not fit into memory: {LOOK}"
    learner.use(levers)
    if finite and levers != PLAIN:
        return f"plain float32 gives finite numbers for the same pictures: continue with --resume {PLAIN.options()}"
    if not all(parameter.isfinite().all() for parameter in learner.method.parameters()):
        return "the weights are not finite: start from an earlier checkpoint"
    return f"plain float32 gives non-finite numbers too: {LOOK}"


def _chosen(learner: Learner, pixels: Batch, steps: int, sizes: int) -> Choice:
    """Choose the speed options of one process by trying them."""
    choice = _tried(learner, pixels, steps, one_size=sizes == 1)
    if sizes == 1:
        return choice
    asked = learner.recipe.speed
    off = [name for name in ("compile", "graph") if getattr(asked, name) == "auto"]
    why = f"{' and '.join(off)} not tried: pictures have {sizes:,} sizes"
    return choice._replace(told=f"{choice.told} ({why})") if off else choice


def _tried(learner: Learner, pixels: Batch, steps: int, *, one_size: bool) -> Choice:
    speed, start = learner.recipe.speed, learner.levers
    compiles = has_compiler(learner.device)
    if start.compile != "off" and not compiles:
        start = start._replace(compile="off")
    offers = [] if speed.deterministic else offers_for(learner.device, by_hand(speed), bf16=has_bf16(learner.device))
    able = {
        "compile": compiles and one_size,
        "simd256": compiles and one_size,
        "graph": has_graphs(speed, learner.device, learner.processes.count) and one_size,
    }
    offers = [offer for offer in offers if able.get(offer.name, True)]
    if start == PLAIN and not offers:
        return Choice(start, f"speed: {start.options()}")
    while True:
        try:
            with bench_of(learner, pixels) as bench:
                return choose_levers(bench, start, offers, steps)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if min(pixels.a.shape[2:]) < 2 * SMALLEST_TRIAL:  # options set by hand may need less memory
                return Choice(start, f"speed: {start.options()} (not checked: plain float32 does not fit into memory)")
            pixels = Batch(*(domain[..., : domain.shape[2] // 2, : domain.shape[3] // 2] for domain in pixels))


def _is_wrong(learner: Learner, pixels: Batch, levers: Levers) -> bool:
    """Return whether options that another process chose give results here that differ from plain float32."""
    with bench_of(learner, pixels) as bench:
        return bool(choose_levers(bench, levers, [], steps=0).wrong)


@contextmanager
def bench_of(learner: Learner, pixels: Batch) -> Iterator[Bench]:
    """Yield a bench that tries options on a batch, for a learner within `at_rest`; a graph records the probe itself."""
    pixels = Batch(*(domain.to(learner.device) for domain in pixels))
    play: Graphed[dict[str, Tensor]] | Callable[[Batch], dict[str, Tensor]] = learner.probe
    settled: set[Levers] = set()

    def release() -> None:
        if isinstance(play, Graphed):
            play.release()  # another layout moves the weights, and the graph would still read the old ones

    def use(levers: Levers) -> None:
        nonlocal play
        release()
        learner.use(levers)
        play = Graphed(learner.probe, learner.method.pools) if levers.graph else learner.probe
        while isinstance(play, Graphed) and not play.recorded:
            probe()
            if play.failed:
                raise RuntimeError(play.failed)
        if levers.precision == "fp16" and levers not in settled:
            settled.add(levers)
            for _ in range(SETTLING):
                probe()

    def probe() -> Mapping[str, Tensor]:
        torch.manual_seed(learner.recipe.training.seed)
        return play(pixels)

    wait = torch.cuda.synchronize if learner.device.type == "cuda" else lambda: None
    try:
        yield Bench(use, probe, wait)
    finally:
        release()


def _machine(learner: Learner, sizes: int) -> dict[str, Any]:
    """Return everything that the choice of speed options depends on."""
    recipe, data = learner.recipe, learner.recipe.data
    shapes = [data.fit, data.size, sizes] if data.transforms is None else list(data.transforms)
    asked = [asdict(recipe.speed), recipe.to_dict()["method"], recipe.training.batch_size, shapes]
    return {
        "device": device_name(learner.device),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "recipe": hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16],
    }


def _kept(run: Path, machine: Mapping[str, Any]) -> Choice | None:
    """Return what the run chose earlier for this machine and recipe; None if the file is unreadable or for another."""
    try:
        kept = json.loads((run / "levers.json").read_text(encoding="utf-8"))
        if kept["machine"] != machine:
            return None
        levers = TypeAdapter(Levers).validate_python(kept["levers"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Choice(levers, f"speed: {levers.options()} (chosen earlier by this run on this machine)")
