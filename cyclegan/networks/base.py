"""The base classes of generators and critics (discriminators)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.adaptive import Adaptive
from cyclegan.networks.blocks import Initial, PreciseConv2d, initialise, mirror_pad
from cyclegan.types import Scores

if TYPE_CHECKING:
    from cyclegan.networks.config import AnyGeneratorConfig


class Generator(nn.Module):
    """A network that maps an image to an image of the same size, and perhaps another number of channels.

    Images of any size are padded to sides that `translate` accepts, and the output is cropped.
    """

    config: AnyGeneratorConfig
    inputs: int
    """The number of channels of the images that it translates."""
    outputs: int
    """The number of channels of the translations."""
    stages: nn.Sequential
    """The modules of the network in order, without the last convolution."""
    multiple: int
    """The sides of images in `translate` must be multiples of this number of pixels."""
    smallest: int
    """The sides of images in `translate` must have at least this number of pixels."""
    independent = True
    """Whether each image of a batch is processed independently of the others (false with batch norm)."""
    encoded: tuple[int, ...]
    """The number of channels of each layer that `encode` returns."""
    style_size = 0
    """The length of a style code; 0 for a generator whose translations depend on the image only."""

    def forward(self, x: Tensor) -> Tensor:
        """Translate images (N, inputs, H, W) in [-1, 1], of any H and W, to (N, outputs, H, W) in [-1, 1], float32."""
        height, width = x.shape[2:]
        return self.translate(mirror_pad(x, self.multiple, self.smallest))[:, :, :height, :width]

    @abstractmethod
    def translate(self, x: Tensor) -> Tensor:
        """Translate images whose sides are multiples of `multiple` and at least `smallest`; otherwise as `forward`."""

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the layers on which PatchNCE compares patches, from the pixels to deep features.

        (Park et al. 2020, section 3: the pixels and four layers of the first half of the generator.)
        """

    def features(self, x: Tensor, at: Sequence[int]) -> list[Tensor]:
        """Return the outputs of the stages numbered in `at` for `x`, in order; later stages are not computed.

        Raises ValueError for a number that is not a stage.
        """
        self.check_stages(at)
        x, kept = mirror_pad(x, self.multiple, self.smallest), []
        for number, stage in enumerate(self.stages[: max(at) + 1]):
            x = stage(x)
            if number in at:
                kept.append(x)
        return kept

    def initialise(self, how: Initial = "normal") -> None:
        """Initialise the weights (see `blocks.initialise`)."""
        initialise(self, how)

    def check_stages(self, at: Sequence[int]) -> None:
        """Raise ValueError if a number in `at` is not a stage."""
        if not at or min(at) < 0 or max(at) >= len(self.stages):
            raise ValueError(f"features: stages are 0 to {len(self.stages) - 1}, not {list(at)}")


