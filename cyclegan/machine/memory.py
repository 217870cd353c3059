"""Memory that runs out: noticed whoever says so, tried again with less at once, told in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

SAYS_SO = re.compile(
    "allocate memory|not enough memory|out of memory|bad_alloc|ALLOC_FAILED"
    "|could not create a (memory|primitive)"  # oneDNN's words when it gets none
)
ASKED = re.compile("allocate ([0-9.]+) (bytes|[KMGT]iB)")
"""How torch, on a CPU in bytes, and NumPy say what was too much."""

UNITS = {"bytes": 2**-20, "KiB": 2**-10, "MiB": 1, "GiB": 2**10, "TiB": 2**20}
"""In MiB."""

BEGIN = "out of memory"
HELPS = "smaller pictures, or a device with more memory"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, Python's, the CPU's or the GPU's: torch has a name only for the last."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(SAYS_SO.search(str(error)))


def told(error: BaseException, helps: str = HELPS) -> str:
    """One line for memory that ran out: how much more was asked for, if the error says so, and what helps."""
    if str(error).startswith(BEGIN):  # it was told, and nearer to where it happened
        return str(error)
    asked = ""
    if found := ASKED.search(str(error)):
        mib = float(found[1]) * UNITS[found[2]]
        asked = f" ({f'{mib / 2**10:.1f} GiB' if mib > 1000 else f'{mib:.0f} MiB'} more were asked for)"
    return f"{BEGIN}{asked}; what helps: {helps}"


@contextmanager
def memory_told(helps: str = HELPS) -> Iterator[None]:
    """Say what helps when memory runs out: MemoryError with one line instead of the allocator's own error."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(told(error, helps)) from error


def one_by_one_if_need_be(work: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """`work(batch)`; where memory does not hold all of it at once, each (1, ...) of it in turn.

    Raises what `work` raises, also where memory does not hold one.
    """
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    free_memory()  # here, not above: the error's traceback holds what the failed call had made
    return torch.cat([work(each) for each in torch.split(batch, 1)])


def free_memory() -> None:
    """Give back what torch keeps of a GPU's memory to use again."""
    with suppress(RuntimeError):  # a GPU that failed altogether says so again at its next use
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
