"""What every generator and every critic has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.blocks import Initial, initialise, mirror_pad
from cyclegan.types import Scores

if TYPE_CHECKING:
    from cyclegan.networks.config import GeneratorConfig


class Generator(nn.Module):
    """A picture in, a picture of the same size out.

    A subclass has `stages`, modules one after another, and says of which `multiple` the sides of its input must be.
    """

    config: GeneratorConfig
    stages: nn.Sequential
    multiple: int
    smallest: int
    """Pixels that a side must have at least."""
    independent = True
    """Whether the pictures of a batch do not see each other."""
    encoded: tuple[int, ...]
    """Channels of what `encode` gives, layer by layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1], any H and W, to the same shape and range in float32."""
        height, width = x.shape[2:]
        return self.translate(mirror_pad(x, self.multiple, self.smallest))[:, :, :height, :width]

    @abstractmethod
    def translate(self, x: Tensor) -> Tensor:
        """As `forward`, of pictures whose sides are multiples of `multiple`, and at least `smallest`."""

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """The layers by which patches of two pictures are compared, from the picture itself to deep ones.

        (Park et al. 2020, section 3: the pixels and four layers of the first half of the generator.)
        """

    def features(self, x: Tensor, at: Sequence[int]) -> list[Tensor]:
        """What the stages numbered in `at` give for `x`, in order; nothing after the last of them is computed.

        Raises ValueError for a number that is no stage.
        """
        self.check_stages(at)
        x, kept = mirror_pad(x, self.multiple, self.smallest), []
        for number, stage in enumerate(self.stages[: max(at) + 1]):
            x = stage(x)
            if number in at:
                kept.append(x)
        return kept

    def initialise(self, how: Initial = "normal") -> None:
        """Fresh weights (see `blocks.initialise`)."""
        initialise(self, how)

    def check_stages(self, at: Sequence[int]) -> None:
        """Raise ValueError for a number that is no stage."""
        if not at or min(at) < 0 or max(at) >= len(self.stages):
            raise ValueError(f"features: stages are 0 to {len(self.stages) - 1}, not {list(at)}")


class Critic(nn.Module):
    """Scores of pictures, one for each patch and at each scale, higher where they look more real."""

    conditional: bool
    """Whether it sees the source beside the target."""
    independent = True
    """Whether the pictures of a batch do not see each other."""

    @abstractmethod
    def forward(self, x: Tensor) -> Scores:
        """Of what it sees, (N, C, H, W) in [-1, 1]: the source, if any, and the target."""

    def score(self, target: Tensor, source: Tensor | None = None) -> Scores:
        """Scores of pictures (N, C, H, W) in [-1, 1]; a conditional critic sees what they were translated from too.

        (Isola et al. 2017, eq. 1: D(x, y) with the source first.)
        """
        seen = torch.cat([source, target], dim=1) if self.conditional and source is not None else target
        scores: Scores = self(seen)
        return scores

    def patches(self, target: Tensor, source: Tensor | None = None) -> Tensor:
        """As `score`, in one map (N, 1, h, w) for people to look at: the mean over scales, coarse ones enlarged."""
        finest, *coarser = self.score(target, source)
        enlarged = [F.interpolate(scores, finest.shape[2:], mode="bilinear") for scores in coarser]
        return torch.stack([finest, *enlarged]).mean(dim=0)
