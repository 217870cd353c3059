"""Simulated CUDA graphs on a CPU: what real ones forbid raises, and what they overwrite becomes NaN.

A capture notes down every operation with the memory that it reads and writes, and leaves no trace but that: memory that
was there before is put back. A replay runs the operations again on the same memory, whatever Python has done since.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import pytest
import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

aten = torch.ops.aten

HOST_READS = {
    aten._local_scalar_dense.default, aten.item.default, aten.is_nonzero.default, aten.equal.default,
    aten.nonzero.default, aten.masked_select.default, aten._unique2.default,
}  # fmt: skip
"""Operations whose result, or its size, must be known to the host."""

CHOOSES_KERNELS = {aten.convolution.default, aten.convolution_backward.default}
"""Operations that time several kernels, and wait for them, when they first meet a shape."""

UNWRITTEN = {
    aten.empty.memory_format, aten.empty_like.default, aten.empty_strided.default,
    aten.new_empty.default, aten.new_empty_strided.default,
}  # fmt: skip
"""Operations that allocate memory and launch no kernel."""


class CaptureError(RuntimeError):
    """CUDA would have failed, or would have computed wrong results without an error."""


class Part(NamedTuple):
    """The place of a tensor in its memory."""

    dtype: torch.dtype
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, tensor: Tensor) -> Part:
        return cls(tensor.dtype, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()))

    def in_(self, storage: UntypedStorage) -> Tensor:
        return torch.empty(0, dtype=self.dtype).set_(storage, self.offset, self.size, self.stride)


Allocated: TypeAlias = tuple[weakref.ref[UntypedStorage], int]
"""A piece of a graph's own memory, and its number."""


class Before(NamedTuple):
    """A tensor in memory that was there before the capture. The graph knows its address and does not keep it alive."""

    memory: weakref.ref[UntypedStorage]
    part: Part


class Within(NamedTuple):
    """A tensor in memory of the graph's own, the `number`th that the capture allocated."""

    number: int
    part: Part


class Operation(NamedTuple):
    """One operation; `results` are the numbers of the memory that it allocates, None where it allocates none."""

    run: Any
    args: Any
    kwargs: Any
    results: list[int | None]


class FakeStream:
    """A stream; its work must wait for the stream that it was launched from, and the other way round."""

    def __init__(self) -> None:
        self.waited: tuple[FakeStream, int] | None = None
        self.left: set[FakeStream] = set()

    def wait_stream(self, other: FakeStream) -> None:
        self.waited = other, FakeCuda.now
        self.left.discard(other)


class FakeCuda:
    """The replacements for `torch.cuda`, and their state."""

    now = 0
    """Counts everything that happens on a stream."""

    def __init__(self) -> None:
        self.stream = FakeStream()
        self.capture: Capture | None = None
        self.warm: set[object] = set()
        self.graphs: weakref.WeakSet[FakeGraph] = weakref.WeakSet()
        self.pools = 0

    def recorded(self) -> list[FakeGraph]:
        """The graphs that hold memory."""
        return [graph for graph in self.graphs if graph.operations]

    def asked(self, about: str) -> None:
        """Raise for what is forbidden while this thread captures, or any thread captures in global mode."""
        if self.capture and (self.capture.mode == "global" or self.capture.thread == threading.get_ident()):
            self.capture.broken = about
            raise CaptureError(f"{about}: operation not permitted when stream is capturing")

    def work(self) -> None:
        """Record that something runs on the current stream."""
        if self.stream.left:
            raise CaptureError("a stream did not wait for work that it depends on")
        FakeCuda.now += 1


class OnStream:
    """Replaces `torch.cuda.stream`: operations that run here choose their kernels."""

    def __init__(self, cuda: FakeCuda, stream: FakeStream) -> None:
        self.cuda, self.own = cuda, stream
        self.mode = Warming(cuda)

    def __enter__(self) -> None:
        self.before = self.cuda.stream
        if self.own.waited != (self.before, FakeCuda.now):
            raise CaptureError("a side stream did not wait for the work before it")
        self.cuda.work()
        self.cuda.stream = self.own
        self.mode.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.mode.__exit__(*error)
        FakeCuda.now += 1
        self.cuda.stream = self.before
        self.before.left.add(self.own)


