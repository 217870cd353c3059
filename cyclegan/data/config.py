"""The config of the data. It imports no torch, so that recipes and `--help` load fast."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from cyclegan.data.format import Count, Depth, PictureFormat, Space
from cyclegan.types import NUMBER, Channels, Domain, Place
from cyclegan.util.words import OrWords

if TYPE_CHECKING:
    from cyclegan.data.transforms import Augment

Transform = dict[str, dict[str, Any]]
"""One albumentations transform: its name and its arguments, `{RandomCrop: {height: 256, width: 256}}`."""

Preset = Literal["crop", "scale_width", "scale_shortest", "squash", "none"]
"""A way to give pictures their shape, see `cyclegan.data.presets`."""

Pairs = Literal["none", "stem", "side_by_side"]

ENOUGH = 2.25
"""Times the training size, the shorter side with which a large JPEG is decoded: twice what it is then scaled to."""

Bounds = tuple[Annotated[float, NUMBER], Annotated[float, NUMBER]]


@dataclass(frozen=True, kw_only=True)
class DomainConfig:
    """A domain's channels, depth, range and colour."""

    channels: Annotated[Count | Literal["auto"], OrWords(Count, "auto", what="a number of channels")] = "auto"
    """Number of channels: 1 for grey, 3 for colour, or the number of bands."""
    depth: Literal["auto", Depth] = "auto"
    """Type of the values in files; `auto`: that of most, or float32 for types that are not listed."""
    range: Annotated[
        Bounds | Literal["auto", "percentiles"], OrWords(Bounds, "auto", "percentiles", what="[lowest, highest]")
    ] = "auto"
    """Values that networks see as -1 and 1: [0, 4095]; `auto`: found in files; `percentiles`: their 0.1 and 99.9."""
    colour: Literal["auto", "stored", Space] = "auto"
    """Colour space that pictures are converted to; `stored` takes values as they are."""
    view: Annotated[tuple[Count, ...] | Literal["auto"], OrWords(tuple[Count, ...], "auto", what="[channel, ...]")] = (
        "auto"
    )
    """Channels, counted from 1, that logs and scores see as red, green, blue: [4, 3, 2]; or one, in grey."""
    view_range: Annotated[Bounds | Literal["auto"], OrWords(Bounds, "auto", what="[black, white]")] = "auto"
    """Values that logs and scores see as black and white; found as `range`, window of the files, or percentiles."""

    @classmethod
    def of(cls, format_: PictureFormat) -> DomainConfig:
        """Return the config of a known format."""
        return cls(**vars(format_))

    @property
    def format(self) -> PictureFormat:
        """The format, with the values of 8-bit RGB for what is `auto`."""
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        known = {name: value for name, value in known.items() if value not in ("auto", "percentiles")}
        if "channels" not in known:
            known.pop("view", None)  # of channels that are not known yet
        plain = PictureFormat.of(known.get("channels", 3))
        return PictureFormat(**{"view": plain.view, "colour": plain.colour} | known)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The data set: folder, pairs, augmentation, loading."""

    root: Place = Path("data/horse2zebra")
    """Folder with trainA and trainB, optionally testA and testB; or train, optionally test, for side_by_side."""
    pairs: Pairs = "none"
    """Which pictures are pairs: `stem`, files with equal names; `side_by_side`, the two halves of one file."""
    a: DomainConfig = field(default_factory=DomainConfig)
    """Channels, depth, range and colour of the pictures of A."""
    b: DomainConfig = field(default_factory=DomainConfig)
    """Channels, depth, range and colour of the pictures of B."""
    fit: Preset = "crop"
    """How pictures get `size`; only `squash` changes their shape, and `none` leaves them as they are."""
    size: Annotated[int, NUMBER, Field(ge=8, le=2**16)] = 256
    """Side of the crop or of the square, or the width or the shorter side that pictures are scaled to."""
    transforms: tuple[Transform, ...] | None = None
    """List of albumentations transforms that replaces `fit` and `size`, each {Name: {argument: value}}."""
    validation: Annotated[int, NUMBER, Field(ge=4, le=10**6)] = 50
    """Number of pictures to hold out from each training folder when `log.evaluate_every` is set."""
    cache_gib: Annotated[float, NUMBER, Field(ge=0, le=2**20)] = 4.0
    """RAM for decoded pictures, in GiB. Pictures that do not fit are read again in every epoch; see `cache_dir`."""
    cache_dir: Place | None = None
    """Folder on a local disk for a temporary file of the decoded pictures that do not fit into `cache_gib`."""
    workers: Annotated[int, NUMBER, Field(ge=0, le=1024)] = 2
    """Number of threads that prepare the next batches during a training step; 0 disables prefetching."""

    @property
    def formats(self) -> dict[Domain, PictureFormat]:
        """The formats of both domains. Raises ValueError, which names the key, for one that cannot be."""
        return {"a": _format("a", self.a), "b": _format("b", self.b)}

    @property
    def enough(self) -> int | None:
        """Pixels on the shorter side of a picture from which it loses nothing that training sees; None: all."""
        return None if self.fit == "none" or self.transforms is not None else round(ENOUGH * self.size)

    @property
    def channels(self) -> Channels:
        """The number of channels of both domains."""
        return Channels(**{name: of.channels for name, of in self.formats.items()})

    @property
    def paired(self) -> bool:
        """Whether the data set consists of pairs."""
        return self.pairs != "none"

    def build(self) -> Augment:
        """Build the transforms of a training. Raises ValueError that names the first invalid one."""
        from cyclegan.data.presets import transforms_of
        from cyclegan.data.transforms import Augment

        return Augment(transforms_of(self))


def _format(name: Domain, config: DomainConfig) -> PictureFormat:
    try:
        return config.format
    except ValueError as error:
        raise ValueError(f"data.{name}.{error}") from None
