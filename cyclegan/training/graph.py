"""A training step recorded as a CUDA graph and replayed, so that the GPU never waits for Python."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import torch

from cyclegan.machine.device import first_line
from cyclegan.methods.pool import Pool
from cyclegan.recipe import SpeedConfig
from cyclegan.types import Batch

Result = TypeVar("Result")

Kind: TypeAlias = tuple[torch.Size, torch.Size, tuple[str, ...]]
"""Of a step: the shapes of its batch's domains, and who moves."""

UNRECORDED = 3
"""Steps of a shape before it is recorded: compiling, choice of kernels and lasting allocations belong to them."""

MOST_GRAPHS = 8
"""Shapes that get a graph; each keeps a batch and pools of its own, besides the memory that all of them share."""

MOST_COUNTED = 1000
"""Shapes whose steps are counted; past that, counting begins anew."""

log = logging.getLogger(__name__)


def has_graphs(config: SpeedConfig, device: torch.device, processes: int = 1) -> bool:
    """Whether steps can be replayed as CUDA graphs.

    Raises ValueError when that is asked of another device, of checkpointed activations or of several processes.
    """
    fits = device.type == "cuda" and not config.checkpoint_activations and processes == 1
    if config.graph == "on" and not fits:
        raise ValueError(f"speed.graph: {_obstacle(config, device)}; leave it at auto")
    return fits


def _obstacle(config: SpeedConfig, device: torch.device) -> str:
    if device.type != "cuda":
        return f"only cuda has graphs, and this run is on {device.type}"
    if config.checkpoint_activations:
        # torch.utils.checkpoint asks for the random state in the middle of a step, which no capture allows.
        return "no graph can record a step with speed.checkpoint_activations"
    # NCCL would be recorded, but its watchdog does not see what a graph replays, so that the promise to end within
    # minutes when a process is lost would break; and ending after a capture may hang (pytorch/pytorch#115388).
    return "with several processes, a graph that waits for one that was lost would wait for ever"


class Plays(NamedTuple):
    """How often batches of some shapes were played without a graph."""

    number: int
    pools: list[torch.Size]
    """What the pools held after the last of them, (C, H, W) each."""


class Recording(NamedTuple, Generic[Result]):
    """A step of one shape as a graph, and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    result: Result
    pools: list[torch.Size]


class Graphed(Generic[Result]):
    """Plays `step` as a CUDA graph, one for each shape of batch and set of moving players, once it has run a few times.

    `step` must launch the same kernels on the same memory each time and never fetch a number from the device. What
    lasts from step to step must exist before the first recording and stay where it is: weights, gradients, the
    optimizer's state, the scale of a loss. Whoever puts other tensors in its place has to `release` the graphs first.
    What changes is read from tensors on the device:

    - The pictures are copied into the recording's batch.
    - The learning rate is a tensor, filled before the call; the count of Adam's steps is one too.
    - Random numbers go on from the seed set before the call. A graph holds the address of the generator's seed and
      offset, not their values; `replay` writes the present ones there, and moves the generator on by as much as the
      step has drawn (Note [CUDA Graph-safe RNG states] in ATen's CUDAGeneratorImpl.h). So eager steps and replays
      draw the same numbers.
    - Pools know by their shape when to begin afresh. That happens in Python, so it is done before a replay.

    The moving average and the record of finite steps are not part of the step: they read its weights and its result
    afterwards, on the same stream, and the latter keeps a copy. Autocast keeps no weights from before: it is left, and
    its cache emptied, within each step.

    Graphs share their memory, in which nothing lasts from call to call but the result of the last one. That is why they
    may be replayed in any order: none of them reads what another one has left.

    A step that cannot be recorded, for want of memory or because of its kernels, is told; it and those of other new
    shapes are played without a graph.
    """

    def __init__(self, step: Callable[..., Result], pools: Sequence[Pool]) -> None:
        self.step, self.pools = step, pools
        self._told = False
        self._forget()

    def __call__(self, batch: Batch, *moving: str) -> Result:
        """One step, `step(batch, *moving)`, and what it returns; the next call overwrites its tensors."""
        kind = batch.a.shape, batch.b.shape, moving
        if kind not in self._recordings:
            plays = self._plays.get(kind, Plays(0, []))
            if (
                plays.number < UNRECORDED
                or self.failed
                or self._is_full()
                or not self._record(batch, kind, plays.pools)
            ):
                return self._play(batch, kind, plays.number + 1)
        recording = self._recordings[kind]
        self._fit(recording.pools)
        for kept, new in zip(recording.batch, batch, strict=True):
            kept.copy_(new, non_blocking=True)
        recording.graph.replay()
        return recording.result

    @property
    def recorded(self) -> int:
        """How many shapes have a graph."""
        return len(self._recordings)

    def release(self) -> None:
        """Give back the memory of all graphs. Later calls are played as the first ones were, and recorded again."""
        if not self._recordings:
            return
        torch.cuda.synchronize()  # the last replay may still be running
        for recording in self._recordings.values():
            recording.graph.reset()
        for pool in self.pools:
            pool.let_go()
        self._forget()
        torch.cuda.empty_cache()

    def _forget(self) -> None:
        self.failed = ""
        """Why a step could not be recorded."""
        self._plays: dict[Kind, Plays] = {}
        self._recordings: dict[Kind, Recording[Result]] = {}
        self._stream: torch.cuda.Stream | None = None
        self._memory: Any = None

    def _is_full(self) -> bool:
        full = self.recorded == MOST_GRAPHS
        if full and not self._told:
            helps = "end data.transforms in a RandomCrop to have one size"
            log.warning("speed.graph: batches have more than %d sizes; the rest play slower, without a graph; %s",
                        MOST_GRAPHS, helps)  # fmt: skip
            self._told = True
        return full

    def _play(self, batch: Batch, kind: Kind, number: int) -> Result:
        """As usual, but on the stream that records, as capturing asks of what runs before it."""
        stream = self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self.step(batch, *kind[2])
        torch.cuda.current_stream().wait_stream(stream)
        if len(self._plays) >= MOST_COUNTED:
            self._plays.clear()
        self._plays[kind] = Plays(number, [pool.shape for pool in self.pools])
        return result

    def _record(self, batch: Batch, kind: Kind, pools: Sequence[torch.Size]) -> bool:
        """Note down the kernels of a step, if they can be; nothing is computed yet."""
        self._fit(pools)  # or else the graph would empty them at each replay, and fill memory that is not theirs
        for pool in self.pools:
            pool.hold()
        graph = torch.cuda.CUDAGraph()
        try:
            kept = Batch(*(domain.clone() for domain in batch))
            # By default what any other thread does may end a recording, such as the loader's when it pins a batch.
            with torch.cuda.graph(graph, pool=self._memory, stream=self._stream, capture_error_mode="thread_local"):
                result = self.step(kept, *kind[2])
        except RuntimeError as error:
            self.failed = first_line(error)
            log.warning("speed.graph: a step could not be recorded (%s); it plays slower, without a graph", self.failed)
            return False
        self._memory = graph.pool()
        self._recordings[kind] = Recording(graph, kept, result, list(pools))
        return True

    def _fit(self, pools: Sequence[torch.Size]) -> None:
        """Let the pools hold what they did when these shapes were played."""
        for pool, shape in zip(self.pools, pools, strict=True):
            pool.fit(shape)
