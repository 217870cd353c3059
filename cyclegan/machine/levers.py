"""Levers: what makes networks fast and must not change what they compute; checked, then measured, then chosen."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from cyclegan.machine.agreement import TOLERANCES, Results, Tolerance, disagreement
from cyclegan.machine.compiler import Compile
from cyclegan.machine.device import first_line
from cyclegan.types import Precision

FASTER = 1.03
"""How many times as fast a lever must be to join; what is nearer to 1 is noise, and each lever is one more risk."""

HOPE = 0.25
"""Share of the time left that a lever may save: it is tried where that is more than what trying it costs."""

COMPILING = 90.0
"""Seconds that compiling takes on two cores: 45 for small networks, 120 for the reference's."""

BURST = 0.3
"""Seconds of work that are timed at once, so that small networks are not timed by the clock's grain."""

FAILS = "does not run here"

TURNS = 3
"""Times that a lever and what was chosen before it are timed in turns; once is enough where they are far apart."""

FAR = 2.0
"""Times as fast, or as slow, at which no second turn is needed."""


class Levers(NamedTuple):
    """How networks are run. The defaults are plain: eager float32."""

    precision: Precision = "float32"
    channels_last: bool = False
    compile: Compile = "off"
    graph: bool = False

    def options(self, prefix: str = "--speed.") -> str:
        """What to write on the command line to get them: of `train`, or with the prefix `--` of `translate`."""
        words = {name: {True: "on", False: "off"}.get(value, value) for name, value in self._asdict().items()}
        return " ".join(f"{prefix}{name} {word}" for name, word in words.items() if name != "graph" or prefix != "--")


PLAIN = Levers()


class Bench(NamedTuple):
    """Networks and a batch on which levers are tried."""

    use: Callable[[Levers], object]
    """Let the networks run so from now on."""
    probe: Callable[[], Results]
    """What they compute of the batch; the same work each time, and nothing is learned."""
    wait: Callable[[], object] = lambda: None
    """Until the device has done what it was told."""
    tolerances: Mapping[Precision, Tolerance] = TOLERANCES
    prefix: str = "--speed."
    """Of the options that ask for levers."""
    clock: Callable[[], float] = time.perf_counter


class Trial(NamedTuple):
    """What became of one lever."""

    levers: Levers
    """With it, beside what was chosen before it."""
    name: str
    problem: str = ""
    """Why it must not be used; empty where it computes what plain float32 does."""
    times: float = 0.0
    """How many times as fast as without it; 0 where it was not timed."""

    @property
    def joins(self) -> bool:
        """Whether it is right and pays."""
        return not self.problem and self.times >= FASTER

    def __str__(self) -> str:
        """One lever in words."""
        return f"{self.name} {self.problem or f'{self.times:.2f}x'}"


class Choice(NamedTuple):
    """The levers to use, and how they were found."""

    levers: Levers
    told: str
    """One line for the person."""
    trials: tuple[Trial, ...] = ()
    wrong: str = ""
    """Why what was set by hand should not be used."""


class Offer(NamedTuple):
    """One lever to try."""

    name: str
    change: dict[str, Any]
    """Fields of `Levers`."""
    seconds: float = 0.0
    """That it takes once, before the first batch is done."""
    only_after: str = ""
    """The name of another that must have been tried and found wrong."""


def offers_for(device: torch.device, given: Mapping[str, object], *, bf16: bool) -> list[Offer]:
    """What there is to try on a device, in this order; a field that is `given` by hand is left alone.

    `bf16` says whether the device has it in hardware; where it has not, a CPU takes forever for either short type.
    """
    on_cuda = device.type == "cuda"
    offers = []
    if "precision" not in given:
        offers += [Offer("tf32", {"precision": "tf32"})] if on_cuda else []
        offers += [Offer("bf16", {"precision": "bf16"})] if bf16 else []
        offers += [Offer("fp16", {"precision": "fp16"})] if on_cuda and not bf16 else []
    if "channels_last" not in given:
        offers += [Offer("channels_last", {"channels_last": True})]
    if "compile" not in given:
        offers += [Offer("compile", {"compile": "on"}, COMPILING)]
        # What g++ makes of 512-bit vectors may be wrong where 256-bit ones are right.
        offers += [] if on_cuda else [Offer("simd256", {"compile": "simd256"}, COMPILING, only_after="compile")]
    if "graph" not in given and on_cuda:
        offers += [Offer("graph", {"graph": True})]
    return offers


