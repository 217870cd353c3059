"""Pictures and a recipe small enough to train in a second."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cyclegan.recipe import Recipe, recipe_from

SIDE = 64
"""Pixels of the sides of pictures that are scored, see `metrics/features.py`."""


def write_pictures(folder: Path, number: int, size: int = 40, seed: int = 0) -> list[Path]:
    """Smooth random pictures 0.png, 1.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{i}.png" for i in range(number)]
    for path in paths:
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(path)
    return paths


def outputs(out: Path) -> dict[str, Path]:
    """The files below a directory by their names in it, without the hidden ones that a translation keeps there."""
    names = {path.relative_to(out).as_posix(): path for path in sorted(out.rglob("*")) if path.is_file()}
    return {name: path for name, path in names.items() if not f"/{name}".count("/.")}


def tiny_recipe(data: Path, /, **changes: dict[str, Any]) -> Recipe:
    """Eight steps of a tiny CycleGAN, or another `method.kind`; `changes` are merged into its sections."""
    sections: dict[str, dict[str, Any]] = {
        "data": {
            "root": str(data),
            "transforms": [{"Resize": {"height": 36, "width": 36}}, {"RandomCrop": {"height": 32, "width": 32}}],
        },
        "method": {
            "kind": "cyclegan",
            "generator": {"kind": "resnet", "width": 4, "blocks": 1},
            "discriminator": {"kind": "patchgan", "width": 4, "depth": 2},
            "pool": 3,
        },
        "training": {"lr_schedule": {"constant": "4 images", "decay": "4 images"}},
        "speed": {"device": "cpu", "precision": "float32", "channels_last": "off", "compile": "off"},
        "log": {"scalars_every": "2 images", "samples_every": "4 images", "samples": 2, "checkpoint_every": "3 images"},
    }
    schedule = sections["training"]["lr_schedule"] | changes.get("training", {}).get("lr_schedule", {})
    merged = {name: section | changes.get(name, {}) for name, section in sections.items()}
    merged["training"]["lr_schedule"] = schedule
    if merged["method"]["kind"] != "cyclegan":
        del merged["method"]["pool"]
    if merged["method"]["kind"] in ("perceptual", "adain"):
        del merged["method"]["discriminator"]
    return recipe_from(merged, "test")
