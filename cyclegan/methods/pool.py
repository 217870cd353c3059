"""The history of generated images that is shown to a discriminator, so that it does not forget old ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

Gather: TypeAlias = Callable[[Tensor], tuple[Tensor, slice]]
"""Maps the fakes of this process to those of all processes, (N * processes, C, H, W), and the slice of its own."""


class Pool(nn.Module):
    """The image buffer of Shrivastava et al. 2017, section 2.3, updated image by image as in CycleGAN.

    Until the pool is full, each new fake is stored and returned. After that, with probability 1/2 a stored fake is
    returned and replaced by the new one; otherwise the new one is returned. The pool is a tensor buffer: it is part of
    `state_dict`, stays on the device, and never makes the host wait. Fakes of a different shape clear the pool. A fake
    that is not finite is returned, but never stored. With `gather`, all processes keep the same pool, that of one large
    batch. Then they draw from `random`, a generator with the same state in each process, instead of the global one.

    The buffer has the shape of the fakes. If a CUDA graph writes into it, `hold` keeps it, and the pool uses it again
    for every fake of that shape.
    """

    rests = False
    """While true, fakes are returned and not stored."""

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
        """The shape (C, H, W) of the stored fakes; empty before the first."""
        return self.images.shape[1:]

    def fit(self, shape: torch.Size) -> None:
        """Prepare for fakes of a shape (C, H, W); a new shape clears the pool."""
        if shape != self.shape:
            self.images = self._buffer(shape).zero_()
            self.count.zero_()

    def hold(self) -> None:
        """Keep the current buffer for its shape from now on."""
        self._held[self.shape] = self.images

    def let_go(self) -> None:
        """Release all kept buffers except the current one."""
        self._held.clear()

    @torch.no_grad()
    def forward(self, fakes: Tensor) -> Tensor:
        """Take new fakes (N, C, H, W) and return as many, each new or from the pool."""
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
        if saved is not None:  # a fresh pool does not know the shape before its first fake
            self.images = self.images.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)