class Warming(TorchDispatchMode):
    """Remembers for which shapes kernels were chosen."""

    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__()
        self.cuda = cuda

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in CHOOSES_KERNELS:
            self.cuda.warm.add(_kernel(func, args))
        return func(*args, **kwargs or {})


class Capture(TorchDispatchMode):
    """Replaces `torch.cuda.graph`: records what runs here, and undoes it."""

    def __init__(
        self, cuda: FakeCuda, graph: FakeGraph, pool: int | None = None, stream: FakeStream | None = None,
        capture_error_mode: str = "global",
    ) -> None:  # fmt: skip
        super().__init__()
        self.cuda, self.graph, self.own, self.mode = cuda, graph, stream or FakeStream(), capture_error_mode
        self.thread, self.broken = threading.get_ident(), ""
        cuda.pools += pool is None
        graph.memory = cuda.pools if pool is None else pool
        self.numbers: dict[int, Allocated] = {}
        self.saved: list[tuple[UntypedStorage, Tensor]] = []

    def __enter__(self) -> Any:
        self.cuda.asked("capture")
        self.cuda.work()
        self.before, self.cuda.stream, self.cuda.capture = self.cuda.stream, self.own, self
        self.random = GET_RANDOM()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.cuda.stream, self.cuda.capture = self.before, None
        for storage, content in self.saved:
            _bytes(storage).copy_(content)
        self.saved.clear()
        SET_RANDOM(self.random)
        self.graph.outliving = [each for each in self.numbers.values() if each[0]() is not None]
        self.graph.overwrite()  # nothing was computed
        if self.broken:
            raise CaptureError(f"operation failed due to a previous error during capture: {self.broken}")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in HOST_READS:
            self.cuda.asked(f"{func} reads from the device")
        if func in CHOOSES_KERNELS and _kernel(func, args) not in self.cuda.warm:
            self.cuda.asked(f"{func} chooses its kernel for a new shape")
        for tensor in _written(func, args, kwargs):
            self._save(tensor.untyped_storage())
        noted_args, noted_kwargs = tree_map_only(Tensor, self._noted, (args, kwargs))
        given = {_address(tensor) for tensor in _tensors((args, kwargs))}
        result = func(*args, **kwargs)
        allocated = [None if _address(tensor) in given else self._allocated(tensor) for tensor in _tensors(result)]
        self.graph.operations.append(Operation(func, noted_args, noted_kwargs, allocated))
        return result

    def _noted(self, tensor: Tensor) -> Before | Within:
        storage = tensor.untyped_storage()
        memory, number = self.numbers.get(storage._cdata, (None, -1))
        if memory is not None and memory() is storage:
            return Within(number, Part.of(tensor))
        return Before(weakref.ref(storage), Part.of(tensor))

    def _allocated(self, tensor: Tensor) -> int:
        number = self.graph.allocations
        self.numbers[_address(tensor)] = weakref.ref(tensor.untyped_storage()), number
        self.graph.allocations += 1
        return number

    def _save(self, storage: UntypedStorage) -> None:
        memory, _ = self.numbers.get(storage._cdata, (None, -1))
        own = memory is not None and memory() is storage
        if not own and not any(kept is storage for kept, _ in self.saved):
            self.saved.append((storage, _bytes(storage).clone()))


