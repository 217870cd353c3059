"""A history of fakes, so that the discriminator does not forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

Gather: TypeAlias = Callable[[Tensor], tuple[Tensor, slice]]
"""From one process's fakes to those of all, (N * processes, C, H, W), and the place of its own among them."""


class Pool(nn.Module):
    """The image buffer of Shrivastava et al. 2017, section 2.3, image by image as in CycleGAN.

    While it fills, a new fake is stored and returned. Then, with probability 1/2, a stored one is returned and
    replaced by the new one; otherwise the new one is returned. A tensor buffer: it travels in `state_dict`, lives on
    the device, and never makes the host wait. Fakes of another shape than before start it afresh; a fake that is not
    finite is returned and never stored. With `gather`, all processes keep the same pool, that of one large batch; they
    draw from a `random` stream that is the same for all, and not from the global one, which is their own.

    It has one buffer, of the shape of its fakes. Where a CUDA graph writes into that one, `hold` keeps it, and the pool
    comes back to it whenever it gets fakes of that shape again.
    """

    rests = False
    """While set, fakes pass, and none is remembered."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.gather: Gather = lambda fakes: (fakes, slice(None))
        self.random: torch.Generator | None = None
        self.register_buffer("images", torch.empty(0))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.images: Tensor
        self.count: Tensor
        self._held: dict[torch.Size, Tensor] = {}

    @property
    def shape(self) -> torch.Size:
        """(C, H, W) of the fakes that it remembers; empty before the first."""
        return self.images.shape[1:]

    def fit(self, shape: torch.Size) -> None:
        """Be ready for fakes of a shape (C, H, W): if it is another than before, begin afresh."""
        if shape != self.shape:
            self.images = self._buffer(shape).zero_()
            self.count.zero_()

    def hold(self) -> None:
        """Keep the present buffer for its shape from now on."""
        self._held[self.shape] = self.images

    def let_go(self) -> None:
        """Keep no buffer but the present one."""
        self._held.clear()

    @torch.no_grad()
    def forward(self, fakes: Tensor) -> Tensor:
        """(N, C, H, W) new fakes to as many, new or old."""
        if self.size == 0 or self.rests:
            return fakes
        self.fit(fakes.shape[1:])
        everybodys, own = self.gather(fakes)
        return torch.cat([self._exchange(fake) for fake in everybodys.unsqueeze(1)])[own]

    def _exchange(self, fake: Tensor) -> Tensor:
        full, finite = self.count >= self.size, fake.isfinite().all()
        drawn = torch.randint(self.size, (), device=fake.device, generator=self.random)
        slot = torch.where(full, drawn, self.count).unsqueeze(0)
        swap = full & finite & (torch.rand((), device=fake.device, generator=self.random) < 0.5)
        old = self.images.index_select(0, slot)
        self.images.index_copy_(0, slot, torch.where(swap | (~full & finite), fake, old))
        self.count += ~full & finite
        return torch.where(swap, old, fake)

    def _buffer(self, shape: torch.Size) -> Tensor:
        return self._held[shape] if shape in self._held else self.images.new_empty(self.size, *shape)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        saved = state_dict.get(prefix + "images")
        if saved is not None:  # the shape is known only once the first fake has come
            self.images = self.images.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)
