"""What can be said about a method. Free of torch, so that recipes and `--help` answer at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cyclegan.networks.config import DiscriminatorConfig, GeneratorConfig, PatchganConfig, ResnetConfig
from cyclegan.types import NUMBER

if TYPE_CHECKING:
    from cyclegan.methods.cyclegan import Cyclegan

Weight = Annotated[float, NUMBER, Field(ge=0, le=1e6)]
"""Of a loss."""


@dataclass(frozen=True, kw_only=True)
class CycleganConfig:
    """CycleGAN (Zhu et al. 2017); the defaults are the reference's."""

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
    identity: Weight = 5.0
    """Weight of |BtoA(a) - a| and its twin: keeps colours. 0 leaves its passes out."""
    pool: Annotated[int, NUMBER, Field(ge=0, le=100_000)] = 50
    """Fakes of each domain that the discriminator may see again; 0 shows it only new ones."""

    def build(self) -> Cyclegan:
        """The method, with fresh weights."""
        from cyclegan.methods.cyclegan import Cyclegan

        return Cyclegan(self)
