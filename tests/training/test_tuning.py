"""A run chooses and keeps the speed options that are correct and fast on its machine; none changes the result."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from cyclegan.machine.agreement import TOLERANCES, disagreement
from cyclegan.machine.device import has_compiler
from cyclegan.machine.levers import PLAIN, Choice, Levers
from cyclegan.recipe import Recipe
from cyclegan.training import tuning
from cyclegan.training.distributed import Processes
from cyclegan.training.learner import Learner
from cyclegan.training.loss_scale import LossScale
from cyclegan.training.nonfinite import Diverged
from cyclegan.training.trainer import Trainer, train
from cyclegan.training.tuning import EVERY, bench_of, tune
from cyclegan.types import Batch, Direction
from tests.tiny import tiny_recipe
from tests.training.test_training import assert_equal, everything

CPU = torch.device("cpu")
AUTO = {"precision": "auto", "channels_last": "auto", "compile": "auto"}
needs_compiler = pytest.mark.skipif(not has_compiler(CPU), reason="needs a C++ compiler")


@pytest.fixture
def learner(recipe: Recipe) -> Learner:
    return Learner(recipe, CPU, epoch=5)


@pytest.fixture
def pixels() -> Batch:
    return Batch(
        *torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    )


def probe(learner: Learner, pixels: Batch, levers: Levers) -> dict[str, Tensor]:
    """Losses and gradients with these options; the weights stay unchanged."""
    with learner.at_rest(), bench_of(learner, pixels) as bench:
        bench.use(levers)
        found = {name: value.clone() for name, value in bench.probe().items()}
        learner.use(PLAIN)
    return found


@pytest.mark.parametrize("levers", [Levers(channels_last=True), Levers("bf16"), Levers("bf16", channels_last=True)])
def test_a_lever_leaves_losses_and_gradients_alone(learner: Learner, pixels: Batch, levers: Levers) -> None:
    plain = probe(learner, pixels, PLAIN)
    assert not disagreement(probe(learner, pixels, levers), plain, TOLERANCES[levers.precision])


COMPILED = [
    pytest.param("on", "aot_eager", id="traced only"),
    pytest.param("on", "inductor", marks=pytest.mark.soak),
    pytest.param("simd256", "inductor", marks=pytest.mark.soak),
]
"""How, and by what; a C++ compiler takes minutes for a step, and each run checks its own, see `agreement.py`."""


@needs_compiler
@pytest.mark.parametrize(("how", "backend"), COMPILED)
def test_compiling_leaves_losses_and_gradients_alone(
    learner: Learner, pixels: Batch, how: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=backend))
    plain = probe(learner, pixels, PLAIN)
    assert not disagreement(probe(learner, pixels, Levers(compile=how)), plain, TOLERANCES["float32"])


def test_probes_are_the_same_whatever_pools_hold(learner: Learner, pixels: Batch) -> None:
    for _ in range(4):
        learner.step(Batch(pixels.b, pixels.a))  # pools are full of other fakes
    with learner.at_rest(), bench_of(learner, pixels) as bench:
        first, second = (dict(bench.probe()) for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_probe_leaves_no_trace(learner: Learner, pixels: Batch) -> None:
    for _ in range(4):
        learner.step(pixels)  # so that there are pools and moments
    before = {name: value.clone() for name, value in learner.method.state_dict().items()}
    optimizers = [optimizer.state_dict()["state"] for optimizer in learner.optimizers]
    saved = [{n: {k: v.clone() for k, v in s.items()} for n, s in state.items()} for state in optimizers]
    for levers in (Levers("bf16", channels_last=True), PLAIN):
        probe(learner, pixels, levers)
    assert_equal(dict(learner.method.state_dict()), before)
    assert_equal([optimizer.state_dict()["state"] for optimizer in learner.optimizers], saved)


def test_switching_the_layout_in_the_middle_changes_no_number(recipe: Recipe, pixels: Batch) -> None:
    """The optimizer's moments follow the weights into the other layout; otherwise they would update other weights."""
    one, two = Learner(recipe, CPU, epoch=5), Learner(recipe, CPU, epoch=5)
    for _ in range(3):
        one.step(pixels)
        two.step(pixels)
        two.use(Levers(channels_last=True))
        two.use(PLAIN)
    assert_equal(dict(two.method.state_dict()), dict(one.method.state_dict()))


