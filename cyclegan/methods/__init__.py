"""Translation methods: networks and players that are optimised in turn. `MethodConfig` lists all methods."""

from typing import Annotated

from pydantic import Field

from cyclegan.methods.config import (
    AdainConfig,
    CutConfig,
    CycleganConfig,
    FastcutConfig,
    MunitConfig,
    PerceptualConfig,
    Pix2pixConfig,
)

MethodConfig = Annotated[
    CycleganConfig | CutConfig | FastcutConfig | Pix2pixConfig | MunitConfig | AdainConfig | PerceptualConfig,
    Field(discriminator="kind"),
]
"""The config of any method; `kind` selects the type. Add new methods here."""
