"""Data-parallel training: the processes that torchrun starts, and the exchanges between them."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from cyclegan.util.text import quoted, reason

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others; compiling, sampling and scoring must take less."""

LOST = "another process of this run has ended or cannot be reached, so this one ends too"


@dataclass(frozen=True)
class Processes:
    """This process's rank among `count` processes. Every process must call the same methods in the same order."""

    rank: int = 0
    count: int = 1
    on_this_machine: int = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, the only process that writes files and prints."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one exchange."""
        if self.count == 1:
            return
        together = torch.cat([tensor.flatten() for tensor in tensors])
        with _exchange():
            dist.all_reduce(together)
        parts = torch.split(together.div_(self.count), [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather(self, tensor: Tensor) -> tuple[Tensor, slice]:
        """Return the (N, ...) of all processes as one (N * count, ...), ordered by rank, and this process's slice."""
        if self.count == 1:
            return tensor, slice(None)
        together = tensor.new_empty(self.count * len(tensor), *tensor.shape[1:])
        with _exchange():
            dist.all_gather_into_tensor(together, tensor.contiguous())
        return together, slice(self.rank * len(tensor), (self.rank + 1) * len(tensor))

    def largest(self, number: int) -> int:
        """Return the largest number of all processes. Never waits for a GPU."""
        if self.count == 1:
            return number
        shared = torch.tensor(number)
        with _exchange():
            dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite the tensors in every process with those of rank 0; shapes and types must agree."""
        if self.count == 1:
            return
        for tensor in filter(Tensor.numel, tensors):
            whole = tensor.detach().contiguous()
            with _exchange():
                dist.broadcast(whole, 0)
            tensor.detach().copy_(whole)

    def agree(self, about: str, value: object) -> None:
        """Raise ValueError unless all processes have the same value, compared by its `repr`."""
        if self.count == 1:
            return
        key = _number(repr(value))
        if self.largest(key) != -self.largest(-key):
            raise ValueError(f"the processes of this run see different {about}; give all of them the same")


ALONE = Processes()


@contextmanager
def open_processes() -> Iterator[Processes]:
    """Connect the processes that torchrun started, over NCCL for GPUs and gloo for CPUs; yields `ALONE` without it.

    Raises ValueError when another launcher started several processes without saying how they connect, and
    ConnectionError when another process of the run has ended, does not answer, or cannot be reached.
    """
    _check_environment()
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield ALONE
        return
    on_cuda = torch.cuda.is_available()
    if on_cuda and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        store, rank, count = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun keeps its store when it restarts the processes, and with it the addresses of those that ended.
        own = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
        dist.init_process_group(backend, store=own, rank=rank, world_size=count, timeout=PATIENCE)
    except RuntimeError as error:  # a DistError, or gloo's own
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ConnectionError(f"the processes of this run cannot connect at {place}: {reason(error)}") from error
    try:
        with _exchange():
            before, here = _neighbours(rank, count)
        if on_cuda and "LOCAL_RANK" not in os.environ:
            torch.cuda.set_device(before)
        yield Processes(rank, count, int(os.environ.get("LOCAL_WORLD_SIZE", here)))
    except dist.DistError as error:  # a GPU exchange failed; it is raised when its result is read
        raise ConnectionError(LOST) from error
    finally:
        with _exchange():
            dist.destroy_process_group()


def _check_environment() -> None:
    """Raise ValueError when several processes were started without the variables that torchrun sets."""
    size, tasks = os.environ.get("WORLD_SIZE"), os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if size is None and tasks != "1":
        start = "srun --ntasks-per-node 1 torchrun ... -m cyclegan train ..."
        raise ValueError(
            f"srun started {tasks} processes that are not connected; start torchrun once on each machine instead: "
            f"{start} (docs/train.md has the whole line); if each process is a separate run, set WORLD_SIZE=1"
        )
    if size is None or size == "1":
        return
    if not size.isdecimal():
        raise ValueError(f"WORLD_SIZE: must be the number of processes of this run, not {quoted(size)}")
    if lacking := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        start = f"torchrun --nproc-per-node {size} -m cyclegan train ..."
        raise ValueError(f"WORLD_SIZE is {size}, but not set: {', '.join(lacking)}; start the processes with: {start}")


def _neighbours(rank: int, count: int) -> tuple[int, int]:
    """Return how many processes of lower rank run on this machine, and how many run on it in total."""
    name = _number(platform.node())
    names = torch.empty(count, dtype=torch.long)
    dist.all_gather_into_tensor(names, torch.tensor([name]))
    same = names == name
    return int(same[:rank].sum()), int(same.sum())


@contextmanager
def _exchange() -> Iterator[None]:
    """Raise ConnectionError instead of the errors of an exchange with a lost process; others pass through."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "onnection" not in str(error) and "imed out" not in str(error):
            raise
        raise ConnectionError(LOST) from error


def _number(text: str) -> int:
    """Return a hash of a text that is the same in every process (56 bits of SHA-256)."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:7])
