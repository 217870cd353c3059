"""The styles of pictures that are shown or scored: a different one for each, and always the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cyclegan.inference.graph.nodes import Code
from cyclegan.types import Direction

if TYPE_CHECKING:
    from torch import Tensor

    from cyclegan.data.config import DataConfig
    from cyclegan.inference.translator import Translator

EXAMPLES = 32
"""The number of pictures of the target domain whose styles are used in turn."""

DEFINITION = (
    f"each picture in another one: random if the model has random styles, else that of one of the first {EXAMPLES} "
    "pictures of the target domain, in turn"
)
"""A description of the styles, recorded with the scores."""


class StylesInTurn:
    """Gives each picture a style of its own, by how many there were before.

    They are random if the model has random styles, else those of pictures of the target domain, in turn. These are
    what a function returns, images (1, C, H, W) in [-1, 1], or test pictures of the data set of a run.

    A call raises ValueError or FileNotFoundError when there are no such pictures.
    """

    def __init__(
        self, translator: Translator, examples: Callable[[], Sequence[Tensor]] | DataConfig | None, direction: Direction
    ) -> None:
        self.translator, self.direction, self._given = translator, direction, examples
        self.used = 0
        """How many pictures have got a style."""
        self._examples: Sequence[Tensor] | None = None
        self._codes: list[Code] = []

    def __call__(self, number: int) -> Code:
        """Return the style codes of the next pictures, (number, S)."""
        turns = range(self.used, self.used + number)
        self.used += number
        if self.translator.engine.has_prior:
            return np.concatenate([self.translator.random_style(0, turn) for turn in turns])
        if not self._codes:
            self._codes = [self.translator.torch.encode_images(example) for example in self._read()]
        return np.concatenate([self._codes[turn % len(self._codes)] for turn in turns])

    def pictures(self, number: int) -> list[Tensor] | None:
        """Return the pictures, each (1, C, H, W) in [-1, 1], of the last so many styles; None if they are random."""
        if (examples := self._examples) is None:
            return None
        return [examples[turn % len(examples)] for turn in range(self.used - number, self.used)]

    def _read(self) -> Sequence[Tensor]:
        if self._given is None:
            raise ValueError("the model takes its style from a picture (--style), and comes without pictures")
        examples = self._given() if callable(self._given) else _tests(self._given, self.direction)
        if not examples:
            raise ValueError("there is no picture of the target domain to take a style from")
        self._examples = examples
        return examples


def _tests(data: DataConfig, direction: Direction) -> list[Tensor]:
    """Return test pictures of the target domain of a run, fitted as in training, each (1, C, H, W) in [-1, 1]."""
    from cyclegan.data.batches import training_fit
    from cyclegan.data.convert import tensor_of
    from cyclegan.data.sources import sources, unseen_split
    from cyclegan.util.evenly import evenly

    source = sources(data, unseen_split(data))[direction.target]
    paths = evenly(source.find(), EXAMPLES)
    fit = training_fit(data, source, paths)
    return [tensor_of(source.read(path, fit)) for path in paths]
