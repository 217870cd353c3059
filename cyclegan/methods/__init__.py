"""Methods: networks plus players that move in turn. `MethodConfig` is the one list to extend."""

from typing import Annotated

from pydantic import Field

from cyclegan.methods.config import CutConfig, CycleganConfig, FastcutConfig, Pix2pixConfig

MethodConfig = Annotated[CycleganConfig | CutConfig | FastcutConfig | Pix2pixConfig, Field(discriminator="kind")]
"""Every method's config, chosen by `kind`."""
