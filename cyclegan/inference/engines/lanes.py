"""Translating several pictures at a time on a CPU, each by one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor


class Lanes:
    """Threads in which torch itself uses one thread only.

    The threads of one convolution wait for each other many times for each picture; when another program uses a core,
    all wait for it. Those of different pictures do not.
    """

    def __init__(self, number: int) -> None:
        before = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(number, "cyclegan-lane", _use_one_thread)
        ready = threading.Barrier(number)
        list(self._pool.map(lambda _: ready.wait(), range(number)))  # now all threads have begun
        torch.set_num_threads(before)  # it is also what threads begin with that are started later

    def translate(self, network: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """Return what `network` makes of images (N, C, H, W), and perhaps other inputs (N, ...), each alone."""
        return torch.cat(list(self._pool.map(network, *(torch.split(each, 1) for each in inputs))))


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # the first call in a thread sets the number that was set last in any thread
