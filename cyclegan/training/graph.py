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
"""What a graph is recorded for: the shapes of both domains of the batch, and the names of the players that step."""

UNRECORDED = 3
"""Eager steps of a shape before it is recorded: they compile, choose kernels and make lasting allocations."""

MOST_GRAPHS = 8
"""Largest number of shapes with a graph; each keeps its own batch and pools, besides the memory that all share."""

MOST_COUNTED = 1000
"""Largest number of shapes whose steps are counted; when it is reached, counting restarts."""

log = logging.getLogger(__name__)


def has_graphs(config: SpeedConfig, device: torch.device, processes: int = 1) -> bool:
    """Return whether steps can be replayed as CUDA graphs.

    Raises ValueError when `speed.graph` is on and the device is not CUDA, activations are checkpointed, or there are
    several processes.
    """
    fits = device.type == "cuda" and not config.checkpoint_activations and processes == 1
    if config.graph == "on" and not fits:
        raise ValueError(f"speed.graph: {_obstacle(config, device)}; leave it at auto")
    return fits


def _obstacle(config: SpeedConfig, device: torch.device) -> str:
    if device.type != "cuda":
        return f"CUDA graphs need a cuda device, and this run is on {device.type}"
    if config.checkpoint_activations:
        # torch.utils.checkpoint reads the random state in the middle of a step, which a capture does not allow.
        return "a CUDA graph cannot record a step with speed.checkpoint_activations"
    # NCCL could be recorded, but its watchdog does not see what a graph replays: when a process is lost, the others
    # would not end within minutes. Ending after a capture may also hang (pytorch/pytorch#115388).
    return "with several processes, a CUDA graph would wait forever for a process that was lost"


class Plays(NamedTuple):
    """Counts the eager steps with batches of certain shapes."""

    number: int
    pools: list[torch.Size]
    """The shape (C, H, W) of the images in each pool after the last of these steps."""


class Recording(NamedTuple, Generic[Result]):
    """The graph of a step for batches of one shape, and the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    result: Result
    pools: list[torch.Size]


class Graphed(Generic[Result]):
    """Runs `step` as a CUDA graph, one for each shape of batch and set of players, after a few eager steps.

    `step` must launch the same kernels on the same memory each time and never fetch a number from the device. Tensors
    that persist between steps (weights, gradients, the optimizer's state, the loss scale) must exist before the first
    recording and stay at their address. Call `release` before replacing any of them.
    Values that change are read from tensors on the device:

    - The images are copied into the recording's batch.
    - The learning rate and Adam's step count are tensors; the learning rate is filled before the call.
    - Random numbers continue from the seed set before the call. A graph holds the address of the generator's seed and
      offset, not their values; `replay` writes the current values there, and advances the generator by as much as the
      step has drawn (Note [CUDA Graph-safe RNG states] in ATen's CUDAGeneratorImpl.h). So eager steps and replays
      draw the same numbers.
    - Pools change their history when the image shape changes. That happens in Python, so it is done before a replay.

    The EMA and the record of finite steps are not part of the step: they read its weights and its result afterwards, on
    the same stream, and the latter keeps a copy. Autocast is left within each step, which empties its cache, so no
    weights cached by an earlier step are used.

    All graphs share one memory pool. Only the result of the last call persists in it, so graphs may be replayed in any
    order: none reads what another has left.

    A step that cannot be recorded, for lack of memory or because of its kernels, is logged as a warning; it and the
    steps of other new shapes run eagerly.
    """

    def __init__(self, step: Callable[..., Result], pools: Sequence[Pool]) -> None:
        self.step, self.pools = step, pools
        self._told = False
        self._forget()

    def __call__(self, batch: Batch, *moving: str) -> Result:
        """Run `step(batch, *moving)` and return its result; the next call overwrites the result's tensors."""
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
        """The number of shapes that have a graph."""
        return len(self._recordings)

    def release(self) -> None:
        """Free the memory of all graphs. Later steps run eagerly at first and are then recorded again."""
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
        """Why a step could not be recorded; empty if none failed."""
        self._plays: dict[Kind, Plays] = {}
        self._recordings: dict[Kind, Recording[Result]] = {}
        self._stream: torch.cuda.Stream | None = None
        self._memory: Any = None

    def _is_full(self) -> bool:
        full = self.recorded == MOST_GRAPHS
        if full and not self._told:
            helps = "set data.fit to crop to have one size"
            log.warning("speed.graph: batches have more than %d sizes; the others run slower, without a graph; %s",
                        MOST_GRAPHS, helps)  # fmt: skip
            self._told = True
        return full

    def _play(self, batch: Batch, kind: Kind, number: int) -> Result:
        """Run a step eagerly, but on the recording stream, as capturing requires of the steps before it."""
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
        """Record the kernels of a step without computing anything; returns whether it succeeded."""
        self._fit(pools)  # otherwise the graph would empty the pools at each replay, and write to memory not theirs
        for pool in self.pools:
            pool.hold()
        graph = torch.cuda.CUDAGraph()
        try:
            kept = Batch(*(domain.clone() for domain in batch))
            # By default any other thread may break a recording, such as the loader's thread when it pins a batch.
            with torch.cuda.graph(graph, pool=self._memory, stream=self._stream, capture_error_mode="thread_local"):
                result = self.step(kept, *kind[2])
        except RuntimeError as error:
            self.failed = first_line(error)
            log.warning("speed.graph: a step could not be recorded (%s); it runs slower, without a graph", self.failed)
            return False
        self._memory = graph.pool()
        self._recordings[kind] = Recording(graph, kept, result, list(pools))
        return True

    def _fit(self, pools: Sequence[torch.Size]) -> None:
        """Give each pool the image shape that it had after the last step with these shapes."""
        for pool, shape in zip(self.pools, pools, strict=True):
            pool.fit(shape)
