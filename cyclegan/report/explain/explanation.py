"""What is known about a model's work on one picture: tensors and numbers, before they become a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cyclegan.data.format import Formats
from cyclegan.networks.base import Generator
from cyclegan.report.explain.change import Change, Cycle
from cyclegan.report.explain.stages import Stage
from cyclegan.report.explain.styles import Styles
from cyclegan.report.explain.verdict import Verdict
from cyclegan.types import Direction


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a model does inside with one picture. Pictures are (1, C, H, W) in [-1, 1] in the format of their domain."""

    model: Path
    """Where the model was loaded from."""
    method: str | None
    """The name of its method; None for a generator without its run."""
    images: int | None
    """The number of images of each domain that it was trained on, if known."""
    trained: int | None
    """The length of the shorter side of the pictures that it was trained on, in pixels, if known."""
    direction: Direction
    network: Generator
    """The generator that was looked into."""
    names: Mapping[str, str]
    """The names of the networks in the method, by what they do here: `generator`, `back`, `discriminator`; those of a
    generator without its run are not known."""
    picture: str
    """The name of the picture."""
    own_size: tuple[int, int]
    """(H, W) of the picture before it was scaled."""
    formats: Formats
    source: Tensor
    """The picture as the generator sees it."""
    translation: Tensor
    structure: float
    """The structure distance between the RGB views of source and translation."""
    change: Change | None
    """What differs between them; None if the values of their domains mean different things."""
    cycle: Cycle | None
    """The way back; None for a model with one direction."""
    stages: tuple[Stage, ...]
    verdict: Verdict | None
    """What the discriminator makes of the translation; None if there is none."""
    why_no_verdict: str
    """Why there is none, in a sentence; empty if there is one."""
    styles: Styles | None
    """What styles change; None for a model without them."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of what was analysed."""
        height, width = self.source.shape[2:]
        return height, width

    def view(self, picture: Tensor, *, target: bool = False) -> Tensor:
        """Return the RGB view (3, H, W) in [-1, 1] of a picture of the source or of the target domain."""
        of = self.formats[self.direction.target if target else self.direction.source]
        return of.as_rgb(picture)[0].float().cpu()
