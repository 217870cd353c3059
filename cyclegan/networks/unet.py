"""The U-Net generator of pix2pix, an encoder and a decoder with a skip connection at every size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cyclegan.networks.base import Generator
from cyclegan.networks.blocks import NORMS, PreciseConvTranspose2d, mirror_pad
from cyclegan.networks.config import UnetConfig


class UnetGenerator(Generator):
    """Convolutions of stride 2 down to 1 / 2^depth of the size and back up (Isola et al. 2017, section 6.1.1).

    Stages 0 to depth - 1 downsample, the others upsample. Each upsampling stage except the first also gets the output
    of the downsampling stage of its size. With instance norm, convolutions that no norm follows have a bias; with batch
    norm, as in the reference, no convolution but the last has one.
    """

    def __init__(self, config: UnetConfig, inputs: int = 3, outputs: int = 3) -> None:
        super().__init__()
        self.config: UnetConfig = config
        self.inputs, self.outputs = inputs, outputs
        self.multiple = self.smallest = 2**config.depth
        self.independent = config.norm != "batch"
        widths = [config.width * min(2**i, 8) for i in range(config.depth)]
        self.encoded = (inputs, *widths[:4])
        norm, bias, last = NORMS[config.norm], config.norm == "instance", config.depth - 1

        def down(i: int) -> nn.Sequential:
            bare = i in (0, last)  # no norm: at the last size, a single point, it would erase everything
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if i else []
            convolution = nn.Conv2d(
                widths[i - 1] if i else inputs, widths[i], 4, stride=2, padding=1, bias=bias and bare
            )
            return nn.Sequential(*layers, convolution, *([] if bare else [norm(widths[i])]))

        def up(i: int) -> nn.Sequential:
            wide = widths[i] if i == last else 2 * widths[i]
            convolution = nn.ConvTranspose2d(wide, widths[i - 1], 4, stride=2, padding=1, bias=False)
            drops = config.dropout > 0 and 4 < i < last
            dropout: list[nn.Module] = [nn.Dropout(config.dropout)] if drops else []
            return nn.Sequential(nn.ReLU(), convolution, norm(widths[i - 1]), *dropout)

        self.stages = nn.Sequential(*map(down, range(config.depth)), *map(up, range(last, 0, -1)))
        self.head = PreciseConvTranspose2d(2 * widths[0], outputs, 4, stride=2, padding=1)
        self.initialise()

    def translate(self, x: Tensor) -> Tensor:
        """Translate images (N, inputs, H, W), sides multiples of 2^depth: see `Generator.translate`."""
        outputs = self._stages(x)
        return torch.tanh(self.head(torch.relu(torch.cat([outputs[0], outputs[-1]], dim=1))))

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the padded input and the outputs of the first four stages: see `Generator.encode`."""
        x = mirror_pad(x, self.multiple, self.smallest)
        return [x, *self._stages(x, 4)]

    def features(self, x: Tensor, at: Sequence[int]) -> list[Tensor]:
        """Return the outputs of the stages numbered in `at`: see `Generator.features`."""
        self.check_stages(at)
        outputs = self._stages(mirror_pad(x, self.multiple, self.smallest), max(at) + 1)
        return [outputs[number] for number in sorted(set(at))]

    def _stages(self, x: Tensor, number: int | None = None) -> list[Tensor]:
        """Return the outputs of the first `number` stages, or of all, with the skip connections in the decoder."""
        depth, outputs = self.config.depth, list[Tensor]()
        for i, stage in enumerate(self.stages[:number]):
            if i > depth:
                x = torch.cat([outputs[2 * depth - i - 1], x], dim=1)
            x = stage(x)
            outputs.append(x)
        return outputs
