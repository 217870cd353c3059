"""What a picture of one size is compared with: the losses of content, style, roughness and photorealism."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan.losses.style import content_loss, gram, gram_loss, total_variation
from cyclegan.painting.extractor import Extractor, Features
from cyclegan.painting.photo import MattingLaplacian
from cyclegan.painting.settings import Settings
from cyclegan.types import Losses

STEPS = 8
"""Steps at one offset: L-BFGS learns how the gradient changes only from steps at the same one."""

PERIOD = 16
"""Offsets in x and in y are 0 to 15 pixels: strides up to 16 leave no grid."""

NEAR = 0.01
"""A content is never taken to be nearer to a style, or to a flat picture, than by this share of the features."""

SMOOTH = 1e-3
"""Total variation of a style that is taken to be flat."""


class Example(NamedTuple):
    """A style at one size of the painting."""

    picture: Tensor
    """(1, 3, h, w) in [-1, 1]."""
    part: Tensor | None
    """(1, 1, h, w) in [0, 1]: where in it the style is; None: everywhere."""
    place: Tensor | None
    """(1, 1, H, W) in [0, 1]: where in the painting the style is wanted; None: everywhere."""
    weight: float


class Aim(NamedTuple):
    """What the style loss of a layer aims at."""

    matrix: Tensor
    """The Gram matrix (1, C, C) of the style."""
    distance: Tensor
    """The loss of the content, which counts as 1."""


class Objective:
    """The losses of a picture of the size of `content`, (1, 3, H, W) in [-1, 1].

    Each is relative: the content loss to that of a picture of the content's mean colour, the style loss to that of the
    content itself, in each layer; the total variation to the styles', the matting Laplacian to the content's variance.
    A style with a `place` counts as much as the area of that place, so each pixel has the same ratio of content and
    style; styles without one share the picture.

    Raises ValueError when a picture is too small for the network.
    """

    def __init__(self, extractor: Extractor, content: Tensor, examples: Sequence[Example], settings: Settings) -> None:
        self.extractor, self.content, self.examples, self.settings = extractor, content, examples, settings
        self.usual = extractor.usual
        with torch.no_grad():
            seen = self._contents = {0: self._content(0)}
            flat = extractor(self._shifted(content.mean(dim=(2, 3), keepdim=True).expand_as(content), 0))
            spreads = {name: content_loss(flat[name], layer) for name, layer in seen[0].items()}
            self.spreads = {name: _at_least(spread, seen[0][name]) for name, spread in spreads.items()}
            whole = extractor(self._shifted(content, 0))
            self.aims = [self._aims(example, whole) for example in examples]
            roughness = sum(example.weight * float(total_variation(example.picture)) for example in examples)
        self.shares = shares_of(examples)
        self.roughness = max(roughness / sum(example.weight for example in examples), SMOOTH)
        self.laplacian = MattingLaplacian(content) if settings.photo_weight else None
        self.variance = max(float(content.var(dim=(2, 3)).mean()) / 4, SMOOTH)  # in [0, 1], as the Laplacian

    def offset(self, step: int) -> int:
        """Return the number of the offset at which a step sees the picture."""
        return step // STEPS % self.usual.shifts

    def losses(self, picture: Tensor, offset: int = 0) -> Losses:
        """Return the weighted losses of a picture (1, 1 or 3, H, W), seen at an offset, by name."""
        settings = self.settings
        shown = self.extractor(self._shifted(picture.expand(-1, 3, -1, -1), offset))
        losses = {
            "content": settings.content_weight * self._content_loss(shown, offset),
            "style": settings.style_weight * self._style_loss(shown, offset),
            "tv": settings.tv_weight * total_variation(picture) / self.roughness,
        }
        if self.laplacian:
            losses["photo"] = settings.photo_weight * self.laplacian(picture) / self.variance
        return losses

    def _content_loss(self, shown: Features, offset: int) -> Tensor:
        """Return the mean over layers of the relative content loss (Gatys et al. 2016, eq. 1)."""
        if offset not in self._contents:
            with torch.no_grad():
                self._contents[offset] = self._content(offset)
        wanted = self._contents[offset]
        each = [content_loss(shown[name], wanted[name]) / spread for name, spread in self.spreads.items()]
        return torch.stack(each).mean()

    def _style_loss(self, shown: Features, offset: int) -> Tensor:
        """Return the sum over styles of the mean over layers of the relative style loss (Gatys et al. 2016, eq. 5)."""
        each = []
        for example, aims, share in zip(self.examples, self.aims, self.shares, strict=True):
            place = None if example.place is None else self._shifted(example.place, offset)
            for name, aim in zip(self.usual.style, aims, strict=True):
                found = gram(shown[name], _fitted(place, shown[name]))
                each.append(share / len(aims) * gram_loss(found, aim.matrix) / aim.distance)
        return torch.stack(each).sum()

    def _aims(self, example: Example, content: Features) -> list[Aim]:
        """Return what the style loss of each layer aims at; `content` has the features of the content."""
        seen, aims = self.extractor(example.picture), []
        place = None if example.place is None else self._shifted(example.place, 0)
        for name in self.usual.style:
            matrix = gram(seen[name], _fitted(example.part, seen[name]))
            distance = gram_loss(gram(content[name], _fitted(place, content[name])), matrix)
            aims.append(Aim(matrix, _at_least(distance, matrix)))
        return aims

    def _content(self, offset: int) -> Features:
        """Return the features of the content layers, seen at an offset."""
        seen = self.extractor(self._shifted(self.content, offset))
        return {name: seen[name] for name in self.usual.content}

    def _shifted(self, images: Tensor, offset: int) -> Tensor:
        """Return images (N, C, H, W) with a margin of `PERIOD` in all, of mirrored pixels; none with one offset."""
        if self.usual.shifts == 1:
            return images
        top, left = 5 * offset % PERIOD, (3 * offset + offset // 2) % PERIOD  # every phase of strides 2 and 4 in turn
        mode = "reflect" if min(images.shape[2:]) > PERIOD else "replicate"
        return F.pad(images, (left, PERIOD - left, top, PERIOD - top), mode=mode)


def shares_of(examples: Sequence[Example]) -> list[float]:
    """Return how much each style counts: where most styles are wanted, all weights together are 1."""
    covers = [example.weight * (1.0 if example.place is None else example.place) for example in examples]
    most = float(torch.as_tensor(sum(covers)).max())
    return [float(torch.as_tensor(cover).mean()) / most for cover in covers]


def _fitted(mask: Tensor | None, layer: Tensor) -> Tensor | None:
    """Return a mask (1, 1, H, W) at the size of a layer, with the mean of what each place covers."""
    return None if mask is None else F.adaptive_avg_pool2d(mask, (layer.shape[2], layer.shape[3]))


def _at_least(distance: Tensor, features: Tensor) -> Tensor:
    """Return a distance, or a small one if it is zero or nearly so."""
    return torch.maximum(distance, NEAR * features.square().mean()).clamp(min=1e-12)
