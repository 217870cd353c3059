"""A painting in the making: from coarse to fine, one step at a time, and all of its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan.data.convert import tensor_of
from cyclegan.data.fit import Size, by, scaled
from cyclegan.data.picture import Pixels
from cyclegan.inference.finish import Shares
from cyclegan.painting.colour import coloured, grey, with_own_colour
from cyclegan.painting.descent import Descent, losses_and_gradient
from cyclegan.painting.extractor import Extractor
from cyclegan.painting.levels import levels_of
from cyclegan.painting.objective import Example, Objective
from cyclegan.painting.settings import Settings

TRIAL = 320**2
"""Pixels of a level at which speed options are tried, at most."""

NOISE = 0.3
"""Deviation of the noise to start from, around the mean colour of the content; black is -1 and white 1."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """A picture whose style is wanted."""

    picture: Shares
    """(h, w, 3) in [0, 1]."""
    place: Shares | None = None
    """(H, W, 1) in [0, 1]: where in the painting, of the size of the content; None: everywhere."""
    part: Shares | None = None
    """(h, w, 1) in [0, 1]: the part of the picture that has the style; None: all of it."""
    weight: float = 1.0


class Painting:
    """A picture that gets the content of one picture and the style of others (Gatys et al. 2016 and 2017).

    `content` is (H, W, 3) in [0, 1], and has the size of the painting; `start` is a picture to start from, if
    `settings.init` names one. `clock` returns seconds. `note` is called with a line for the user.

    Raises ValueError when a picture is too small for the network.
    """

    def __init__(
        self,
        content: Shares,
        styles: Sequence[Style],
        settings: Settings,
        extractor: Extractor,
        *,
        start: Shares | None = None,
        clock: Callable[[], float] = time.monotonic,
        note: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.settings, self.extractor, self.clock, self.note = settings, extractor, clock, note
        self.content = content
        self.own = grey(content) if self._is_grey else content
        """The content in the colours in which it is compared."""
        self.styles = [self._coloured(style) for style in styles]
        self.start = self.own if start is None else start
        self.size: Size = (content.shape[0], content.shape[1])
        self.levels = levels_of(self.size, settings)
        if settings.normalise:
            pictures = (self.own, *(style.picture for style in self.styles))
            self.extractor = extractor.normalised(tensor_of(_reduced(each)).to(extractor.device) for each in pictures)
        self.number, self.step = 0, 0
        """The level, and the steps done at it."""
        self.objective: Objective | None = None
        self.descent: Descent | None = None
        self.picture = self._first()
        """The picture that the level starts from (1, C, h, w), of the size of the one before."""
        self.spent, self.prepared, self.stepped = 0.0, 0.0, 0.0
        """Seconds for all so far, for preparing the last level, and for the last step."""

    @property
    def is_over(self) -> bool:
        """Whether all levels are done."""
        return self.number == len(self.levels)

    @property
    def share(self) -> float:
        """The share of the work that is done; of the time, if that is limited."""
        if self.is_over:
            return 1.0
        done = sum(level.work for level in self.levels[: self.number])
        level = self.levels[self.number]
        done += level.work * self.step // level.iterations
        share = done / sum(level.work for level in self.levels)
        return share if self.settings.seconds is None else min(1.0, max(share, self.spent / self.settings.seconds))

    @property
    def told(self) -> str:
        """The level and the losses in a few words."""
        if self.is_over:
            return ""
        level = self.levels[self.number]
        values = self.descent.values if self.descent else {}
        return ", ".join([f"{by(level.size)}", *(f"{name} {value:.3g}" for name, value in values.items() if value)])

    def advance(self) -> bool:
        """Do one step; returns whether there is more to do.

        Raises ValueError when the losses are not finite, whatever the size of the steps.
        """
        if self.is_over:
            return False
        began = self.clock()
        if self.objective is None or self.descent is None:
            self._begin()
            self.prepared = self.clock() - began
        assert self.objective is not None and self.descent is not None
        before, objective, offset = self.clock(), self.objective, self.objective.offset(self.step)
        moved = offset != objective.offset(self.step - 1)
        if self.descent.step(lambda picture: objective.losses(picture, offset), moved=moved) == "not finite":
            size = by(self.levels[self.number].size)
            self.note(f"step {self.step} at {size} led to numbers that are not finite; went back, for smaller steps")
        self.step += 1
        self.stepped = self.clock() - before
        self.spent += self.clock() - began
        if self.step >= self.levels[self.number].iterations or self.descent.is_stuck or self._is_late():
            self._end()
        return not self.is_over

    def pixels(self) -> Pixels:
        """Return the painting as it is now, uint8 (H, W, 3), in its full size."""
        return self._pixels(self.size)

    def preview(self) -> Pixels:
        """Return the painting as it is now, uint8 (h, w, 3), in the size of its level."""
        return self._pixels((self._now().shape[2], self._now().shape[3]))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the work depends on, besides the arguments."""
        numbers = {name: getattr(self, name) for name in ("number", "step", "spent", "prepared", "stepped")}
        descent = None if self.descent is None else self.descent.state_dict()
        return {**numbers, "picture": self.picture, "descent": descent, "levers": tuple(self.extractor.levers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of a painting of the same arguments, exactly."""
        began = self.clock()
        for name in ("number", "step", "spent", "prepared", "stepped"):
            setattr(self, name, state[name])
        self.picture = state["picture"].to(self.extractor.device)
        self.extractor.use(type(self.extractor.levers)(*state["levers"]))
        self.extractor.settled = True
        if state["descent"] is not None:
            self.objective = self._objective(self.number)
            self.descent = Descent(self.picture, self.settings)
            self.descent.load_state_dict(state["descent"])
        self.spent += self.clock() - began

    @property
    def _is_grey(self) -> bool:
        return self.settings.colour == "luminance"

    def _begin(self) -> None:
        """Prepare the level."""
        if not self.extractor.settled:
            self._settle()
        self.objective = self._objective(self.number)
        start = self.picture
        if start.shape[2:] != self.levels[self.number].size:
            start = _enlarged(start, self.levels[self.number].size)
        self.descent = Descent(start, self.settings)

    def _end(self) -> None:
        """Leave the level; also those after it for which there is no time."""
        assert self.descent is not None
        self.picture = self.descent.good.clamp(-1, 1)
        last = self.levels[self.number]
        self.number, self.step, self.objective, self.descent = self.number + 1, 0, None, None
        if self.is_over or self.settings.seconds is None:
            return
        growth = self.levels[self.number].work * last.iterations / (last.work * self.levels[self.number].iterations)
        if self.spent + growth * (self.prepared + self.stepped) > self.settings.seconds:
            left = by(self.levels[self.number].size)
            self.note(f"no time to paint at {left}; enlarged what was painted at {by(last.size)}")
            self.number = len(self.levels)

    def _is_late(self) -> bool:
        """Return whether the next step would exceed the time until the end of this level."""
        if self.settings.seconds is None:
            return False
        works = [level.work for level in self.levels]
        until = self.settings.seconds * sum(works[: self.number + 1]) / sum(works)
        return self.spent + self.stepped > until

    def _settle(self) -> None:
        """Choose how the network is run, by trials at a level of middle size."""
        sizes = [level.size for level in self.levels]
        number = max((i for i, size in enumerate(sizes) if size[0] * size[1] <= TRIAL), default=0)
        objective = self._objective(number)
        picture = objective.content[:, : self.picture.shape[1]]
        pixels = picture[0, 0].numel()

        def probe() -> dict[str, Tensor]:
            values, gradient = losses_and_gradient(picture + 0.01, objective.losses)
            return {"loss": torch.tensor(sum(values.values())), "gradient": gradient}

        steps = sum(level.work for level in self.levels) / pixels
        if told := self.extractor.settle(probe, steps, self.settings.seconds):
            self.note(told)

    def _objective(self, number: int) -> Objective:
        size = self.levels[number].size
        device = self.extractor.device
        content = tensor_of(scaled(self.own, size)).to(device)
        examples = [_example(style, size, self.settings.style_scale, device) for style in self.styles]
        return Objective(self.extractor, content, examples, self.settings)

    def _first(self) -> Tensor:
        """Return the picture that the first level starts from."""
        size, channels = self.levels[0].size, 1 if self._is_grey else 3
        if self.settings.init == "noise":
            random = torch.Generator().manual_seed(self.settings.seed)
            mean = tensor_of(self.own.mean(axis=(0, 1), keepdims=True))
            first = (mean + NOISE * torch.randn(1, channels, *size, generator=random))[:, :channels].clamp(-1, 1)
        else:
            first = tensor_of(scaled(self.start, size))[:, :channels]
        return first.to(self.extractor.device)

    def _coloured(self, style: Style) -> Style:
        picture = grey(style.picture) if self._is_grey else style.picture
        return replace(style, picture=coloured(picture, self.own, self.settings.colour))

    def _now(self) -> Tensor:
        return self.picture if self.descent is None else self.descent.good

    def _pixels(self, size: Size) -> Pixels:
        painted = _enlarged(self._now(), size).clamp(-1, 1).add(1).div(2)[0].permute(1, 2, 0).cpu().numpy()
        content = _scaled(self.content, size)
        whole = with_own_colour(painted.repeat(3, axis=2) if self._is_grey else painted, content, self.settings.colour)
        if all(style.place is not None for style in self.styles):
            places = [_scaled(style.place, size) for style in self.styles if style.place is not None]
            cover: Shares = np.sum(places, axis=0).clip(0, 1).astype(np.float32)
            whole = cover * whole + (1 - cover) * content
        pixels: Pixels = (whole * 255).round().astype(np.uint8)
        return pixels


def _example(style: Style, size: Size, scale: float, device: torch.device) -> Example:
    """Return a style at one size of the painting: as many pixels as that, times the square of `scale`."""
    height, width = style.picture.shape[:2]
    factor = scale * (size[0] * size[1] / (height * width)) ** 0.5
    own = max(1, round(height * factor)), max(1, round(width * factor))

    def tensor(values: Shares | None, size: Size) -> Tensor | None:
        return None if values is None else torch.from_numpy(scaled(values, size)).permute(2, 0, 1)[None].to(device)

    picture = tensor_of(scaled(style.picture, own)).to(device)
    return Example(picture, tensor(style.part, own), tensor(style.place, size), style.weight)


def _reduced(picture: Shares) -> Shares:
    """Return a picture with at most `TRIAL` pixels."""
    height, width = picture.shape[:2]
    factor = min(1.0, (TRIAL / (height * width)) ** 0.5)
    return _scaled(picture, (max(1, round(height * factor)), max(1, round(width * factor))))


def _scaled(picture: Shares, size: Size) -> Shares:
    return scaled(picture, size).astype(np.float32, copy=False)


def _enlarged(picture: Tensor, size: Size) -> Tensor:
    if tuple(picture.shape[2:]) == size:
        return picture
    return F.interpolate(picture, size, mode="bicubic", align_corners=False)
