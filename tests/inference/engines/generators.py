"""Small generators of every kind, with weights of the size that training gives them."""

from __future__ import annotations

import numpy as np
import torch

from cyclegan.inference.engines.sessions import Array
from cyclegan.networks.base import Generator
from cyclegan.networks.blocks import BatchNorm
from cyclegan.networks.config import ResnetConfig, UnetConfig

CONFIGS: dict[str, ResnetConfig | UnetConfig] = {
    "resnet": ResnetConfig(width=4, blocks=1),
    "blur": ResnetConfig(width=4, blocks=1, downsample="blur", upsample="blur", bias=True),
    "resize": ResnetConfig(width=4, blocks=1, upsample="resize", skip=True),
    "resnet batch": ResnetConfig(width=4, blocks=1, norm="batch", dropout=0.5),
    "unet batch": UnetConfig(width=4, depth=5),
    "unet instance": UnetConfig(width=4, depth=5, norm="instance"),
}
"""Every kind of generator."""

SIZES = [(1, 40), (2, 3), (61, 64), (62, 67), (63, 65), (64, 66)]
"""Sizes (H, W) of every remainder of 4, and tiny ones."""


def generator(config: ResnetConfig | UnetConfig, inputs: int = 3, outputs: int = 3) -> Generator:
    """A generator in evaluation mode."""
    torch.manual_seed(0)
    network = config.build(inputs, outputs).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, 0, module.weight[0].numel() ** -0.5)
        if isinstance(module, BatchNorm):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


def images(height: int, width: int, channels: int = 3, number: int = 1) -> Array:
    """Random images (N, C, H, W) in [-1, 1]."""
    made: Array = np.random.default_rng(0).uniform(-1, 1, (number, channels, height, width)).astype(np.float32)
    return made


def by_torch(network: Generator, pictures: Array) -> Array:
    """The translation by torch in float32."""
    with torch.inference_mode():
        made: Array = network(torch.from_numpy(pictures)).numpy()
    return made