def test_what_is_chosen_is_pulled_kept_and_told(
    learner: Learner, pixels: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Levers(channels_last=True)
    monkeypatch.setattr(tuning, "_chosen", lambda *_: Choice(chosen, "speed: chosen"))
    assert tune(learner, pixels, 100, tmp_path) == "speed: chosen"
    assert (
        learner.levers == chosen
        and json.loads((tmp_path / "levers.json").read_text(encoding="utf-8"))["levers"]["channels_last"]
    )
    monkeypatch.setattr(tuning, "_chosen", lambda *_: pytest.fail("chosen again"))
    again = Learner(learner.recipe, CPU, epoch=5)
    assert tune(again, pixels, 100, tmp_path).endswith("(chosen earlier by this run on this machine)")
    assert again.levers == chosen


@pytest.mark.parametrize("change", ["device", "torch", "threads", "instructions", "recipe", "damaged"])
def test_on_another_machine_levers_are_chosen_anew(
    change: str, learner: Learner, pixels: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_chosen", lambda *_: Choice(Levers(channels_last=True), "new"))
    tune(learner, pixels, 100, tmp_path)
    path = tmp_path / "levers.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    if change == "damaged":
        path.write_text('{"machine": ', encoding="utf-8")
    else:
        kept["machine"][change] = "another"
        path.write_text(json.dumps(kept), encoding="utf-8")
    assert tune(learner, pixels, 100, tmp_path) == "new"


def test_a_run_on_auto_resumes_bit_for_bit(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_chosen", lambda *_: Choice(Levers("bf16", channels_last=True), "chosen"))
    recipe = tiny_recipe(data, speed=AUTO)
    train(recipe, tmp_path / "whole")
    train(tiny_recipe(data, speed=AUTO, training={"lr_schedule": {"decay": "0 images"}}), tmp_path / "parts")
    monkeypatch.setattr(tuning, "_chosen", lambda *_: Choice(PLAIN, "another timing"))
    train(recipe, tmp_path / "parts", resume=True)
    assert_equal(everything(tmp_path / "parts"), everything(tmp_path / "whole"))


def test_deterministic_runs_try_nothing(data: Path, pixels: Batch, tmp_path: Path) -> None:
    learner = Learner(tiny_recipe(data, speed=AUTO | {"deterministic": True}), CPU, epoch=5)
    assert tune(learner, pixels, 10**9, tmp_path).startswith("speed: --speed.precision float32")
    assert learner.levers == PLAIN
    torch.use_deterministic_algorithms(False)


def test_levers_set_by_hand_are_used(data: Path, pixels: Batch, tmp_path: Path) -> None:
    learner = Learner(tiny_recipe(data, speed={"precision": "bf16", "channels_last": "on"}), CPU, epoch=5)
    told = tune(learner, pixels, 8, tmp_path)
    assert learner.levers == Levers("bf16", channels_last=True)
    assert told == "speed: --speed.precision bf16 --speed.channels_last on --speed.compile off --speed.graph off"


def test_a_lever_that_is_wrong_is_never_taken(
    data: Path, pixels: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end, with a compiler that makes every gradient NaN, as g++ 12.2 did on one CPU."""

    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return gradients[0] * torch.nan

    def compile_(network: nn.Module, **_: Any) -> None:
        network._compiled_call_impl = lambda x: tree_map(Poison.apply, network.forward(x))

    monkeypatch.setattr(nn.Module, "compile", compile_)
    monkeypatch.setattr(tuning, "has_bf16", lambda device: False)
    monkeypatch.setattr(tuning, "has_compiler", lambda device: True)
    learner = Learner(tiny_recipe(data, speed=AUTO | {"channels_last": "off"}), CPU, epoch=5)
    told = tune(learner, pixels, 10**7, tmp_path)
    assert learner.levers == PLAIN
    assert "compile a_to_b." in told and "simd256 a_to_b." in told and "is not finite" in told
    assert learner.step(pixels).finite


def test_a_batch_too_large_for_a_trial_is_tried_in_part(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def memory_for_64(learner: Learner, pixels: Batch) -> dict[str, Tensor]:
        sizes.append(pixels.a.shape[-1])
        if pixels.a.shape[-1] > 64:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return {}

    monkeypatch.setattr(Learner, "probe", memory_for_64)
    learner = Learner(tiny_recipe(data, speed={"precision": "bf16"}), CPU, epoch=5)
    tune(learner, Batch(*torch.zeros(2, 1, 3, 256, 256, dtype=torch.uint8)), 8, tmp_path)
    assert sizes[:3] == [256, 128, 64]


def test_without_the_memory_for_any_trial_a_run_goes_on_as_it_was_told(
    data: Path, pixels: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(learner: Learner, pixels: Batch) -> dict[str, Tensor]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(Learner, "probe", never)
    learner = Learner(tiny_recipe(data, speed={"precision": "bf16"}), CPU, epoch=5)
    assert tune(learner, pixels, 8, tmp_path).endswith("(not checked: plain float32 does not fit into memory)")
    assert learner.levers == Levers("bf16")


@dataclass(frozen=True)
class Agreeing(Processes):
    """One of two processes; `others` holds the answers of the other one."""

    others: list[int] = field(default_factory=list)

    def largest(self, number: int) -> int:
        return max(number, self.others.pop(0))


@pytest.mark.parametrize("spoilt", [False, True])
def test_what_the_first_process_chose_is_checked_in_the_others(
    spoilt: bool, recipe: Recipe, pixels: Batch, tmp_path: Path
) -> None:
    chosen = Levers("bf16")
    learner = Learner(recipe, CPU, epoch=5, processes=Agreeing(1, 2, 2, [EVERY.index(chosen), 0]))
    with poisoned(learner.method.get_submodule("a_to_b"), "bf16") if spoilt else nullcontext():
        tune(learner, pixels, 100, tmp_path)
    assert learner.levers == (PLAIN if spoilt else chosen)


def test_levers_that_are_wrong_in_another_process_are_used_in_none(
    recipe: Recipe, pixels: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_chosen", lambda *_: Choice(Levers("bf16"), "chosen"))
    learner = Learner(recipe, CPU, epoch=5, processes=Agreeing(0, 2, 2, [0, 1]))
    assert "chosen, but wrong in another process: " in tune(learner, pixels, 100, tmp_path)
    assert learner.levers == PLAIN and '"float32"' in (tmp_path / "levers.json").read_text(encoding="utf-8")


def test_processes_can_tell_each_other_every_choice() -> None:
    assert len(set(EVERY)) == len(EVERY) == 4 * 2 * 3 * 2


@contextmanager
def poisoned(network: nn.Module, only: str) -> Iterator[None]:
    """While open, the network returns NaN in the given precision."""

    def spoil(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        spoilt = only == "any" or torch.is_autocast_enabled("cpu")
        return output * torch.nan if spoilt else output

    handle = network.register_forward_hook(spoil)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize(
    "only, speed, helps",
    [
        ("bf16", {"precision": "bf16"}, "continue with --resume --speed.precision float32 --speed.channels_last off"),
        (
            "any",
            {"precision": "bf16"},
            "plain float32 gives non-finite numbers too: check the pictures named above, then try",
        ),
        (
            "any",
            {},
            "plain float32 gives non-finite numbers too: check the pictures named above, then try a lower training.lr",
        ),
    ],
)
def test_numbers_that_are_not_finite_are_blamed_on_what_makes_them_so(
    only: str, speed: dict[str, Any], helps: str, data: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(
        data, speed=speed, training={"lr_schedule": {"constant": "100 images"}, "max_nonfinite_steps": 3}
    )
    trainer = Trainer(recipe, tmp_path / "run")
    network = trainer.learner.method.get_submodule("a_to_b")
    with poisoned(network, only), pytest.raises(Diverged) as diverged:
        trainer.train()
    assert helps in str(diverged.value)


def test_a_plain_step_that_memory_does_not_hold_blames_no_lever(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(learner: Learner, pixels: Batch) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99999999999 bytes")

    recipe = tiny_recipe(data, training={"lr_schedule": {"constant": "100 images"}, "max_nonfinite_steps": 3})
    trainer = Trainer(recipe, tmp_path / "run")
    with poisoned(trainer.learner.method.get_submodule("a_to_b"), "any"), pytest.raises(Diverged) as diverged:
        monkeypatch.setattr("cyclegan.training.learner.Learner.probe", too_large)
        trainer.train()
    assert "not compared with plain float32, which does not fit into memory: check the" in str(diverged.value)


def test_accumulated_batches_are_one_large_one(data: Path, pixels: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, and before the pools are full, because full pools draw random numbers in another order."""
    monkeypatch.setattr("cyclegan.training.learner.normalised", lambda pixels: pixels.double() / 127.5 - 1)
    learners = []
    for training in ({"batch_size": 2}, {"batch_size": 1, "accumulate": 2}):
        learner = Learner(tiny_recipe(data, training=training, method={"pool": 50}), CPU, epoch=5)
        learner.method.double()
        learners.append(learner)
    one, two = (probe(learner, pixels, PLAIN) for learner in learners)
    assert one.keys() == two.keys()
    for name, expected in one.items():
        torch.testing.assert_close(two[name], expected, rtol=1e-9, atol=1e-12)
    assert learners[1].step(pixels).finite and learners[1].images == 2


def test_a_loader_hands_out_what_a_step_wants(data: Path, tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(data, training={"batch_size": 2, "accumulate": 2}), tmp_path / "run")
    assert len(next(trainer.loader.batches(0, 8)).a) == 4
    trainer.train()
    assert trainer.learner.images == 8


def test_fp16_scales_the_loss_and_finds_its_scale(data: Path, pixels: Batch) -> None:
    pixels = Batch(*(domain[:1, :, :16, :16] for domain in pixels))  # a CPU is slow at this
    recipe = tiny_recipe(data, speed={"precision": "fp16"})
    learner = Learner(recipe, CPU, epoch=5)
    plain = probe(learner, pixels, PLAIN)
    assert not disagreement(probe(learner, pixels, Levers("fp16")), plain, TOLERANCES["fp16"])
    learner.use(Levers("fp16"))
    assert learner.optimizers[0].scale
    scale = learner.optimizers[0].scale.state
    scale[0] = 2.0**60  # overflows in the first steps; the scale falls until it does not
    network = learner.method.generators()[Direction.AtoB]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert learner.step(pixels).finite  # in order, and not moved
    assert_equal(dict(network.state_dict()), before)
    assert scale[0] == 2.0**59
    scale[0] = 2.0**18
    for _ in range(12):
        learner.step(pixels)
    assert scale[0] < 2.0**18 and not torch.equal(network.state_dict()["head.weight"], before["head.weight"])
    again = Learner(recipe, CPU, epoch=5)
    again.restore(learner.checkpoint(best=1.0))
    assert again.optimizers[0].scale and again.optimizers[0].scale.state.tolist() == scale.tolist()


def test_a_scale_grows_after_many_good_steps() -> None:
    scale = LossScale(CPU)
    for _ in range(scale.PATIENCE):
        scale.adapt(torch.tensor(True))
    assert scale.state.tolist() == [2 * scale.FIRST, 0]
