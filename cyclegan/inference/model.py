"""Opening a model, whatever holds it: a run, a checkpoint, an exported generator, a published file, the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from cyclegan.checkpoint import Checkpoint, read_checkpoint, read_newest
from cyclegan.inference.generator_file import read_generator
from cyclegan.inference.hub import choose, fetch_generators, is_hub_name
from cyclegan.inference.imported import import_generator
from cyclegan.inference.weights import fill, weights_of
from cyclegan.networks.base import Generator
from cyclegan.recipe import Recipe
from cyclegan.types import Direction


@dataclass(frozen=True)
class Model:
    """All that a file or folder can translate, and what it says about its training."""

    path: Path
    """Where it comes from."""
    generators: Mapping[Direction, Generator]
    """Averaged ones where there is an EMA; on the CPU."""
    checkpoint: Checkpoint | None = None
    """The state of the run that made it, without optimizers; None for generators that come alone."""

    @property
    def recipe(self) -> Recipe | None:
        """That of its run, if known."""
        return self.checkpoint.recipe if self.checkpoint else None

    @property
    def images(self) -> int | None:
        """Pairs of pictures that it has seen, if known."""
        return self.checkpoint.images if self.checkpoint else None

    def choose(self, direction: Direction | None = None) -> Direction:
        """The direction asked for, else AtoB or the only one that there is. Raises ValueError for one it has not."""
        if direction is None:
            return next(way for way in Direction if way in self.generators)
        if direction not in self.generators:
            known = " and ".join(self.generators)
            raise ValueError(
                f"{self.path}: {'its method ' if self.checkpoint else ''}translates {known}, not {direction}"
            )
        return direction


def open_model(path: Path | str, direction: Direction | None = None) -> Model:
    """The model in a run folder (its newest checkpoint), a checkpoint, a `.safetensors` or a published `.pth`.

    Where there is no such file, `user/name` or `user/name@revision` is a repository on the Hugging Face hub. Of a file
    that does not say which way it translates, `direction` does, by default AtoB; of a repository only that one is read.
    Raises FileNotFoundError, or ValueError with one line, for what cannot be opened; for a repository also
    PermissionError and ConnectionError.
    """
    path = Path(path)
    if path.is_dir():
        return model_of(read_newest(path), path)
    if is_hub_name(path):
        name = path.as_posix()
        files = [choose(name, direction)] if direction else fetch_generators(name).values()
        return Model(path, dict(read_generator(file) for file in files))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such run folder, checkpoint or generator")
    if path.suffix == ".safetensors":
        return Model(path, dict([read_generator(path)]))
    if path.suffix == ".pth":
        return Model(path, {direction or Direction.AtoB: import_generator(path)})
    return model_of(read_checkpoint(path), path)


def model_of(checkpoint: Checkpoint, path: Path) -> Model:
    """The model in a checkpoint that was read already; `path` is named in errors.

    Raises ValueError, in one line, where the weights do not fit the recipe.
    """
    with torch.device("meta"):
        method = checkpoint.recipe.method.build()
    generators = method.generators()
    for direction, network in generators.items():
        own = weights_of(network, method, checkpoint.method)
        try:
            fill(network, checkpoint.ema.get(direction.value) if checkpoint.ema else own)
        except ValueError as error:
            raise ValueError(f"{path}: its weights do not fit its recipe: {error}") from None
    return Model(path, generators, replace(checkpoint, optimizers={}))
