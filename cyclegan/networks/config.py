"""What can be said about a network. Free of torch, so that recipes and `--help` answer at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from cyclegan.types import NUMBER

if TYPE_CHECKING:
    from cyclegan.networks.patchgan import PatchGan, PixelGan
    from cyclegan.networks.resnet import ResnetGenerator
    from cyclegan.networks.unet import UnetGenerator

Width = Annotated[int, NUMBER, Field(gt=0, le=4096)]
"""Channels of a first convolution."""


@dataclass(frozen=True, kw_only=True)
class ResnetConfig:
    """The generator of Johnson et al. 2016 as CycleGAN uses it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    kind: Literal["resnet"] = "resnet"
    """ResNet: two steps down, residual blocks, two steps up."""
    width: Width = 64
    """Channels after the first convolution (ngf); four times as many in the blocks."""
    blocks: Annotated[int, NUMBER, Field(gt=0, le=256)] = 9
    """Residual blocks: 9 for images of 256 pixels, 6 for 128 and smaller."""
    dropout: Annotated[float, NUMBER, Field(ge=0, lt=1)] = 0.0
    """Probability of dropout inside every block; the reference offers 0 and 0.5."""
    downsample: Literal["stride", "blur"] = "stride"
    """Downwards by a convolution of stride 2, or by one of stride 1 and a blur: no aliasing, as in CUT."""
    upsample: Literal["transpose", "resize", "blur"] = "transpose"
    """Upwards by a transposed convolution; or without a checkerboard by nearest neighbours (`resize`) or a blur, as in
    CUT, and a convolution: dearer."""
    bias: bool = False
    """Convolutions before a norm have a bias, as in CUT, whose loss sees two of them before the norm cancels it."""
    norm: Literal["instance", "batch"] = "instance"
    """Instance norm looks at every picture alone; batch norm lets the pictures of a batch see each other."""
    skip: bool = False
    """The last convolution sees the input too and begins as its copy: for translations that keep most of a picture."""

    def build(self) -> ResnetGenerator:
        """The network, with fresh weights."""
        from cyclegan.networks.resnet import ResnetGenerator

        return ResnetGenerator(self)


@dataclass(frozen=True, kw_only=True)
class UnetConfig:
    """The generator of pix2pix (Isola et al. 2017)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    kind: Literal["unet"] = "unet"
    """U-Net: down to a point and up again, with a bridge at every size."""
    width: Width = 64
    """Channels after the first convolution (ngf); eight times as many deeper down."""
    depth: Annotated[int, NUMBER, Field(ge=5, le=10)] = 8
    """Halvings: 8 for pictures of 256 pixels, 7 for 128; sides become multiples of 2^depth by mirroring."""
    norm: Literal["batch", "instance"] = "batch"
    """Batch norm lets the pictures of a batch see each other, instance norm does not."""
    dropout: Annotated[float, NUMBER, Field(ge=0, lt=1)] = 0.5
    """Probability of dropout in the deepest layers that go up."""

    def build(self) -> UnetGenerator:
        """The network, with fresh weights."""
        from cyclegan.networks.unet import UnetGenerator

        return UnetGenerator(self)


@dataclass(frozen=True, kw_only=True)
class PatchganConfig:
    """A discriminator that scores overlapping patches (Isola et al. 2017)."""

    kind: Literal["patchgan"] = "patchgan"
    """PatchGAN; `pixel` judges every pixel on its own."""
    width: Width = 64
    """Channels after the first convolution (ndf)."""
    depth: Annotated[int, NUMBER, Field(ge=1, le=5)] = 3
    """Convolutions of stride 2: patches of 16, 34, 70, 142 or 286 pixels for 1 to 5."""
    downsample: Literal["stride", "blur"] = "stride"
    """Downwards by a convolution of stride 2, or by one of stride 1 and a blur: no aliasing, as in CUT."""
    norm: Literal["instance", "batch", "spectral", "none"] = "instance"
    """Instance norm hides the colour that a whole picture shares; `none` lets the discriminator judge it; batch norm is
    pix2pix's; `spectral` bounds every convolution instead (Miyato et al. 2018), and goes well with `gan: hinge`."""
    scales: Annotated[int, NUMBER, Field(ge=1, le=4)] = 1
    """Discriminators that judge the picture at 1, 1/2, 1/4, 1/8 of its size: wider patches without more layers, as in
    pix2pixHD. Each counts alike in the loss, their mean."""

    def build(self, channels: int = 3, condition: int = 0) -> PatchGan:
        """The network, with fresh weights, for pictures of so many channels beside a source of `condition` channels."""
        from cyclegan.networks.patchgan import PatchGan

        return PatchGan(self, channels, condition)


@dataclass(frozen=True, kw_only=True)
class PixelConfig:
    """A discriminator that scores every pixel on its own: colours, no texture (Isola et al. 2017, 1x1 PixelGAN)."""

    kind: Literal["pixel"] = "pixel"
    """Scores single pixels; `patchgan` scores patches."""
    width: Width = 64
    """Channels after the first convolution (ndf)."""

    def build(self, channels: int = 3, condition: int = 0) -> PixelGan:
        """The network, with fresh weights, for pictures of so many channels beside a source of `condition` channels."""
        from cyclegan.networks.patchgan import PixelGan

        return PixelGan(self, channels, condition)


GeneratorConfig = Annotated[ResnetConfig | UnetConfig, Field(discriminator="kind")]
GENERATORS = ("resnet", "unet")
"""The kinds, which pydantic puts among the keys of a mistake."""
DiscriminatorConfig = Annotated[PatchganConfig | PixelConfig, Field(discriminator="kind")]
