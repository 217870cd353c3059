"""The recipe keys that fit pictures to a training size."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

from cyclegan.data.config import DataConfig

Fitting = Literal["crop", "scale_shortest"]
"""Crop pictures as they are, or scale their shorter side first."""

MARGIN = 1.117
"""Shorter side before the crop, divided by the crop: 286 for 256, as in the reference."""


def fitting(fit: Fitting, size: int) -> dict[str, Any]:
    """Return the keys of `data`, and their values, for square crops of a size."""
    if "fit" in {field.name for field in fields(DataConfig)}:
        return {"fit": fit, "size": size}
    shorter = {"max_size": round(size * MARGIN), "interpolation": 2, "area_for_downscale": "image"}
    scaled = [{"SmallestMaxSize": shorter}] if fit == "scale_shortest" else []
    return {"transforms": [*scaled, {"RandomCrop": {"height": size, "width": size}}, {"HorizontalFlip": {"p": 0.5}}]}
