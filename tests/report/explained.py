"""Models for the tests of explanations: runs of a step, without a training, and generators with styles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.config import DataConfig
from cyclegan.data.format import RGB_PICTURES
from cyclegan.inference.model import Model, model_of
from cyclegan.networks.base import StyleGenerator
from cyclegan.networks.config import ResnetConfig
from cyclegan.recipe import Recipe
from cyclegan.types import Direction


def untrained(method: Any, data: Path = Path("nowhere"), **about: Any) -> Model:
    """The model of a checkpoint whose networks have learned nothing; `about` are keys of `data`, such as size (40)."""
    config = DataConfig(root=data, pairs="stem" if method.about.paired else "none", **{"size": 40, **about})
    recipe = Recipe(data=config, method=method)
    checkpoint = Checkpoint(
        recipe=recipe, images=7, epoch=5, processes=1, best=1.0, method=recipe.build().state_dict(), ema={},
        plateau={}, optimizers={},
    )  # fmt: skip
    return model_of(checkpoint, Path("run"))


def exported(model: Model, *directions: Direction) -> Model:
    """The same generators without their run."""
    return replace(model, generators={way: model.generators[way] for way in directions}, checkpoint=None)


class Tinted(StyleGenerator):
    """Adds a colour, which is the code: 3 numbers. The style of a picture is its mean colour."""

    config = ResnetConfig(width=4, blocks=1)
    inputs = outputs = style_size = 3
    multiple, smallest = 4, 8

    def __init__(self, has_prior: bool) -> None:
        super().__init__()
        self.has_prior, self.mlp = has_prior, nn.Sequential()
        self.stages = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.AvgPool2d(2))

    def translate(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        assert numbers is not None
        return (0.5 * x + 0.1 * numbers[:, :, None, None]).clamp(-1, 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        return [x]

    def style_features(self, pictures: Tensor) -> Tensor:
        return pictures

    def encode_style(self, pictures: Tensor) -> Tensor:
        return pictures.mean(dim=(2, 3))


def tinted(*directions: Direction, has_prior: bool = True) -> Model:
    """A model with styles."""
    torch.manual_seed(0)
    formats = {"a": RGB_PICTURES, "b": RGB_PICTURES}
    return Model(Path("tinted"), {way: Tinted(has_prior) for way in directions}, formats)  # type: ignore[arg-type]
