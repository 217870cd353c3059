"""The levers of a run: chosen on its first batch, kept in its folder, and looked at again when numbers go wrong."""

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

from cyclegan.machine.device import has_bf16, has_compiler
from cyclegan.machine.levers import PLAIN, Bench, Choice, Compile, Levers, choose_levers, offers_for
from cyclegan.machine.memory import is_out_of_memory
from cyclegan.training.graph import Graphed, has_graphs
from cyclegan.training.learner import Game
from cyclegan.training.speed import by_hand
from cyclegan.types import Batch, Precision
from cyclegan.util.atomic import write_whole
from cyclegan.util.provenance import device_name

SMALLEST_TRIAL = 64
"""Pixels of a side: a batch that does not fit into memory as plain float32 needs it is cut in half down to this."""

SETTLING = 16
"""Probes in fp16 in which the scale of the loss falls from 65536 to where no gradient overflows."""

LOOK = "look at the pictures named above, then try a lower training.rate, or a training.clip of 1"
"""What is left to try when no lever is to blame."""

SWITCH = (False, True)
EVERY = [Levers(*each) for each in itertools.product(get_args(Precision), SWITCH, get_args(Compile), SWITCH)]
"""Every combination, so that processes can tell each other theirs by its number."""


def tune(game: Game, pixels: Batch, steps: int, run: Path) -> str:
    """Let a game run by the levers that are right and fast here, for so many steps; returns one line that tells them.

    `pixels` is the first batch, uint8 (N, 3, H, W). The first process chooses for all, and the others, which may be on
    other machines, check it: where it is wrong in one of them, nobody uses it. The choice is kept in `run`, so that the
    run goes on by the same arithmetic on this machine. Levers set by hand stay. Where all are, or with
    `speed.deterministic`, nothing is timed.
    """
    machine, by_recipe = _machine(game), game.levers
    choice = _kept(run, machine)
    with game.at_rest():
        if choice is None:
            choice = _chosen(game, pixels, steps) if game.processes.first else Choice(PLAIN, "")
        levers = EVERY[game.processes.largest(EVERY.index(choice.levers) if game.processes.first else 0)]
        doubted = levers != by_recipe and not game.processes.first and _is_wrong(game, pixels, levers)
        if game.processes.largest(int(doubted)):
            told = f"levers: {by_recipe.options()} (those chosen, {levers.options()}, are wrong in another process)"
            levers, choice = by_recipe, Choice(by_recipe, told)
    game.pull(levers)
    if game.processes.first:
        kept = {"machine": machine, "levers": levers._asdict(), "told": choice.told}
        write_whole(run / "levers.json", json.dumps(kept, indent=1).encode())
    return choice.told


def blame(game: Game, pixels: Batch) -> str:
    """Why the numbers of a batch are not finite, and what helps, as far as a plain step on the same pictures tells."""
    levers = game.levers
    try:
        with game.at_rest(), bench_of(game, pixels) as bench:
            bench.pull(PLAIN)
            finite = all(bool(value.isfinite().all()) for value in bench.probe().values())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"plain float32, which would tell why, does not fit into memory here: {LOOK}"
    game.pull(levers)
    if finite and levers != PLAIN:
        return f"the same pictures give finite numbers with plain float32: go on with --resume {PLAIN.options()}"
    if not all(parameter.isfinite().all() for parameter in game.method.parameters()):
        return "the weights themselves are not finite: start from an earlier checkpoint"
    return f"plain float32 gives the same: {LOOK}"


def _chosen(game: Game, pixels: Batch, steps: int) -> Choice:
    """The levers of one process, by trial."""
    speed, start = game.recipe.speed, game.levers
    compiles = has_compiler(game.device)
    if start.compile != "off" and not compiles:
        start = start._replace(compile="off")
    offers = [] if speed.deterministic else offers_for(game.device, by_hand(speed), bf16=has_bf16(game.device))
    able = {"compile": compiles, "simd256": compiles, "graph": has_graphs(speed, game.device, game.processes.count)}
    offers = [offer for offer in offers if able.get(offer.name, True)]
    if start == PLAIN and not offers:
        return Choice(start, f"levers: {start.options()}")
    while True:
        try:
            with bench_of(game, pixels) as bench:
                return choose_levers(bench, start, offers, steps)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if min(pixels.a.shape[2:]) < 2 * SMALLEST_TRIAL:  # what was set by hand may need less
                return Choice(start, f"levers: {start.options()} (not checked: plain float32 does not fit into memory)")
            pixels = Batch(*(domain[..., : domain.shape[2] // 2, : domain.shape[3] // 2] for domain in pixels))


def _is_wrong(game: Game, pixels: Batch, levers: Levers) -> bool:
    """Whether levers that another process chose do not compute here what plain float32 does."""
    with bench_of(game, pixels) as bench:
        return bool(choose_levers(bench, levers, [], steps=0).wrong)


@contextmanager
def bench_of(game: Game, pixels: Batch) -> Iterator[Bench]:
    """A batch on which a game at rest is tried; a graph is recorded of the trial itself."""
    pixels = Batch(*(domain.to(game.device) for domain in pixels))
    play: Graphed[dict[str, Tensor]] | Callable[[Batch], dict[str, Tensor]] = game.probe
    settled: set[Levers] = set()

    def release() -> None:
        if isinstance(play, Graphed):
            play.release()  # another layout puts the weights elsewhere, and its graph would not follow

    def pull(levers: Levers) -> None:
        nonlocal play
        release()
        game.pull(levers)
        play = Graphed(game.probe, game.method.pools) if levers.graph else game.probe
        while isinstance(play, Graphed) and not play.recorded:
            probe()
            if play.failed:
                raise RuntimeError(play.failed)
        if levers.precision == "fp16" and levers not in settled:
            settled.add(levers)
            for _ in range(SETTLING):
                probe()

    def probe() -> Mapping[str, Tensor]:
        torch.manual_seed(game.recipe.training.seed)
        return play(pixels)

    wait = torch.cuda.synchronize if game.device.type == "cuda" else lambda: None
    try:
        yield Bench(pull, probe, wait)
    finally:
        release()


def _machine(game: Game) -> dict[str, Any]:
    """All that the choice of levers depends on."""
    recipe = game.recipe
    asked = [asdict(recipe.speed), asdict(recipe.method), recipe.training.batch, list(recipe.data.transforms)]
    return {
        "device": device_name(game.device),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "recipe": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16],
    }


def _kept(run: Path, machine: Mapping[str, Any]) -> Choice | None:
    """What the run chose before on this machine for this recipe; None where it is damaged or of another one."""
    try:
        kept = json.loads((run / "levers.json").read_text(encoding="utf-8"))
        if kept["machine"] != machine:
            return None
        levers = TypeAdapter(Levers).validate_python(kept["levers"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Choice(levers, f"levers: {levers.options()} (as this run chose before on this machine)")
