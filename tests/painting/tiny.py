"""A network that has learned nothing, and small pictures, for paintings of a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from cyclegan.inference.finish import Shares
from cyclegan.networks.backbones import Backbone, build_network
from cyclegan.painting.extractor import Extractor
from cyclegan.painting.settings import Settings
from cyclegan.painting.usual import Usual

LAYERS = Usual(("features.3",), ("features.1", "features.4"), "max", 2)

QUICK = Settings(network="squeezenet1_1", iterations=6, levels=2)


def extractor(usual: Usual = LAYERS, dtype: torch.dtype = torch.float32) -> Extractor:
    torch.manual_seed(0)
    backbone = Backbone("squeezenet1_1", "0" * 64, build_network("squeezenet1_1")).to(dtype)
    return Extractor(backbone, usual, torch.device("cpu"))


def picture(height: int, width: int, seed: int = 0) -> Shares:
    """Smooth random colours, (H, W, 3) in [0, 1]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).astype(np.float32) / np.float32(255)


def tensor(shares: npt.NDArray[Any], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(1, C, H, W) in [-1, 1]."""
    return torch.from_numpy(shares).to(dtype).permute(2, 0, 1)[None] * 2 - 1


class Slow(Extractor):
    """An extractor for which each pixel takes a time: a clock that moves only when it works."""

    def __init__(self, seconds_per_pixel: float) -> None:
        quick = extractor()
        super().__init__(quick.backbone, quick.usual, quick.device)
        self.seconds_per_pixel, self.now = seconds_per_pixel, 0.0

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        self.now += self.seconds_per_pixel * images[0, 0].numel()
        return super().__call__(images)

    def clock(self) -> float:
        return self.now
