"""A step replayed as a CUDA graph equals the eager step for all sizes, and its memory is freed."""

from __future__ import annotations

import copy
import gc
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import cyclegan.training.learner
import cyclegan.training.tuning
from cyclegan.machine.levers import Levers, Offer, choose_levers
from cyclegan.methods.pool import Pool
from cyclegan.recipe import Recipe, SpeedConfig
from cyclegan.training import graph
from cyclegan.training.graph import MOST_GRAPHS, UNRECORDED, Graphed, has_graphs
from cyclegan.training.learner import Learner
from cyclegan.training.observer import Observer
from cyclegan.training.optimizer import StepResult
from cyclegan.training.trainer import train
from cyclegan.training.tuning import bench_of
from cyclegan.types import Batch, Direction
from cyclegan.util.signals import Stopped
from tests.patience import PATIENCE
from tests.tiny import tiny_recipe
from tests.training.fake_graph import CaptureError, FakeCuda, fake_cuda
from tests.training.test_training import assert_equal

CPU, GPU = torch.device("cpu"), torch.device("cuda")

EVERYTHING: dict[str, dict[str, Any]] = {
    "method": {
        "generator": {"kind": "resnet", "width": 2, "blocks": 1, "dropout": 0.5},
        "discriminator": {"kind": "patchgan", "width": 2, "depth": 1},
    },
    "training": {
        "lr_schedule": {"constant": "8 images", "decay": "40 images"},
        "ema": "10 images",
        "grad_clip": 0.5,
        "lr": 1e-3,
    },
}
"""Everything that changes from step to step: dropout, pools, a decaying learning rate, clipping and an EMA."""

SIZES = [(12, 12)] * 5 + [(12, 16), (16, 12), (12, 12), (12, 16), (16, 12), (12, 16), (16, 12)] + [(12, 16)] * 4
SIZES += [(16, 12), (12, 12)]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return fake_cuda(monkeypatch)


def learner_of(recipe: Recipe, *, in_graphs: bool) -> Learner:
    """A learner set up as on a GPU: the learning rate is a tensor, and steps are recorded in graphs if asked for."""
    learner = Learner(recipe, CPU, epoch=5)
    for optimizer in learner.optimizers:
        for group in optimizer.optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"])
    if in_graphs:
        learner.use(Levers(graph=True))
    return learner


def batch_of(a: int, b: int, seed: int) -> Batch:
    """Random pictures, `a` pixels on a side in A and `b` in B."""
    random = torch.Generator().manual_seed(seed)
    return Batch(*(torch.randint(256, (1, 3, n, n), generator=random, dtype=torch.uint8) for n in (a, b)))


def state_of(learner: Learner) -> dict[str, Any]:
    """The whole state of a learner, and the last gradients."""
    average = learner.ema.state_dict() if learner.ema else {}
    optimizers = [
        (optimizer.state_dict()["state"], [p.grad for p in optimizer.parameters]) for optimizer in learner.optimizers
    ]
    return copy.deepcopy({"method": learner.method.state_dict(), "ema": average, "optimizers": optimizers})


def numbers(move: StepResult) -> list[float]:
    return [number.item() for number in (*move.losses.values(), *move.grad_norms.values())]


def check_same(graphed: Learner, eager: Learner, sizes: Sequence[tuple[int, int]], start: int = 0) -> None:
    """Assert that steps of these sizes are equal in both, bit for bit."""
    for number, (a, b) in enumerate(sizes, start):
        batch = batch_of(a, b, seed=number)
        assert numbers(graphed.step(batch)) == numbers(eager.step(batch)), f"step {number}"
        assert_equal(state_of(graphed), state_of(eager))
    assert isinstance(graphed._run, Graphed) and not graphed._run.failed
    assert graphed.nonfinite.new_ones() == eager.nonfinite.new_ones() == []


def test_many_steps_in_graphs_are_those_without(data: Path, cuda: FakeCuda) -> None:
    """Also the gradients, which histograms show, are those of this step and not of another size's graph."""
    recipe = tiny_recipe(data, **EVERYTHING)
    check_same(learner_of(recipe, in_graphs=True), learner_of(recipe, in_graphs=False), SIZES)
    assert len(cuda.recorded()) == len(set(SIZES)) == 3


