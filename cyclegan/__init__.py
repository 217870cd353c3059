"""Image-to-image translation from unpaired or paired pictures.

`read_recipe` reads a recipe, `train` trains it, and `Translator` translates pictures with the result. `stylize` paints
one picture in the style of another, without training.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclegan.inference.translator import Translator
    from cyclegan.painting.stylize import stylize
    from cyclegan.recipe import Recipe, read_recipe
    from cyclegan.training.trainer import train

__version__ = "0.1.0"
__all__ = ["Recipe", "Translator", "__version__", "read_recipe", "stylize", "train"]

_HOMES = {
    "Recipe": "cyclegan.recipe",
    "Translator": "cyclegan.inference.translator",
    "read_recipe": "cyclegan.recipe",
    "stylize": "cyclegan.painting.stylize",
    "train": "cyclegan.training.trainer",
}


def __getattr__(name: str) -> Any:  # importing torch takes seconds, so names are imported on first use
    if name not in _HOMES:
        raise AttributeError(f"module 'cyclegan' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
