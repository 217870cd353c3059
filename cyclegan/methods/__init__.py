"""Methods: networks plus players that move in turn. `MethodConfig` is the one list to extend."""

from cyclegan.methods.config import CycleganConfig

MethodConfig = CycleganConfig  # the union of every method's config, chosen by `kind`
