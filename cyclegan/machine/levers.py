"""Levers, the settings that make networks faster without changing their results: check, measure and choose them."""

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
"""Smallest speed-up at which a lever is used. A smaller one may be noise, and each lever adds a risk."""

HOPE = 0.25
"""Assumed share of the remaining time that a lever saves; it is tried if that is more than the trial takes."""

COMPILING = 90.0
"""Assumed seconds of compilation; on two cores it takes 45 for small networks and 120 for those of the reference."""

BURST = 0.3
"""Seconds of work in one measurement, long enough for the resolution of the clock."""

FAILS = "does not run here"

TURNS = 3
"""Measurements of a lever, which alternate with those of the levers chosen before it."""

FAR = 2.0
"""Speed-up or slow-down after which one measurement of each is enough."""


OPTIONS = ("precision", "channels_last", "compile", "graph")
"""The levers that are options of the command line and, in `speed`, of a recipe."""


class Levers(NamedTuple):
    """How networks are run. The defaults are plain: eager float32."""

    precision: Precision = "float32"
    channels_last: bool = False
    compile: Compile = "off"
    graph: bool = False
    parallel: bool = False
    """Whether each thread of a CPU computes a picture of its own; in translation only, and chosen by the program."""

    def options(self, prefix: str = "--speed.") -> str:
        """Return the command-line options that set these levers, for `train`, or with prefix `--` for `translate`."""
        words = {name: {True: "on", False: "off"}.get(value, value) for name, value in self._asdict().items()}
        return " ".join(f"{prefix}{name} {words[name]}" for name in OPTIONS if name != "graph" or prefix != "--")


PLAIN = Levers()
"""Plain float32, the reference that every lever is checked against."""


class Bench(NamedTuple):
    """What levers are tried on: networks and a batch."""

    use: Callable[[Levers], object]
    """Sets the levers of the networks."""
    probe: Callable[[], Results]
    """Runs the networks on the batch and returns the results; it does the same work each time and trains nothing."""
    wait: Callable[[], object] = lambda: None
    """Waits until the device has finished."""
    tolerances: Mapping[Precision, Tolerance] = TOLERANCES
    prefix: str = "--speed."
    """The prefix of the command-line options that set levers."""
    clock: Callable[[], float] = time.perf_counter
    """Returns seconds."""


class Trial(NamedTuple):
    """The trial of one lever and its outcome."""

    levers: Levers
    """The lever together with those chosen before it."""
    name: str
    problem: str = ""
    """Why the lever must not be used; empty if its results agree with plain float32."""
    times: float = 0.0
    """The speed-up over the levers chosen before it; 0 if it was not measured."""

    @property
    def joins(self) -> bool:
        """Whether the lever is correct and fast enough to be used."""
        return not self.problem and self.times >= FASTER

    def __str__(self) -> str:
        """One lever in words."""
        return f"{self.name} {self.problem or f'{self.times:.2f}x'}"


class Choice(NamedTuple):
    """The chosen levers and the trials behind the choice."""

    levers: Levers
    told: str
    """One line about the choice, for the user."""
    trials: tuple[Trial, ...] = ()
    wrong: str = ""
    """Why levers that the user set should not be used; empty if they are correct."""


class Offer(NamedTuple):
    """One lever to try."""

    name: str
    change: dict[str, Any]
    """The fields of `Levers` that it sets, and their values."""
    seconds: float = 0.0
    """Seconds that it needs once, before its first batch."""
    only_after: str = ""
    """The name of another lever: this one is tried only if that one was tried and failed."""


def offers_for(device: torch.device, given: Mapping[str, object], *, bf16: bool) -> list[Offer]:
    """Return the levers to try on a device, in order, except for the fields that the user set (`given`).

    `bf16` says whether the device has bf16 in hardware. A CPU without it is very slow in bf16 and fp16.
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
        # Code with 512-bit vectors from g++ can be wrong where that with 256-bit vectors is right.
        offers += [] if on_cuda else [Offer("simd256", {"compile": "simd256"}, COMPILING, only_after="compile")]
    if "graph" not in given and on_cuda:
        offers += [Offer("graph", {"graph": True})]
    return offers


def choose_levers(bench: Bench, start: Levers, offers: Sequence[Offer], steps: float) -> Choice:
    """Try levers one after another in addition to `start`, and keep those that are correct and faster.

    A lever that raises an error, disagrees with plain float32, or is not faster is dropped and reported. A lever whose
    trial would take longer than it may save in the remaining `steps` is not tried. `start` holds the levers that the
    user set: they are used even if they disagree, which is reported; if they do not run, compiler and graph are off.
    """
    bench.use(PLAIN)
    begin = bench.clock()
    reference = {name: value.clone() for name, value in bench.probe().items()}
    bench.wait()
    pace = bench.clock() - begin  # an upper bound, because the first probe is slow
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
    """Return whether a lever may save more time in `steps` steps of `pace` seconds than its trial takes."""
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
    """Return why these levers must not be used, in a few words; empty if their results agree with plain float32."""
    silent = logging.root.manager.disable
    logging.disable()  # a failing compiler logs pages; this function returns one line
    try:
        bench.use(levers)
        return disagreement(bench.probe(), reference, bench.tolerances[levers.precision])
    except Exception as error:  # compilers, drivers and kernels raise almost anything
        return f"{FAILS} ({first_line(error)})"
    finally:
        logging.disable(silent)


def _times_as_fast(bench: Bench, levers: Levers, than: Levers) -> float:
    """Return the speed-up, from the fastest probe of each in several turns, which other programs disturbed least."""
    one, two = math.inf, math.inf
    for _ in range(TURNS):
        one, two = min(one, _seconds(bench, than)), min(two, _seconds(bench, levers))
        if not 1 / FAR < one / two < FAR:
            break
    return one / two


def _seconds(bench: Bench, levers: Levers) -> float:
    """Return the seconds of the fastest probe in a burst with these levers, which must have run before."""
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
