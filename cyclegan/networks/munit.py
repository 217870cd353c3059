"""The generator of MUNIT: a content encoder, a style encoder, and a decoder that joins a content and a style."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from cyclegan.networks.adaptive import Adaptive, AdaptiveNorm
from cyclegan.networks.base import StyleGenerator
from cyclegan.networks.blocks import (
    InstanceNorm,
    LayerNorm,
    PreciseConv2d,
    ReflectConv2d,
    ResidualBlock,
    mirror_pad,
    reflect_pad,
)
from cyclegan.networks.config import MunitGeneratorConfig


class MunitGenerator(StyleGenerator):
    """The content encoder of the source domain; the style encoder and the decoder of the target domain.

    (Huang et al. 2018, section 5.1.) The auto-encoder of a domain consists of parts of two generators: the content
    encoder of the one that translates from it, and the rest of the one that translates to it. The last generator's
    `decode` accepts contents of both.

    Stage 0 is the first convolution of the content encoder; stages that downsample and its residual blocks follow, then
    the adaptive residual blocks of the decoder and the stages that upsample. All convolutions pad by reflection. Those
    before instance norm, also inside AdaIN, have no bias: the norm would cancel it, and Adam would magnify its
    rounding errors.
    """

    has_prior = True

    def __init__(self, config: MunitGeneratorConfig, inputs: int = 3, outputs: int = 3) -> None:
        super().__init__()
        self.config: MunitGeneratorConfig = config
        self.inputs, self.outputs, self.style_size = inputs, outputs, config.style_size
        self.multiple = 2**config.downsamplings
        self.smallest = max(4, 2 * self.multiple)  # padding by reflection needs more pixels than it adds
        widths = [config.width * 2**i for i in range(config.downsamplings + 1)]
        content = widths[-1]
        self.encoded = (inputs, *widths, content)
        places = range(0, 4 * content * config.blocks, 4 * content)
        self.stages = nn.Sequential(
            _normalised(ReflectConv2d(inputs, widths[0], 7, bias=False), InstanceNorm()),
            *(_normalised(ReflectConv2d(w, 2 * w, 4, bias=False, stride=2), InstanceNorm()) for w in widths[:-1]),
            *(ResidualBlock(content, 0.0, False, lambda channels: InstanceNorm()) for _ in range(config.blocks)),
            *(AdaptiveBlock(content, place) for place in places),
            *(_up(w) for w in reversed(widths[1:])),
        )
        self.head = PreciseConv2d(widths[0], outputs, 7)
        self.style = _style_encoder(config, outputs)
        self.style_sides = 1, 2**config.style_downsamplings
        self.mlp = nn.Sequential(
            nn.Linear(config.style_size, config.mlp_width),
            nn.ReLU(),
            nn.Linear(config.mlp_width, config.mlp_width),
            nn.ReLU(),
            nn.Linear(config.mlp_width, places.stop),
        )
        self.initialise("kaiming")

    def translate(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        """Translate images (N, inputs, H, W) with the numbers (N or 1, M) of a style: see `StyleGenerator`."""
        return self._decode(self._encode(x), self.numbers(x) if numbers is None else numbers)

    def content(self, x: Tensor) -> Tensor:
        """Return the contents (N, C, h, w) of images (N, inputs, H, W) in [-1, 1], of any H and W."""
        return self._encode(mirror_pad(x, self.multiple, self.smallest))

    def decode(self, content: Tensor, style: Tensor, size: Sequence[int]) -> Tensor:
        """Return images (N, outputs, H, W) in [-1, 1], float32, of contents (N, C, h, w) and styles.

        `style` is a code for each content, (N, style_size), or one for all, (1, style_size). `size` is (H, W), that of
        the images whose contents they are.
        """
        height, width = size
        return self._decode(content, self.numbers(content, style))[:, :, :height, :width]

    def style_features(self, pictures: Tensor) -> Tensor:
        """Return the last layer of the style encoder (N, F, h, w), before the mean over places."""
        x = pictures
        for module in self.style[:-1]:
            x = module(x)
        return x

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the images and the outputs of the content encoder: its convolutions, and the last of its blocks."""
        at = [*range(self.config.downsamplings + 1), self._contents - 1]
        return [mirror_pad(x, self.multiple, self.smallest), *self.features(x, at)]

    @property
    def style_head(self) -> PreciseConv2d:  # type: ignore[override]  # which it always has
        """The last convolution of the style encoder."""
        head = self.style[-1]
        assert isinstance(head, PreciseConv2d)
        return head

    @property
    def _contents(self) -> int:
        """The number of stages of the content encoder."""
        return 1 + self.config.downsamplings + self.config.blocks

    def _encode(self, x: Tensor) -> Tensor:
        for stage in self.stages[: self._contents]:
            x = stage(x)
        return x

    def _decode(self, x: Tensor, numbers: Tensor) -> Tensor:
        for stage in self.stages[self._contents :]:
            x = stage(x, numbers) if isinstance(stage, Adaptive) else stage(x)
        return torch.tanh(self.head(reflect_pad(x, 3)))


class AdaptiveBlock(Adaptive):
    """A residual block whose norms are AdaIN: the first uses the numbers from `place` on, the second those after."""

    def __init__(self, width: int, place: int) -> None:
        super().__init__()
        self.first = ReflectConv2d(width, width, 3, bias=False)
        self.first_norm = AdaptiveNorm(width, place)
        self.second = ReflectConv2d(width, width, 3, bias=False)
        self.second_norm = AdaptiveNorm(width, self.first_norm.end)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape; H and W must be at least 2."""
        y: Tensor = torch.relu(self.first_norm(self.first(x), numbers))
        y = self.second_norm(self.second(y), numbers)
        return x + y


def _style_encoder(config: MunitGeneratorConfig, inputs: int) -> nn.Sequential:
    """Build the style encoder; its last convolution is for the mean over places. There is no norm.

    Instance norm would remove the means and deviations of the features, which are the style (section 5.1).
    """
    widths = [config.width * min(2**i, 4) for i in range(config.style_downsamplings + 1)]
    layers: list[nn.Module] = [ReflectConv2d(inputs, widths[0], 7), nn.ReLU()]
    for before, after in pairwise(widths):
        layers += [ReflectConv2d(before, after, 4, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, PreciseConv2d(widths[-1], config.style_size, 1))


def _up(width: int) -> nn.Sequential:
    """Build a stage that doubles the size and halves the width."""
    convolution = ReflectConv2d(width, width // 2, 5)
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution, LayerNorm(width // 2), nn.ReLU())


def _normalised(convolution: nn.Module, norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, norm, nn.ReLU())
