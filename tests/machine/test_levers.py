"""Levers are checked, then measured, then chosen: none that is wrong, NaN, slow or broken is ever used."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan.machine.device import Arithmetic
from cyclegan.machine.levers import OPTIONS, PLAIN, Bench, Levers, Offer, choose_levers, offers_for

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FOREVER = 10**9
BF16, LAST = Offer("bf16", {"precision": "bf16"}), Offer("channels_last", {"channels_last": True})
COMPILE, SIMD = Offer("compile", {"compile": "on"}, 90.0), Offer("simd256", {"compile": "simd256"}, 90.0, "compile")
RIGHT = {"gan_a": torch.tensor(0.5), "a_to_b.weight": torch.tensor([3.0, 4.0])}


class FakeMachine:
    """A bench with a fake clock: the levers in use determine the seconds of a step and its results."""

    def __init__(self, seconds: Callable[[Levers], float], results: Callable[[Levers], dict[str, Tensor]]) -> None:
        self.seconds, self.results, self.now, self.levers = seconds, results, 0.0, PLAIN
        self.pulled: list[Levers] = []

    def pull(self, levers: Levers) -> None:
        self.levers = levers
        self.pulled.append(levers)

    def probe(self) -> dict[str, Tensor]:
        self.now += self.seconds(self.levers)
        return self.results(self.levers)

    @property
    def bench(self) -> Bench:
        return Bench(self.pull, self.probe, clock=lambda: self.now)


def faster(**times: float) -> Callable[[Levers], float]:
    """Return a function from levers to the seconds of a step, given the speed-up of each lever."""

    def seconds(levers: Levers) -> float:
        used = {"bf16": levers.precision == "bf16", "last": levers.channels_last, "compile": levers.compile != "off"}
        took = 1.0
        for name, value in times.items():
            took /= value if used[name] else 1.0
        return took

    return seconds


def right(levers: Levers) -> dict[str, Tensor]:
    return RIGHT


def test_what_is_right_and_faster_joins() -> None:
    machine = FakeMachine(faster(bf16=2.0, last=1.5, compile=1.2), right)
    choice = choose_levers(machine.bench, PLAIN, [BF16, LAST, COMPILE], FOREVER)
    assert choice.levers == machine.levers == Levers("bf16", True, "on")
    assert choice.told.startswith(
        "speed: --speed.precision bf16 --speed.channels_last on --speed.compile on --speed.graph off "
        "(3.60x as fast as plain float32; tried: bf16 2.00x, "
    )


def test_what_is_slower_is_dropped_and_told() -> None:
    machine = FakeMachine(faster(bf16=0.5, last=1.25), right)
    choice = choose_levers(machine.bench, PLAIN, [BF16, LAST], FOREVER)
    assert choice.levers == Levers(channels_last=True)
    assert "bf16 0.50x, channels_last 1.25x" in choice.told


def test_a_lever_that_makes_no_difference_is_dropped() -> None:
    assert choose_levers(FakeMachine(faster(last=1.01), right).bench, PLAIN, [LAST], FOREVER).levers == PLAIN


@pytest.mark.parametrize("value, told", [(float("nan"), "a_to_b.weight is not finite"), (0.0, "a_to_b.weight is off")])
def test_what_is_wrong_is_dropped_however_fast(value: float, told: str) -> None:
    def results(levers: Levers) -> dict[str, Tensor]:
        return RIGHT if levers.compile == "off" else RIGHT | {"a_to_b.weight": torch.full((2,), value)}

    choice = choose_levers(FakeMachine(faster(compile=10), results).bench, PLAIN, [COMPILE], FOREVER)
    assert choice.levers == PLAIN and told in choice.told


def test_narrow_vectors_are_tried_where_wide_ones_are_wrong() -> None:
    def results(levers: Levers) -> dict[str, Tensor]:
        return RIGHT if levers.compile != "on" else RIGHT | {"gan_a": torch.tensor(float("nan"))}

    choice = choose_levers(FakeMachine(faster(compile=2), results).bench, PLAIN, [COMPILE, SIMD], FOREVER)
    assert choice.levers == Levers(compile="simd256")
    choice = choose_levers(FakeMachine(faster(compile=2), right).bench, PLAIN, [COMPILE, SIMD], FOREVER)
    assert choice.levers == Levers(compile="on") and "simd256" not in choice.told


def test_what_raises_is_dropped_and_the_rest_is_tried() -> None:
    def results(levers: Levers) -> dict[str, Tensor]:
        if levers.precision == "bf16":
            raise RuntimeError("no kernel for bf16\nand pages more")
        return RIGHT

    choice = choose_levers(FakeMachine(faster(bf16=2, last=2), results).bench, PLAIN, [BF16, LAST], FOREVER)
    assert choice.levers == Levers(channels_last=True)
    assert "bf16 does not run here (no kernel for bf16)" in choice.told and "pages" not in choice.told


def test_a_short_run_tries_nothing_and_says_so() -> None:
    machine = FakeMachine(faster(bf16=2.0), right)
    choice = choose_levers(machine.bench, PLAIN, [BF16, COMPILE], steps=20)
    assert choice.levers == PLAIN and set(machine.pulled) == {PLAIN}
    assert "not tried, the run is too short to benefit: bf16, compile" in choice.told


def test_compiling_asks_for_more_steps_than_what_costs_nothing() -> None:
    choice = choose_levers(FakeMachine(faster(bf16=2.0), right).bench, PLAIN, [BF16, COMPILE], steps=200)
    assert choice.levers == Levers("bf16") and choice.told.endswith("to benefit: compile)")


def test_levers_set_by_hand_are_obeyed_and_a_wrong_one_is_told() -> None:
    def results(levers: Levers) -> dict[str, Tensor]:
        return RIGHT if levers.precision == "float32" else {name: value * 9 for name, value in RIGHT.items()}

    choice = choose_levers(FakeMachine(faster(bf16=0.5), results).bench, Levers("bf16"), [], FOREVER)
    assert choice.levers == Levers("bf16")
    assert "WARNING for the options set by hand: gan_a is off by 800%" in choice.told


def test_a_compiler_asked_for_that_does_not_run_is_left_out() -> None:
    def results(levers: Levers) -> dict[str, Tensor]:
        if levers.compile != "off":
            raise RuntimeError("Python.h: no such file")
        return RIGHT

    choice = choose_levers(FakeMachine(faster(), results).bench, Levers("bf16", compile="on"), [], FOREVER)
    assert choice.levers == Levers("bf16")
    assert "WARNING for the options set by hand: does not run here (Python.h: no such file)" in choice.told


@pytest.mark.parametrize(
    "device, bf16, names",
    [
        (CPU, True, ["bf16", "channels_last", "compile", "simd256"]),
        (CPU, False, ["channels_last", "compile", "simd256"]),
        (CUDA, True, ["tf32", "bf16", "channels_last", "compile", "graph"]),
        (CUDA, False, ["tf32", "fp16", "channels_last", "compile", "graph"]),
    ],
)
def test_what_is_tried_depends_on_the_device(device: torch.device, bf16: bool, names: list[str]) -> None:
    assert [offer.name for offer in offers_for(device, {}, bf16=bf16)] == names
    by_hand = dict.fromkeys(OPTIONS)
    assert offers_for(device, by_hand, bf16=bf16) == []


def test_float32_on_cuda_is_float32_and_the_flags_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def flags() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = flags()
    exact, short = Arithmetic.__new__(Arithmetic), Arithmetic.__new__(Arithmetic)
    for arithmetic, tf32 in ((exact, False), (short, True)):
        arithmetic._autocast, arithmetic._before = torch.autocast("cpu", enabled=False), []
        arithmetic._tf32 = tf32
        with arithmetic, arithmetic:
            assert flags() == (tf32, tf32)
        assert flags() == before


def test_tf32_is_for_cuda() -> None:
    with pytest.raises(ValueError, match=r"speed\.precision: tf32 needs cuda, but the device is cpu; use auto"):
        Arithmetic(CPU, "tf32")
