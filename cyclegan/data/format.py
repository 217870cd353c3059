"""The format of a domain's pictures: channels, depth, range of values, colour space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from cyclegan.types import NUMBER, Domain

if TYPE_CHECKING:
    from torch import Tensor

Depth = Literal["uint8", "uint16", "int16", "float32"]
"""The type of the values in a file."""

Space = Literal["srgb", "display_p3", "adobe_rgb"]
"""A colour space."""

MOST_CHANNELS = 256
"""The largest number of channels of a picture."""

Count = Annotated[int, NUMBER, Field(ge=1, le=MOST_CHANNELS)]


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """What the pictures of a domain are: how many channels, of which values, in which colour space.

    Networks see the values of `range` as [-1, 1]. The default is 8-bit sRGB.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    channels: Count = 3
    """Number of channels: 1 for grey, 3 for colour, any number for bands."""
    depth: Depth = "uint8"
    """Type of the values in files."""
    range: tuple[float, float] = (0.0, 255.0)
    """The values, in the units of the files, that networks see as -1 and 1."""
    colour: Space | Literal["stored"] = "srgb"
    """Colour space that pictures are converted to; `stored` takes values as they are."""
    view: tuple[Count, ...] = (1, 2, 3)
    """The channels, counted from 1, that are shown as red, green and blue; one is shown in grey."""
    view_range: tuple[float, float] = (0.0, 255.0)
    """The values that are shown as black and white."""

    def __post_init__(self) -> None:
        if max(self.view) > self.channels or len(self.view) not in (1, 3):
            has = "1 channel" if self.channels == 1 else f"{self.channels} channels"
            raise ValueError(f"view: give one or three of its {has}, not {list(self.view)}")
        for name, (low, high) in (("range", self.range), ("view_range", self.view_range)):
            if not low < high:
                raise ValueError(f"{name}: the first of [{low:g}, {high:g}] must be lower than the second")

    @classmethod
    def of(cls, channels: int) -> PictureFormat:
        """Return the 8-bit format with this number of channels: grey, sRGB, or bands."""
        if channels in (1, 3):
            return cls(channels=channels, view=(1, 2, 3)[:channels])
        return cls(channels=channels, colour="stored", view=(1,) if channels == 2 else (4, 3, 2))

    @property
    def in_bytes(self) -> bool:
        """Whether the values of files are those that training handles: 8 bits, all of them."""
        return self.depth == "uint8" and self.range == (0, 255)

    @property
    def is_plain(self) -> bool:
        """Whether its pictures are 8-bit grey or colour, as Pillow has them."""
        return self.in_bytes and self.channels in (1, 3)

    @property
    def space(self) -> Space | None:
        """The colour space of its pictures; None if their values are no colours."""
        return None if self.colour == "stored" else self.colour

    @property
    def told(self) -> str:
        """The format in a few words: `4 channels, uint16, 0 to 4095`."""
        low, high = self.range
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        space = "" if self.colour == "stored" else f", {self.colour}"
        return f"{channels}, {self.depth}, {low:g} to {high:g}{space}"

    @property
    def shown(self) -> str:
        """How its pictures are shown, in a few words; empty for 8-bit grey and colour, which are shown as they are."""
        if self.is_plain and self.view in ((1,), (1, 2, 3)):
            return ""
        bands = f"bands {', '.join(map(str, self.view))} as RGB" if len(self.view) == 3 else f"band {self.view[0]}"
        low, high = self.view_range
        return f"{'grey' if self.channels == 1 else bands}, {low:g} to {high:g}"

    @property
    def described(self) -> str:
        """The format, and how its pictures are shown, in a few words; empty for 8-bit sRGB."""
        if self == PictureFormat():
            return ""
        return f"{self.told}; shown as {self.shown}" if self.shown else self.told

    def as_rgb(self, images: Tensor) -> Tensor:
        """Return the RGB view of images (N, C, H, W) in [-1, 1], (N, 3, H, W) in [-1, 1]; see `view`."""
        if not self.shown:
            return images if self.channels == 3 else images.expand(-1, 3, -1, -1)
        chosen = images[:, [channel - 1 for channel in (self.view * 3)[:3]]]
        (low, high), (black, white) = self.range, self.view_range
        stretched = ((chosen + 1) / 2 * (high - low) + low - black) / (white - black) * 2 - 1
        return stretched.clamp(-1, 1)


RGB_PICTURES = PictureFormat()
"""8-bit sRGB."""

Formats: TypeAlias = Mapping[Domain, PictureFormat]
"""The formats of both domains."""