def test_spectral_norm_and_several_scales_are_the_same_in_graphs(data: Path, cuda: FakeCuda) -> None:
    """Also the vectors of the spectral norm, which every call updates."""
    critic = {"kind": "patchgan", "width": 2, "depth": 1, "norm": "spectral", "scales": 2}
    recipe = tiny_recipe(data, **EVERYTHING | {"method": {"gan": "hinge", "discriminator": critic}})
    check_same(learner_of(recipe, in_graphs=True), learner_of(recipe, in_graphs=False), SIZES[:8])
    assert len(cuda.recorded()) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_many_steps_in_graphs_are_those_without_on_a_gpu(data: Path) -> None:
    speed = {"device": "cuda", "precision": "float32", "compile": "off", "deterministic": True}
    on, off = (tiny_recipe(data, **EVERYTHING, speed=speed | {"graph": graph}) for graph in ("on", "off"))
    try:
        check_same(Learner(on, GPU, epoch=5), Learner(off, GPU, epoch=5), SIZES)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("sizes", [[(12, 12)] * 3 + [(16, 16)] * 5, [(12, 12)] * 5 + [(16, 16), (12, 12)]])
def test_a_new_size_is_neither_recorded_at_once_nor_played_in_anothers_memory(
    sizes: list[tuple[int, int]], data: Path, cuda: FakeCuda
) -> None:
    recipe = tiny_recipe(data, **EVERYTHING)
    check_same(learner_of(recipe, in_graphs=True), learner_of(recipe, in_graphs=False), sizes)


def test_nothing_but_its_result_outlives_a_step_in_the_memory_of_its_graph(data: Path, cuda: FakeCuda) -> None:
    learner = learner_of(tiny_recipe(data, **EVERYTHING), in_graphs=True)
    for number in range(UNRECORDED + 1):
        move = learner.step(batch_of(12, 12, number))
    [recorded] = cuda.recorded()
    assert (
        recorded.outliving
        and recorded.left_behind([*move.losses.values(), *move.grad_norms.values(), move.finite]) == 0
    )


def test_a_step_left_out_is_noticed_in_a_graph(data: Path, cuda: FakeCuda) -> None:
    recipe = tiny_recipe(data, method=EVERYTHING["method"])
    learners = [learner_of(recipe, in_graphs=in_graphs) for in_graphs in (True, False)]
    weights = [next(learner.method.generators()[Direction.AtoB].parameters()).data for learner in learners]
    right = [weight.clone() for weight in weights]
    for number in range(7):
        for learner, weight, kept in zip(learners, weights, right, strict=True):
            kept.copy_(weight)
            if number == 5:
                weight.fill_(torch.nan)
            learner.step(batch_of(12, 12, number))
            if number == 5:
                weight.copy_(kept)
    assert [learner.nonfinite.new_ones() for learner in learners] == [[5], [5]] and len(cuda.recorded()) == 1
    assert_equal(*(state_of(learner) for learner in learners))


def test_resume_with_graphs_continues_bit_for_bit(data: Path, cuda: FakeCuda) -> None:
    recipe = tiny_recipe(data, **EVERYTHING)
    whole, first, second = (learner_of(recipe, in_graphs=True) for _ in range(3))
    check_same(whole, first, SIZES[:8])
    for number in range(UNRECORDED + 1):
        second.step(batch_of(12, 12, number))  # so that it has a graph of another state
    second.restore(copy.deepcopy(first.checkpoint(1.0)))
    check_same(second, whole, SIZES[7:14], start=8)


@pytest.mark.parametrize("histories", [1, 2])
def test_pools_in_graphs_are_pools_without(histories: int, cuda: FakeCuda) -> None:
    """The sizes of both pools change independently, in any order."""
    random = torch.Generator().manual_seed(0)
    pools, twins = [Pool(2 * histories), Pool(2 * histories)], [Pool(2 * histories), Pool(2 * histories)]
    for pool in [*pools, *twins]:
        pool.shapes = histories

    def step(pools: Sequence[Pool]) -> Callable[[Batch], list[Tensor]]:
        return lambda batch: [pool(fakes) for pool, fakes in zip(pools, batch, strict=True)]

    graphed, eager = Graphed(step(pools), pools), step(twins)
    shown = 0
    for number in range(150):
        if number % 3 == 0:
            a, b = torch.randint(1, 3, (2,), generator=random).tolist()
        batch = batch_of(a, b, number)
        results = []
        for play in (graphed, eager):
            torch.manual_seed(number)
            results.append(play(Batch(batch.a.float(), batch.b.float())))
        assert_equal(*results)
        assert_equal(*([pool.state_dict() for pool in each] for each in (pools, twins)))
        shown += not torch.equal(results[0][0], batch.a)
    assert shown > 10 and len(cuda.recorded()) == 4  # old fakes were seen, and every pair of sizes has its graph


