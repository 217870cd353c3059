"""The ResNet generator of CycleGAN."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cyclegan.networks.base import Generator
from cyclegan.networks.blocks import (
    NORMS,
    BlurDown,
    BlurUp,
    Initial,
    PreciseConv2d,
    ReflectConv2d,
    ResidualBlock,
    mirror_pad,
    reflect_pad,
)
from cyclegan.networks.config import ResnetConfig


class ResnetGenerator(Generator):
    """Two downsampling steps, residual blocks, two upsampling steps.

    (Johnson et al. 2016; Zhu et al. 2017, section 7.2.)
    Convolutions before a norm have no bias by default: the norm would cancel it, and Adam would magnify its rounding
    errors. Stage 0 is the first convolution, stages 1 and 2 downsample, then each block is a stage, and the last two
    stages upsample.
    """

    multiple, smallest = 4, 8

    def __init__(self, config: ResnetConfig, inputs: int = 3, outputs: int = 3) -> None:
        super().__init__()
        self.config: ResnetConfig = config
        self.inputs, self.outputs = inputs, outputs
        self.independent = config.norm != "batch"
        w, bias, up, norm = config.width, config.bias, UPSAMPLE[config.upsample], NORMS[config.norm]
        self.encoded = (inputs, 2 * w, 4 * w, 4 * w, 4 * w)
        self.stages = nn.Sequential(
            _normalised(ReflectConv2d(inputs, w, 7, bias), norm(w)),
            _down(w, 2 * w, config),
            _down(2 * w, 4 * w, config),
            *(ResidualBlock(4 * w, config.dropout, bias, norm) for _ in range(config.blocks)),
            _normalised(up(4 * w, 2 * w, bias), norm(2 * w)),
            _normalised(up(2 * w, w, bias), norm(w)),
        )
        self.head = PreciseConv2d(w + inputs if config.skip else w, outputs, 7)
        self.initialise()

    def initialise(self, how: Initial = "normal") -> None:
        """Initialise the weights; with `config.skip` the untrained network passes the image through.

        If the numbers of channels differ, it passes the mean of the channels through.
        """
        super().initialise(how)
        if self.config.skip:
            nn.init.zeros_(self.head.weight)
            passed = self.head.weight[:, self.config.width :]
            if self.inputs == self.outputs:
                nn.init.dirac_(passed)
            else:
                nn.init.constant_(passed[:, :, 3, 3], 1 / self.inputs)

    def translate(self, x: Tensor) -> Tensor:
        """Translate images (N, inputs, H, W), sides multiples of 4: see `Generator.translate`."""
        y: Tensor = self.stages(x)
        if self.config.skip:
            picture = torch.atanh(0.9 * x)  # tanh inverts it; 0.9 because atanh(1) is infinite
            y = torch.cat([y.to(picture.dtype), picture], dim=1)
        return torch.tanh(self.head(reflect_pad(y, 3)))

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of modules 0, 4, 8, 12 and 16 of the reference's generator: see `Generator.encode`.

        These are the padded input, the two downsampling convolutions, and two blocks. If the convolutions have stride
        2, the second one is taken after its norm and ReLU, because the reference's ReLU works in place, and the blocks
        are the third and the seventh; with blurs they are the first and the fifth.
        """
        x = mirror_pad(x, self.multiple, self.smallest)
        first, one, two, *blocks = cast(list[nn.Sequential], [*self.stages[: 3 + self.config.blocks]])
        layers, blurs = [reflect_pad(x, 3)], self.config.downsample == "blur"
        layers.append(one[0](first(x)))
        y = one[1:](layers[-1])
        before = two[0](y)
        y = two[1:](before)
        layers.append(before if blurs else y)
        places = [min(place, len(blocks) - 1) for place in ((0, 4) if blurs else (2, 6))]
        for number, block in enumerate(blocks[: places[-1] + 1]):
            y = block(y)
            layers += [y] * places.count(number)
        return layers


def _down(width: int, wider: int, config: ResnetConfig) -> nn.Sequential:
    """Build a downsampling stage: a convolution, norm, ReLU, and with `downsample: blur` the blur."""
    blurs = config.downsample == "blur"
    convolution = nn.Conv2d(width, wider, 3, stride=1 if blurs else 2, padding=1, bias=config.bias)
    normalised = _normalised(convolution, NORMS[config.norm](wider))
    return nn.Sequential(*normalised, *([BlurDown()] if blurs else []))


def _transpose(width: int, narrower: int, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(width, narrower, 3, stride=2, padding=1, output_padding=1, bias=bias)


def _resize(width: int, narrower: int, bias: bool) -> nn.Module:
    """Resize, then convolve (Odena et al. 2016). All output pixels get equally many inputs, so no checkerboard."""
    return nn.Sequential(nn.Upsample(scale_factor=2), ReflectConv2d(width, narrower, 3, bias))


def _blur(width: int, narrower: int, bias: bool) -> nn.Module:
    return nn.Sequential(BlurUp(), nn.Conv2d(width, narrower, 3, padding=1, bias=bias))


UPSAMPLE = {"transpose": _transpose, "resize": _resize, "blur": _blur}


def _normalised(convolution: nn.Module, norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, norm, nn.ReLU())
