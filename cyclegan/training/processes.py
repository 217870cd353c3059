"""Several processes that train one method: torchrun starts them, here they meet."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

PATIENCE = timedelta(minutes=10)
"""A process that has waited so long for another one gives up; compiling, sampling and scoring must fit in."""


@dataclass(frozen=True)
class Processes:
    """This process's place among `count`. All of them call each method, in the same order."""

    rank: int = 0
    count: int = 1
    on_this_machine: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes in place of each tensor, by one exchange."""
        if self.count == 1:
            return
        together = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(together)
        parts = torch.split(together.div_(self.count), [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather(self, tensor: Tensor) -> tuple[Tensor, slice]:
        """Everybody's (N, ...) as one (N * count, ...), in the order of ranks, and where one's own lies in it."""
        if self.count == 1:
            return tensor, slice(None)
        together = tensor.new_empty(self.count * len(tensor), *tensor.shape[1:])
        dist.all_gather_into_tensor(together, tensor.contiguous())
        return together, slice(self.rank * len(tensor), (self.rank + 1) * len(tensor))

    def largest(self, number: int) -> int:
        """The largest of everybody's numbers. Never waits for a GPU."""
        if self.count == 1:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def agree(self, about: str, value: object) -> None:
        """Raise ValueError unless everybody has the same value, compared by its `repr`."""
        key = int.from_bytes(hashlib.sha256(repr(value).encode("utf-8", "surrogateescape")).digest()[:7])
        if self.largest(key) != -self.largest(-key):
            raise ValueError(f"the processes of this run see different {about}; give all of them the same")


ALONE = Processes()


@contextmanager
def open_processes() -> Iterator[Processes]:
    """Meet the others that torchrun started, over NCCL where there are GPUs, else over gloo; alone without torchrun.

    Raises ConnectionError, in one line, when another process of the run has ended or stays silent.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        store, rank, count = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun keeps its store when it starts everybody again, with the addresses of the dead in it.
        own = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
        dist.init_process_group(backend, store=own, rank=rank, world_size=count, timeout=PATIENCE)
        try:
            yield Processes(rank, count, int(os.environ["LOCAL_WORLD_SIZE"]))
        finally:
            dist.destroy_process_group()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "onnection" not in str(error) and "imed out" not in str(error):
            raise
        raise ConnectionError("another process of this run has ended or is out of reach; so does this one") from error