@pytest.mark.parametrize("mode", ["ours", "global"])
def test_a_loader_that_pins_memory_disturbs_no_recording(
    mode: str, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(batch: Batch) -> Tensor:
        if cuda.capture:
            loader = threading.Thread(target=pin)
            loader.start()
            loader.join(PATIENCE)
        return batch.a + 1

    def pin() -> None:
        try:
            torch.zeros(3).pin_memory()
            pinned.append(True)
        except CaptureError:
            pinned.append(False)

    pinned: list[bool] = []
    graphed = Graphed(step, [])
    if mode == "global":  # torch's default, for comparison
        capture = torch.cuda.graph
        monkeypatch.setattr(torch.cuda, "graph", lambda graph, **kwargs: capture(graph, pool=kwargs["pool"]))
    assert play(graphed, UNRECORDED + 2) == list(range(1, UNRECORDED + 3))
    if mode == "global":
        assert "failed due to a previous error during capture: pin_memory" in graphed.failed and pinned == [False]
    else:
        assert not graphed.failed and pinned == [True]


def play(graphed: Graphed[Tensor], steps: int, side: int = 1) -> list[float]:
    """The results of a step of floats for pictures of 0, 1, 2, ..."""
    return [float(graphed(Batch(*torch.full((2, 1, 3, side, side), float(n)))).flatten()[0]) for n in range(steps)]


def test_beyond_so_many_sizes_steps_are_played_without_a_graph_and_that_is_told_once(
    cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    graphed = Graphed(lambda batch: batch.a * 2, [])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for side in range(1, MOST_GRAPHS + 4):
                assert play(graphed, UNRECORDED + 2, side) == [2.0 * n for n in range(UNRECORDED + 2)]
    assert len(cuda.recorded()) == MOST_GRAPHS
    [told] = caplog.messages
    assert told == (
        "speed.graph: batches have more than 8 sizes; the others run slower, without a graph; "
        "set data.fit to crop to have one size"
    )


def test_a_step_that_cannot_be_recorded_is_told_and_played_without_a_graph(
    cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    """A step that fetches a number, which a recording forbids, once pictures are larger than a pixel."""
    graphed = Graphed(lambda batch: batch.a * 2 * (batch.a.sum().isfinite().item() if batch.a.shape[2] > 1 else 1), [])
    with caplog.at_level(logging.WARNING):
        for side in (1, 2, 1, 2, 3):
            assert play(graphed, UNRECORDED + 2, side) == [2.0 * n for n in range(UNRECORDED + 2)]
    assert len(cuda.recorded()) == 1
    [told] = caplog.messages
    assert told.startswith("speed.graph: a step could not be recorded (") and told.endswith("slower, without a graph")


def test_a_step_whose_recording_finds_no_memory_is_played_without_a_graph(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(tensor: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    graphed = Graphed(lambda batch: batch.a * 2, [])
    monkeypatch.setattr(Tensor, "clone", none_left)  # a recording calls it first
    assert play(graphed, UNRECORDED + 2) == [2.0 * n for n in range(UNRECORDED + 2)]
    assert graphed.failed == "CUDA out of memory" and not cuda.recorded()


def test_a_trial_that_cannot_be_recorded_is_a_lever_that_does_not_run_here(
    data: Path, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = learner_of(tiny_recipe(data, **EVERYTHING), in_graphs=False)
    probe = learner.probe
    monkeypatch.setattr(learner, "probe", lambda pixels: {"loss": probe(pixels)["gan_a"] * torch.ones(()).item()})
    with learner.at_rest(), bench_of(learner, batch_of(12, 12, seed=0)) as bench:
        choice = choose_levers(bench, Levers(), [Offer("graph", {"graph": True})], steps=10**9)
    assert choice.levers == Levers() and "graph does not run here (" in choice.told


def test_sizes_that_never_come_back_are_not_counted_for_ever(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_COUNTED", 5)
    graphed = Graphed(lambda batch: batch.a * 2, [])
    for side in range(1, 30):
        play(graphed, 1, side)
        assert len(graphed._plays) <= 5
    play(graphed, UNRECORDED + 1)
    assert len(cuda.recorded()) == 1


def test_released_memory_is_free_at_once_and_later_steps_are_the_same(data: Path, cuda: FakeCuda) -> None:
    recipe = tiny_recipe(data, **EVERYTHING)
    graphed, eager = learner_of(recipe, in_graphs=True), learner_of(recipe, in_graphs=False)
    check_same(graphed, eager, SIZES[:5])
    assert len(cuda.recorded()) == 1 and [len(pool._held) for pool in graphed.method.pools] == [1, 1]
    gc.disable()
    try:
        graphed.release()
        assert not cuda.recorded() and not any(pool._held for pool in graphed.method.pools)
    finally:
        gc.enable()
    check_same(graphed, eager, SIZES[:5], start=5)
    graphed.release()
    graphed.release()


def test_trials_of_levers_in_graphs_give_what_they_do_without_and_leave_no_trace(data: Path, cuda: FakeCuda) -> None:
    """Another layout moves the weights, so an older graph would read freed memory."""
    recipe = tiny_recipe(data, **EVERYTHING)
    graphed, eager = learner_of(recipe, in_graphs=True), learner_of(recipe, in_graphs=False)
    check_same(graphed, eager, SIZES[:5])
    batch = batch_of(12, 16, seed=0)
    with graphed.at_rest(), eager.at_rest(), bench_of(graphed, batch) as one, bench_of(eager, batch) as other:
        benches = one, other
        for channels_last in (False, True, False):
            for bench, in_graph in zip(benches, (True, False), strict=True):
                bench.use(Levers(channels_last=channels_last, graph=in_graph))
            assert_equal(*(dict(bench.probe()) for bench in benches))
        assert len(cuda.recorded()) == 1
    assert not cuda.recorded() and not any(pool._held for pool in graphed.method.pools)
    graphed.use(Levers(graph=True))
    check_same(graphed, eager, SIZES[5:13], start=5)
    assert cuda.recorded()
    graphed.use(Levers(channels_last=True, graph=True))
    assert not cuda.recorded() and not any(pool._held for pool in graphed.method.pools)


@pytest.fixture
def graphs_at(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, int]]:
    """The number of graphs when samples were drawn, by images seen, in a run with simulated graphs."""
    seen: dict[int, int] = {}
    pictures = Observer.pictures

    def noted(self: Observer) -> None:
        seen[self.learner.images] = len(cuda.recorded())
        pictures(self)

    monkeypatch.setattr(Observer, "pictures", noted)
    for module in (cyclegan.training.learner, cyclegan.training.tuning):
        monkeypatch.setattr(module, "has_graphs", lambda *_: True)
    gc.disable()  # a cycle would hide it
    yield seen
    gc.enable()


def test_a_run_gives_its_graphs_back_before_its_last_samples(
    data: Path, tmp_path: Path, cuda: FakeCuda, graphs_at: dict[int, int]
) -> None:
    train(tiny_recipe(data, speed={"graph": "on"}), tmp_path / "run")
    assert graphs_at == {1: 0, 4: 1, 8: 0} and not cuda.recorded()


def test_a_run_ended_by_a_signal_gives_its_graphs_back(
    data: Path, tmp_path: Path, cuda: FakeCuda, graphs_at: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Learner.step

    def signalled(self: Learner, pixels: Batch) -> StepResult:
        move = step(self, pixels)
        if self.images == 6:
            assert len(cuda.recorded()) == 1
            signal.raise_signal(signal.SIGTERM)
        return move

    monkeypatch.setattr(Learner, "step", signalled)
    with pytest.raises(Stopped):
        train(tiny_recipe(data, speed={"graph": "on"}), tmp_path / "run")
    assert graphs_at == {1: 0, 4: 1} and not cuda.recorded()


def test_graphs_are_for_cuda_alone() -> None:
    assert has_graphs(SpeedConfig(), GPU) and has_graphs(SpeedConfig(graph="on"), GPU)
    assert not has_graphs(SpeedConfig(), CPU)
    assert not has_graphs(SpeedConfig(checkpoint_activations=True), GPU)
    assert not has_graphs(SpeedConfig(), GPU, processes=2)


@pytest.mark.parametrize(
    "config, device, processes, told",
    [
        (SpeedConfig(graph="on"), CPU, 1, "CUDA graphs need a cuda device, and this run is on cpu"),
        (SpeedConfig(graph="on", checkpoint_activations=True), GPU, 1, "with speed.checkpoint_activations"),
        (SpeedConfig(graph="on"), GPU, 2, "with several processes, a CUDA graph would wait forever"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_in_one_line(
    config: SpeedConfig, device: torch.device, processes: int, told: str
) -> None:
    with pytest.raises(ValueError, match=r"^speed\.graph: .*; leave it at auto$") as caught:
        has_graphs(config, device, processes)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_step_that_checkpoints_its_activations_cannot_be_recorded(data: Path, cuda: FakeCuda) -> None:
    learner = learner_of(tiny_recipe(data, speed={"checkpoint_activations": True, "compile": "off"}), in_graphs=True)
    for number in range(UNRECORDED + 1):
        learner.step(batch_of(12, 12, number))
    assert isinstance(learner._run, Graphed) and "torch.get_rng_state" in learner._run.failed
