"""The config of the data. It imports no torch, so that recipes and `--help` load fast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    """The data set: folder, pairs, augmentation, loading."""

    root: Place = Path("data/horse2zebra")
    """Folder with trainA and trainB, optionally testA and testB; or train, optionally test, for side_by_side."""
    pairs: Pairs = "none"
    """Which pictures are pairs: `stem`, files with equal names; `side_by_side`, the two halves of one file."""
    transforms: tuple[Transform, ...] = REFERENCE_TRANSFORMS
    """List of albumentations transforms, each {Name: {argument: value}}, applied in order."""
    validation: Annotated[int, NUMBER, Field(ge=4, le=10**6)] = 50
    """Number of pictures to hold out from each training folder when `log.evaluate_every` is set."""
    cache_gib: Annotated[float, NUMBER, Field(ge=0, le=2**20)] = 4.0
    """RAM for decoded pictures, in GiB. Pictures that do not fit are read again in every epoch; see `cache_dir`."""
    cache_dir: Place | None = None
    """Folder on a local disk for a temporary file of the decoded pictures that do not fit into `cache_gib`."""
    workers: Annotated[int, NUMBER, Field(ge=0, le=1024)] = 2
    """Number of threads that prepare the next batches during a training step; 0 disables prefetching."""

    @property
    def paired(self) -> bool:
        """Whether the data set consists of pairs."""
        return self.pairs != "none"

    def build(self) -> Augment:
        """Build the transforms. Raises ValueError that names the first invalid one."""
        from cyclegan.data.transforms import Augment

        return Augment(self.transforms)
