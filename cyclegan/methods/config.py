"""What can be said about a method. Free of torch, so that recipes and `--help` answer at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cyclegan.methods.about import CUT, CYCLEGAN, FASTCUT, PIX2PIX, About
from cyclegan.networks.config import DiscriminatorConfig, GeneratorConfig, PatchganConfig, ResnetConfig, UnetConfig
from cyclegan.types import NUMBER, Direction

if TYPE_CHECKING:
    from cyclegan.methods.cut import Cut
    from cyclegan.methods.cyclegan import Cyclegan
    from cyclegan.methods.pix2pix import Pix2pix

Weight = Annotated[float, NUMBER, Field(ge=0, le=1e6)]
"""Of a loss."""


@dataclass(frozen=True, kw_only=True)
class CycleganConfig:
    """CycleGAN (Zhu et al. 2017); the defaults are the reference's."""

    about: ClassVar[About] = CYCLEGAN

    kind: Literal["cyclegan"] = "cyclegan"
    """Two generators, two discriminators, cycle consistency."""
    generator: GeneratorConfig = field(default_factory=ResnetConfig)
    """Both generators, `a_to_b` and `b_to_a`."""
    discriminator: DiscriminatorConfig = field(default_factory=PatchganConfig)
    """Both discriminators, `discriminator_a` and `discriminator_b`."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "lsgan"
    """The adversarial loss."""
    cycle: Weight = 10.0
    """Weight of |BtoA(AtoB(a)) - a| and its twin."""
    cycle_a: Weight | None = None
    """Weight of the cycle from A to B and back alone; null takes `cycle`."""
    cycle_b: Weight | None = None
    """Weight of the cycle from B to A and back alone; null takes `cycle`."""
    identity: Weight = 5.0
    """Weight of |BtoA(a) - a| and its twin: keeps colours. 0 leaves its passes out."""
    pool: Annotated[int, NUMBER, Field(ge=0, le=100_000)] = 50
    """Fakes of each domain that the discriminator may see again; 0 shows it only new ones."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Which ways it translates."""
        return (Direction.AtoB, Direction.BtoA)

    def build(self) -> Cyclegan:
        """The method, with fresh weights."""
        from cyclegan.methods.cyclegan import Cyclegan

        return Cyclegan(self)


def _antialiased() -> ResnetConfig:
    return ResnetConfig(downsample="blur", upsample="blur", bias=True)


class _OneSided:
    """Of methods that translate one way only."""

    direction: Direction

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Which ways it translates."""
        return (self.direction,)


@dataclass(frozen=True, kw_only=True)
class CutConfig(_OneSided):
    """CUT (Park et al. 2020), which translates one way; the defaults are the authors'."""

    about: ClassVar[About] = CUT

    kind: Literal["cut"] = "cut"
    """One generator and one discriminator; patches stay in their place by contrast with others."""
    direction: Direction = Direction.AtoB
    """Which way it translates."""
    generator: GeneratorConfig = field(default_factory=_antialiased)
    """The generator; its first half compares patches too."""
    discriminator: DiscriminatorConfig = field(default_factory=lambda: PatchganConfig(downsample="blur"))
    """The discriminator."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "lsgan"
    """The adversarial loss."""
    nce: Weight = 1.0
    """Weight of PatchNCE."""
    identity: bool = True
    """Half of PatchNCE is between a picture of the target and its translation, which should change nothing."""
    flip: bool = False
    """In half of the steps the generator sees mirrored pictures, and should do the same to them."""
    patches: Annotated[int, NUMBER, Field(ge=2, le=100_000)] = 256
    """Places that are compared, of each layer."""
    tau: Annotated[float, NUMBER, Field(gt=0, le=100)] = 0.07
    """Temperature; lower is stricter."""
    head_width: Annotated[int, NUMBER, Field(gt=0, le=4096)] = 256
    """Channels of both layers of the heads, through which patches are compared."""

    def build(self) -> Cut:
        """The method, with fresh weights."""
        from cyclegan.methods.cut import Cut

        return Cut(self)


@dataclass(frozen=True, kw_only=True)
class FastcutConfig(CutConfig):
    """FastCUT (Park et al. 2020, section 4.2): CUT with less to compute, for shorter trainings."""

    about: ClassVar[About] = FASTCUT

    kind: Literal["fastcut"] = "fastcut"  # type: ignore[assignment]
    """CUT without the identity, with flips and more weight on PatchNCE."""
    nce: Weight = 10.0
    """Weight of PatchNCE."""
    identity: bool = False
    """Half of PatchNCE is between a picture of the target and its translation, which should change nothing."""
    flip: bool = True
    """In half of the steps the generator sees mirrored pictures, and should do the same to them."""


@dataclass(frozen=True, kw_only=True)
class Pix2pixConfig(_OneSided):
    """pix2pix (Isola et al. 2017), which learns from pairs (`data.pairs`); the defaults are the authors'."""

    about: ClassVar[About] = PIX2PIX

    kind: Literal["pix2pix"] = "pix2pix"
    """One generator, and a discriminator that sees what was translated too; needs `data.pairs`."""
    direction: Direction = Direction.AtoB
    """Which way it translates."""
    generator: GeneratorConfig = field(default_factory=UnetConfig)
    """The generator."""
    discriminator: DiscriminatorConfig = field(default_factory=lambda: PatchganConfig(norm="batch"))
    """The discriminator."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "vanilla"
    """The adversarial loss."""
    l1: Weight = 100.0
    """Weight of |translation - truth|."""

    def build(self) -> Pix2pix:
        """The method, with fresh weights."""
        from cyclegan.methods.pix2pix import Pix2pix

        return Pix2pix(self)
