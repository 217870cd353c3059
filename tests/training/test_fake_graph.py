"""The simulated CUDA graphs of the tests fail, or give wrong results, wherever real ones would."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.patience import PATIENCE
from tests.training.fake_graph import CaptureError, FakeCuda, FakeGraph, fake_cuda


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return fake_cuda(monkeypatch)


def captured(step: Callable[[], Tensor], *, pool: int | None = None) -> tuple[FakeGraph, Tensor]:
    """A graph of a step and its result; the step first ran on another stream."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    return recorded(step, pool=pool)


def recorded(step: Callable[[], Tensor], *, pool: int | None = None) -> tuple[FakeGraph, Tensor]:
    """A graph of a step and its result; the step did not run before."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):  # type: ignore[arg-type]
        result = step()
    assert isinstance(graph, FakeGraph)
    return graph, result


def test_a_capture_computes_nothing_and_a_replay_everything(cuda: FakeCuda) -> None:
    count, before = torch.zeros(()), torch.get_rng_state()
    graph, result = recorded(lambda: count.add_(1) * 2 + torch.rand(()) * 0)
    assert count == 0 and result.isnan() and torch.equal(torch.get_rng_state(), before)
    for number in (1, 2, 3):
        graph.replay()
        assert count == number and result == 2 * number


def test_a_replay_reads_tensors_anew_and_numbers_never(cuda: FakeCuda) -> None:
    tensor, number = torch.ones(()), [1.0]
    graph, result = recorded(lambda: torch.stack([tensor * 1, torch.zeros(()) + number[0]]))
    tensor.fill_(5)
    number[0] = 5
    graph.replay()
    assert result.tolist() == [5, 1]


def test_a_replay_draws_from_the_seed_set_before_it(cuda: FakeCuda) -> None:
    graph, result = recorded(lambda: torch.rand(3) + torch.randint(5, ()))
    torch.manual_seed(7)
    expected = torch.rand(3) + torch.randint(5, ())
    torch.manual_seed(7)
    graph.replay()
    assert torch.equal(result, expected)


def test_gradients_are_recorded_too(cuda: FakeCuda) -> None:
    weight, x = torch.randn(2, 3, 3, 3, requires_grad=True), torch.randn(1, 3, 8, 8)

    def step() -> Tensor:
        return torch.autograd.grad(F.conv2d(x, weight).square().sum(), [weight])[0]

    graph, result = captured(step)
    x.copy_(torch.randn(1, 3, 8, 8))
    graph.replay()
    assert torch.equal(result, step())


def test_memory_freed_since_the_capture_is_noticed(cuda: FakeCuda) -> None:
    kept = [torch.ones(2)]
    graph, _ = recorded(lambda: torch.zeros_like(kept[0].add_(1)))
    graph.replay()
    kept[0] = torch.ones(2)
    with pytest.raises(CaptureError, match="freed since the capture"):
        graph.replay()


def test_graphs_that_share_memory_overwrite_each_others_results(cuda: FakeCuda) -> None:
    one, first = recorded(lambda: torch.ones(2) + 1)
    two, second = recorded(lambda: torch.ones(2) + 2, pool=one.pool())
    alone, third = recorded(lambda: torch.ones(2) + 3)
    for graph in (one, two, alone):
        graph.replay()
    assert first.isnan().all() and second.tolist() == [3, 3] and third.tolist() == [4, 4]


def test_memory_without_a_kernel_that_writes_it_holds_anything(cuda: FakeCuda) -> None:
    graph, result = recorded(lambda: torch.empty(2).add_(torch.ones(2)))
    graph.replay()
    assert result.isnan().all()


@pytest.mark.parametrize(
    "read",
    [lambda x: x.item(), lambda x: bool(x > 0), lambda x: torch.ones(3).nonzero(), lambda x: torch.manual_seed(0)],
    ids=["item", "bool", "nonzero", "manual_seed"],
)
def test_what_makes_the_host_wait_is_refused(read: Callable[[Tensor], object], cuda: FakeCuda) -> None:
    x = torch.ones(())
    with pytest.raises(CaptureError):
        recorded(lambda: x + (read(x) is None))


def test_a_convolution_that_never_ran_on_a_side_stream_is_refused(cuda: FakeCuda) -> None:
    weight = torch.ones(1, 1, 1, 1)
    F.conv2d(torch.ones(1, 1, 4, 4), weight)  # on the main stream: does not count
    with pytest.raises(CaptureError, match="chooses its kernel for a new shape"):
        recorded(lambda: F.conv2d(torch.ones(1, 1, 4, 4), weight))
    captured(lambda: F.conv2d(torch.ones(1, 1, 4, 4), weight))
    with pytest.raises(CaptureError, match="chooses its kernel for a new shape"):
        recorded(lambda: F.conv2d(torch.ones(1, 1, 5, 5), weight))


@pytest.mark.parametrize("mode, survives", [("global", False), ("thread_local", True)])
def test_another_thread_ends_a_global_capture_alone(mode: str, survives: bool, cuda: FakeCuda) -> None:
    def pin() -> None:
        try:
            torch.ones(2).pin_memory()
        except CaptureError:
            refused.append(True)

    def capture() -> None:
        with torch.cuda.graph(torch.cuda.CUDAGraph(), capture_error_mode=mode):
            thread = threading.Thread(target=pin)
            thread.start()
            thread.join(PATIENCE)

    refused: list[bool] = []
    if survives:
        capture()
    else:
        with pytest.raises(CaptureError, match="failed due to a previous error during capture"):
            capture()
    assert refused == [True] * (not survives)


def test_streams_that_do_not_wait_for_each_other_are_noticed(cuda: FakeCuda) -> None:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with pytest.raises(CaptureError, match="did not wait for the work before it"), torch.cuda.stream(side):
        pass
    graph, _ = recorded(lambda: torch.ones(1) + 1)
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        pass
    with pytest.raises(CaptureError, match="did not wait for work that it depends on"):
        graph.replay()


def test_what_a_step_leaves_in_the_memory_of_its_graph_is_counted(cuda: FakeCuda) -> None:
    left = []

    def step() -> Tensor:
        left.append(torch.ones(2) + 1)
        return torch.ones(3) + 1

    graph, result = recorded(step)
    assert graph.left_behind(result) == 1
    left.clear()
    assert graph.left_behind(result) == 0
