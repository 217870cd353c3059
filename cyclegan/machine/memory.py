"""Handle errors of memory that runs out: recognise them, retry with smaller batches, report them in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SAYS_SO = re.compile(
    "allocate memory|not enough memory|out of memory|bad_alloc|ALLOC_FAILED"
    "|could not create a (memory|primitive)"  # oneDNN's message when an allocation fails
)
"""The messages of RuntimeErrors for memory that ran out."""

ASKED = re.compile("allocate ([0-9.]+) (bytes|[KMGT]iB)")
"""How the messages of torch (in bytes on a CPU) and NumPy give the size of the failed allocation."""

UNITS = {"bytes": 2**-20, "KiB": 2**-10, "MiB": 1, "GiB": 2**10, "TiB": 2**20}
"""The units of these sizes in MiB."""

BEGIN = "out of memory"
HELPS = "smaller pictures, or a device with more memory"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of Python, the CPU or the GPU ran out.

    torch has an exception type for the GPU only; on a CPU it raises RuntimeError.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(SAYS_SO.search(str(error)))


def told(error: BaseException, helps: str = HELPS) -> str:
    """Return one line about memory that ran out: the size of the failed allocation, if known, and what to try."""
    if str(error).startswith(BEGIN):  # an inner context has already written this line
        return str(error)
    asked = ""
    if found := ASKED.search(str(error)):
        mib = float(found[1]) * UNITS[found[2]]
        asked = f" ({f'{mib / 2**10:.1f} GiB' if mib > 1000 else f'{mib:.0f} MiB'} more were requested)"
    return f"{BEGIN}{asked}; try {helps}"


@contextmanager
def memory_told(helps: str = HELPS) -> Iterator[None]:
    """A context in which running out of memory raises MemoryError with one line that says what to try (`helps`)."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(told(error, helps)) from error


def one_by_one_if_need_be(work: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """Return `work(batch)`; if memory runs out, run `work` on each (1, ...) of the batch and concatenate the results.

    Raises what `work` raises, including the error if memory does not suffice for one item.
    """
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    import torch

    free_memory()  # not inside `except`, where the traceback keeps the tensors of the failed call alive
    return torch.cat([work(each) for each in torch.split(batch, 1)])


def free_memory() -> None:
    """Release the GPU memory that torch caches for reuse."""
    if (torch := sys.modules.get("torch")) is None:
        return
    with suppress(RuntimeError):  # a GPU that has failed raises again at its next use
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