def choose_levers(bench: Bench, start: Levers, offers: Sequence[Offer], steps: float) -> Choice:
    """Try the offers one after another on top of `start`, and keep what is right and faster, for `steps` to come.

    A lever that raises, that gives another result than plain float32, or that does not pay, is dropped and named. One
    whose trial would take longer than it may save is not tried. `start`, set by hand, is obeyed, and checked.
    """
    bench.use(PLAIN)
    begin = bench.clock()
    reference = {name: value.clone() for name, value in bench.probe().items()}
    bench.wait()
    pace = bench.clock() - begin  # at most: it was the first
    wrong = _problem(bench, start, reference) if start != PLAIN else ""
    if wrong.startswith(FAILS):
        start = start._replace(compile="off", graph=False)
        bench.use(start)
        bench.probe()
    if any(may_pay(offer, pace, steps) for offer in offers):
        pace = _seconds(bench, start)
    chosen, before, trials, left_out = start, pace, list[Trial](), list[str]()
    for offer in offers:
        if offer.only_after and not any(trial.name == offer.only_after and trial.problem for trial in trials):
            continue
        if not may_pay(offer, pace, steps):
            left_out.append(offer.name)
            continue
        trials.append(trial := _tried(bench, chosen, offer, reference))
        if trial.joins:
            chosen, pace = trial.levers, pace / trial.times
    bench.use(chosen)
    than = "plain float32" if start == PLAIN else "without tuning"
    told = _told(chosen.options(bench.prefix), trials, left_out, before / pace, than, wrong)
    return Choice(chosen, told, tuple(trials), wrong)


def may_pay(offer: Offer, pace: float, steps: float) -> bool:
    """Whether so many steps, of `pace` seconds each, may save more than trying the lever takes."""
    return steps * pace * HOPE > offer.seconds + (1 + 2 * TURNS) * max(pace, BURST)


def _told(options: str, trials: Sequence[Trial], left_out: Sequence[str], times: float, than: str, wrong: str) -> str:
    """Return what was chosen, and what was rejected and why, in one line."""
    parts = [f"{times:.2f}x as fast as {than}"] if times > 1 else []
    parts += [f"tried: {', '.join(map(str, trials))}"] if trials else []
    parts += [f"not tried, the run is too short to benefit: {', '.join(left_out)}"] if left_out else []
    parts += [f"WARNING for the options set by hand: {wrong}"] if wrong else []
    return f"speed: {options}" + (f" ({'; '.join(parts)})" if parts else "")


def _tried(bench: Bench, chosen: Levers, offer: Offer, reference: Results) -> Trial:
    levers = chosen._replace(**offer.change)
    problem = _problem(bench, levers, reference)
    return Trial(levers, offer.name, problem, 0.0 if problem else _times_as_fast(bench, levers, chosen))


def _problem(bench: Bench, levers: Levers, reference: Results) -> str:
    """Why these levers must not be used, in a few words; empty where they compute what plain float32 does."""
    silent = logging.root.manager.disable
    logging.disable()  # a compiler logs pages about its own mistakes; one line is told here
    try:
        bench.use(levers)
        return disagreement(bench.probe(), reference, bench.tolerances[levers.precision])
    except Exception as error:  # compilers, drivers and kernels raise nearly anything
        return f"{FAILS} ({first_line(error)})"
    finally:
        logging.disable(silent)


def _times_as_fast(bench: Bench, levers: Levers, than: Levers) -> float:
    """By the quickest probe of each in several turns, which other programs disturbed least."""
    one, two = math.inf, math.inf
    for _ in range(TURNS):
        one, two = min(one, _seconds(bench, than)), min(two, _seconds(bench, levers))
        if not 1 / FAR < one / two < FAR:
            break
    return one / two


def _seconds(bench: Bench, levers: Levers) -> float:
    """Of the quickest probe in a burst with these levers, which have run before."""
    bench.use(levers)
    bench.wait()
    begin = bench.clock()
    quickest, now = math.inf, begin
    while now - begin < BURST:
        bench.probe()
        bench.wait()
        before, now = now, bench.clock()
        quickest = min(quickest, now - before)
    return quickest