class StyleGenerator(Generator):
    """A generator whose translations depend on an image and on a style code (N, style_size).

    `mlp` maps a code to the numbers of the adaptive layers (`networks/adaptive.py`), each of which uses its own part.
    """

    style_size: int
    mlp: nn.Sequential
    """Linear layers with ReLUs between them; empty if the code is the numbers."""
    has_prior: bool
    """Whether styles may be drawn from N(0, 1); false if every style comes from a picture."""
    style_sides: tuple[int, int]
    """The `multiple` and `smallest` of the pictures that `style_features` accepts."""
    style_head: PreciseConv2d | None
    """The 1x1 convolution from the means of `style_features` to the style code, if the code is such a function."""

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate images (N, inputs, H, W) in [-1, 1], of any H and W, to (N, outputs, H, W) in [-1, 1], float32.

        `style` is a code for each image, (N, style_size), or one for all, (1, style_size); none: the code of zeros.
        """
        height, width = x.shape[2:]
        padded = mirror_pad(x, self.multiple, self.smallest)
        return self.translate(padded, self.numbers(x, style))[:, :, :height, :width]

    @abstractmethod
    def translate(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        """Translate images whose sides `forward` has padded, with the numbers (N or 1, M) of the adaptive layers."""

    @abstractmethod
    def style_features(self, pictures: Tensor) -> Tensor:
        """Return the layer (N, F, h, w) whose statistics are the style, of pictures that `encode_style` has padded."""

    def encode_style(self, pictures: Tensor) -> Tensor:
        """Return the style codes (N, style_size) of pictures (N, outputs, H, W) in [-1, 1] of the target domain.

        They are linear functions of the mean of each channel of `style_features`, if there is a `style_head`; else the
        mean and the deviation of each channel, and 1. At least float32.
        """
        return self.code_of(self.style_features(mirror_pad(pictures, *self.style_sides)))

    def code_of(self, features: Tensor) -> Tensor:
        """Return the style codes (N, style_size) of what `style_features` returns; see `encode_style`."""
        precise = features.to(torch.promote_types(features.dtype, torch.float32))
        if self.style_head is not None:
            code: Tensor = self.style_head(precise.mean(dim=(2, 3), keepdim=True))
            return code.flatten(1)
        variance, mean = torch.var_mean(precise, dim=(2, 3), correction=0)
        return torch.cat([mean, torch.sqrt(variance + 1e-5), torch.ones_like(mean[:, :1])], dim=1)

    def weaken(self, style: Tensor, strength: float) -> Tensor:
        """Return codes (N, style_size) whose effect is `strength` times as strong; 1 changes nothing."""
        return strength * style

    def random_styles(self, number: int, random: torch.Generator) -> Tensor:
        """Return style codes (number, style_size) from N(0, 1), drawn on the CPU, so that every device has the same."""
        return torch.randn(number, self.style_size, generator=random).to(next(self.parameters()))

    def numbers(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Return the numbers (N or 1, M) of the adaptive layers for images x, at least float32."""
        with torch.autocast(x.device.type, enabled=False):
            kind = torch.promote_types(x.dtype, torch.float32)
            code = x.new_zeros(1, self.style_size, dtype=kind) if style is None else style.to(kind)
            numbers: Tensor = self.mlp(code)
        return numbers

    def features(self, x: Tensor, at: Sequence[int], style: Tensor | None = None) -> list[Tensor]:
        """Return the outputs of the stages numbered in `at`; see `Generator.features`."""
        self.check_stages(at)
        numbers = self.numbers(x, style)
        x, kept = mirror_pad(x, self.multiple, self.smallest), []
        for number, stage in enumerate(self.stages[: max(at) + 1]):
            x = stage(x, numbers) if isinstance(stage, Adaptive) else stage(x)
            if number in at:
                kept.append(x)
        return kept


class Critic(nn.Module):
    """A discriminator: it scores each patch of an image, at one or more scales; higher means more real."""

    conditional: bool
    """Whether the input includes the source of the translation (pix2pix)."""
    independent = True
    """Whether each image of a batch is processed independently of the others (false with batch norm)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Scores:
        """Score images (N, C, H, W) in [-1, 1]; a conditional critic expects source and target in the channels."""

    def score(self, target: Tensor, source: Tensor | None = None) -> Scores:
        """Score images (N, C, H, W) in [-1, 1]; a conditional critic also gets the source they were translated from.

        (Isola et al. 2017, eq. 1: D(x, y) with the source first.)
        """
        seen = torch.cat([source, target], dim=1) if self.conditional and source is not None else target
        scores: Scores = self(seen)
        return scores

    def patches(self, target: Tensor, source: Tensor | None = None) -> Tensor:
        """Return the scores as one map (N, 1, h, w) to display: the mean over scales, coarse maps enlarged."""
        finest, *coarser = self.score(target, source)
        enlarged = [F.interpolate(scores, finest.shape[2:], mode="bilinear") for scores in coarser]
        return torch.stack([finest, *enlarged]).mean(dim=0)
