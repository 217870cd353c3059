"""What can be said about the pictures of a run. Free of torch, so that recipes and `--help` answer at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from pydantic import Field

from cyclegan.types import NUMBER, Place

if TYPE_CHECKING:
    from cyclegan.data.transforms import Augment

Transform = dict[str, dict[str, Any]]
"""One albumentations transform: its name and its arguments, `{RandomCrop: {height: 256, width: 256}}`."""

REFERENCE_TRANSFORMS: tuple[Transform, ...] = (
    {"Resize": {"height": 286, "width": 286, "interpolation": 2, "area_for_downscale": "image"}},  # 2 is bicubic
    {"RandomCrop": {"height": 256, "width": 256}},
    {"HorizontalFlip": {"p": 0.5}},
)


Pairs = Literal["none", "stem", "side_by_side"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the pictures are, and what happens to them on the way into a batch."""

    root: Place = Path("data/horse2zebra")
    """Folder that holds trainA and trainB, and if possible testA and testB; or train, and if possible test, of pictures
    side by side."""
    pairs: Pairs = "none"
    """Which pictures are pairs: those of one name in trainA and trainB (`stem`, x_A and x_B too), or the left half (A)
    and the right half (B) of each file in train. A pair is cropped and flipped alike."""
    transforms: Annotated[tuple[Transform, ...], tyro.conf.Fixed] = REFERENCE_TRANSFORMS
    """Albumentations transforms in order, each `{Name: {argument: value}}`; A and B are drawn and transformed
    apart, but for pairs."""
    validation: Annotated[int, NUMBER, Field(ge=4, le=10**6)] = 50
    """Pictures of each training folder kept out of training in runs with `log.evaluate_every`, drawn by name."""
    cache_gib: Annotated[float, NUMBER, Field(ge=0, le=2**20)] = 4.0
    """GiB of RAM for decoded pictures; what does not fit is read again every time."""
    workers: Annotated[int, NUMBER, Field(ge=0, le=1024)] = 2
    """Threads that prepare batches ahead of the training step; 0 prepares them in between."""

    @property
    def paired(self) -> bool:
        """Whether pictures are pairs."""
        return self.pairs != "none"

    def build(self) -> Augment:
        """The transforms, checked; raises ValueError naming the first one that is wrong."""
        from cyclegan.data.transforms import Augment

        return Augment(self.transforms)