class FakeGraph:
    """Replaces `torch.cuda.CUDAGraph`."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.memory, self.allocations = cuda, 0, 0
        self.operations: list[Operation] = []
        self.outliving: list[Allocated] = []
        """Memory that the capture allocated and that is still referenced: the step's result, and anything else."""
        cuda.graphs.add(self)

    def pool(self) -> int:
        return self.memory

    def reset(self) -> None:
        self.operations, self.outliving = [], []

    @torch.no_grad()
    def replay(self) -> None:
        if not self.operations:
            raise CaptureError("replay without a capture")
        self.cuda.asked("replay")
        self.cuda.work()
        for graph in self.cuda.recorded():
            if graph is not self and graph.memory == self.memory:
                graph.overwrite()
        memory: dict[int, UntypedStorage] = {}

        def found(noted: Before | Within) -> Tensor:
            storage = noted.memory() if isinstance(noted, Before) else memory[noted.number]
            if storage is None:
                raise CaptureError("a replay reads or writes memory that has been freed since the capture")
            return noted.part.in_(storage)

        for run, args, kwargs, numbers in self.operations:
            args, kwargs = _map((args, kwargs), found)
            result = list(_tensors(run(*args, **kwargs)))
            for tensor, number in zip(result, numbers, strict=True):
                if number is not None:
                    memory[number] = tensor.untyped_storage()
                    if run in UNWRITTEN:
                        _bytes(tensor.untyped_storage()).fill_(0xFF)
        for held, number in self.outliving:
            if storage := held():
                _bytes(storage).copy_(_bytes(memory[number]))

    def overwrite(self) -> None:
        """Overwrite the memory, as another graph that shares it would. All bits set are NaN in every float type."""
        for held, _ in self.outliving:
            if storage := held():
                _bytes(storage).fill_(0xFF)

    def left_behind(self, result: Any) -> int:
        """How many pieces of the graph's memory are held by anything but the tensors in `result`."""
        known = {_address(tensor) for tensor in _tensors(result)}
        held = [storage for storage in (memory() for memory, _ in self.outliving) if storage is not None]
        return sum(storage._cdata not in known for storage in held)


GET_RANDOM, SET_RANDOM = torch.get_rng_state, torch.set_rng_state


def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Put CUDA graphs, streams and pinned memory into `torch`, for tensors on the CPU."""
    fake = FakeCuda()

    def refused(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*args: Any, **kwargs: Any) -> Any:
            fake.asked(name)
            return real(*args, **kwargs)

        return ask

    def capture(graph: FakeGraph, *args: Any, **kwargs: Any) -> Capture:
        return Capture(fake, graph, *args, **kwargs)

    for name, stand_in in {
        "CUDAGraph": lambda: FakeGraph(fake),
        "graph": capture,
        "Stream": FakeStream,
        "stream": lambda stream: OnStream(fake, stream),
        "current_stream": lambda: fake.stream,
        "synchronize": lambda: fake.asked("synchronize"),
        "empty_cache": lambda: fake.asked("empty_cache"),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    for name in ("manual_seed", "initial_seed", "get_rng_state", "set_rng_state"):
        monkeypatch.setattr(torch, name, refused(f"torch.{name}", getattr(torch, name)))
    monkeypatch.setattr(Tensor, "pin_memory", refused("pin_memory", lambda tensor: tensor))
    return fake


def _kernel(func: Any, args: Any) -> object:
    return func, tuple((tensor.dtype, tensor.shape, tensor.stride()) for tensor in _tensors(args))


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor))


def _map(tree: Any, found: Callable[[Any], Tensor]) -> Any:
    """Treat named tuples Before and Within as leaves, which pytrees would otherwise enter."""
    if isinstance(tree, Before | Within):
        return found(tree)
    if isinstance(tree, list | tuple):
        return type(tree)(_map(each, found) for each in tree)
    if isinstance(tree, dict):
        return {name: _map(each, found) for name, each in tree.items()}
    return tree


def _written(func: Any, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """The tensors that an operation writes to, by its schema."""
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info and argument.alias_info.is_write:
            yield from _tensors(args[number] if number < len(args) else kwargs.get(argument.name))


def _address(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _bytes(storage: UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(storage)
