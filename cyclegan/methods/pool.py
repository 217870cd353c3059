"""The history of generated images that is shown to a discriminator, so that it does not forget old ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Gather: TypeAlias = Callable[[Tensor], tuple[Tensor, slice]]
"""Maps the fakes of this process to those of all processes, (N * processes, C, H, W), and the slice of its own."""

OTHERS = "others."
"""The begin of the names, in a `state_dict`, of histories of other shapes than the last one."""


class Pool(nn.Module):
    """The image buffer of Shrivastava et al. 2017, section 2.3, updated image by image as in CycleGAN.

    Until the pool is full, each new fake is stored and returned. After that, with probability 1/2 a stored fake is
    returned and replaced by the new one; otherwise the new one is returned. The pool is a tensor buffer: it is part of
    `state_dict`, stays on the device, and never makes the host wait. A fake that is not finite is returned, but never
    stored. With `gather`, all processes keep the same pool, that of one large batch. Then they draw from `random`, a
    generator with the same state in each process, instead of the global one.

    The buffer has the shape of the fakes. By default fakes of a different shape clear the pool. For fakes of several
    `shapes` it keeps one history for each, of equal parts of `size` (at least one image), so that all of them together
    have about `size` images. Were there more shapes, the history that was used longest ago would be dropped.

    If a CUDA graph writes into the buffer, `hold` keeps it, and the pool uses it again for every fake of that shape.
    """

    rests = False
    """While true, fakes are returned and not stored."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.shapes = size, 1
        self.gather: Gather = lambda fakes: (fakes, slice(None))
        self.random: torch.Generator | None = None
        self.register_buffer("images", torch.empty(0))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.images: Tensor
        self.count: Tensor
        self._held: dict[torch.Size, Tensor] = {}
        self._others: dict[torch.Size, tuple[Tensor, Tensor]] = {}
        """The images and counts of the other shapes, the last used one last."""

    @property
    def shape(self) -> torch.Size:
        """The shape (C, H, W) of the stored fakes; empty before the first."""
        return self.images.shape[1:]

    def fit(self, shape: torch.Size) -> None:
        """Prepare for fakes of a shape (C, H, W): continue with their history, or begin one."""
        if shape == self.shape:
            return
        if self.shape and self.shapes > 1:
            self._others[self.shape] = self.images, self.count.clone()
        if shape in self._others:
            self.images, count = self._others.pop(shape)
            self.count.copy_(count)
            return
        while len(self._others) >= max(self.shapes, 1):
            del self._others[next(iter(self._others))]
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
        room = len(self.images)
        full, finite = self.count >= room, fake.isfinite().all()
        drawn = torch.randint(room, (), device=fake.device, generator=self.random)
        slot = torch.where(full, drawn, self.count).unsqueeze(0)
        swap = full & finite & (torch.rand((), device=fake.device, generator=self.random) < 0.5)
        old = self.images.index_select(0, slot)
        self.images.index_copy_(0, slot, torch.where(swap | (~full & finite), fake, old))
        self.count += ~full & finite
        return torch.where(swap, old, fake)

    def _buffer(self, shape: torch.Size) -> Tensor:
        if shape in self._held:
            return self._held[shape]
        return self.images.new_empty(math.ceil(self.size / self.shapes), *shape)

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for number, (images, count) in enumerate(self._others.values()):
            destination[f"{prefix}{OTHERS}{number}.images"] = images
            destination[f"{prefix}{OTHERS}{number}.count"] = count

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(prefix + "images")
        if saved is not None:  # a fresh pool does not know the shape before its first fake
            self.images = self.images.new_empty(saved.shape)
        beside = {key: tensor for key, tensor in state_dict.items() if key.startswith(prefix + OTHERS)}
        self._others = {}
        for number in range(len(beside) // 2):
            images, count = (beside[f"{prefix}{OTHERS}{number}.{name}"] for name in ("images", "count"))
            self._others[images.shape[1:]] = images.to(self.images).clone(), count.to(self.count).clone()
        super()._load_from_state_dict(
            {key: tensor for key, tensor in state_dict.items() if key not in beside}, prefix, *rest
        )
