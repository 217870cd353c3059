"""Opening a model from a run, a checkpoint, an exported generator, a published file, or the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from cyclegan.checkpoint import Checkpoint, checkpoint_from, is_checkpoint, is_run, read_newest
from cyclegan.data.format import Formats
from cyclegan.inference.engines.model_file import SUFFIXES
from cyclegan.inference.generator_file import Stored, formats_of, read_generator
from cyclegan.inference.hub import choose, fetch_generators, is_hub_name
from cyclegan.inference.imported import import_folder, import_generators, read_content
from cyclegan.inference.sizes import trained_size
from cyclegan.inference.weights import fill, weights_of
from cyclegan.networks.base import Generator
from cyclegan.recipe import Recipe
from cyclegan.types import Direction

FOR_OTHERS = (".pt2", ".ts", ".torchscript")
"""The endings of exports that hold a program of torch instead of weights and a config."""


@dataclass(frozen=True)
class Model:
    """The generators of a file, folder or repository, and what is known about their training."""

    path: Path
    """Where the model was loaded from."""
    generators: Mapping[Direction, Generator]
    """The generator of each direction, with EMA weights if there are any; on the CPU."""
    formats: Formats
    """The formats of the pictures of both domains."""
    trained: int | None = None
    """The length of the shorter side of the pictures that it was trained on, in pixels, if known."""
    checkpoint: Checkpoint | None = None
    """The checkpoint of its run, without optimizers; None for generators that were stored without their run."""

    @property
    def recipe(self) -> Recipe | None:
        """The recipe of its run, if known."""
        return self.checkpoint.recipe if self.checkpoint else None

    @property
    def images(self) -> int | None:
        """The number of images of each domain that it was trained on, if known."""
        return self.checkpoint.images if self.checkpoint else None

    def choose(self, direction: Direction | None = None) -> Direction:
        """Return `direction`, or by default AtoB or the only one; raises ValueError when the model does not have it."""
        if direction is None:
            return next(way for way in Direction if way in self.generators)
        if direction not in self.generators:
            known = " and ".join(self.generators)
            raise ValueError(
                f"{self.path}: {'its method ' if self.checkpoint else ''}translates {known}, not {direction}"
            )
        return direction


def open_model(path: Path | str, direction: Direction | None = None) -> Model:
    """Load a model from any of these sources.

    - A run folder; its newest checkpoint is used.
    - A checkpoint of a run (`.pt`).
    - A generator that `cyclegan export` wrote (`.safetensors`).
    - A `*_net_G*.pth` of the reference implementation or of CUT, a folder of them, or another file written by
      `torch.save` that holds generators. Such files are recognized by their content, not by their name.
    - `user/name` or `user/name@revision`, a repository on the Hugging Face hub, if no such file exists here.

    `direction` is used for a file that does not store its direction (default: AtoB). From a repository, or a folder of
    the reference or of CUT, only the generator of this direction is loaded.

    Raises FileNotFoundError when the source does not exist.
    Raises ValueError when it is damaged, holds no generator, or does not have the direction.
    Raises PermissionError or ConnectionError when the hub denies access or cannot be reached.
    """
    path = Path(path)
    if path.is_dir():
        if not is_run(path) and (generators := import_folder(path, direction)):
            return _plain(path, generators)
        return model_of(read_newest(path), path)
    if is_hub_name(path):
        name = path.as_posix()
        files = [choose(name, direction)] if direction else fetch_generators(name).values()
        return _stored(path, [read_generator(file) for file in files])
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such run folder, checkpoint or generator")
    if path.suffix == ".safetensors":
        return _stored(path, [read_generator(path)])
    if path.suffix in FOR_OTHERS:
        raise ValueError(f"{path}: a model for other programs; translate with the .safetensors or .onnx of an export")
    if path.suffix in SUFFIXES:
        raise ValueError(f"{path}: only `cyclegan translate` opens exported ONNX and OpenVINO models")
    content = read_content(path)
    if is_checkpoint(content):
        return model_of(checkpoint_from(content, path), path)
    return _plain(path, import_generators(content, path, direction))


def model_of(checkpoint: Checkpoint, path: Path) -> Model:
    """Build the model of a checkpoint that was already read; `path` is named in errors.

    Raises ValueError when the weights do not fit the recipe.
    """
    with torch.device("meta"):
        method = checkpoint.recipe.build()
    generators = method.generators()
    for direction, network in generators.items():
        own = weights_of(network, method, checkpoint.method)
        try:
            fill(network, checkpoint.ema.get(direction.value) if checkpoint.ema else own)
        except ValueError as error:
            raise ValueError(f"{path}: its weights do not fit its recipe: {error}") from None
    data = checkpoint.recipe.data
    return Model(path, generators, data.formats, trained_size(data), replace(checkpoint, optimizers={}))


def _plain(path: Path, generators: Mapping[Direction, Generator]) -> Model:
    """Return a model of generators that come without the formats of their pictures."""
    direction, network = next(iter(generators.items()))
    return Model(path, generators, formats_of(network, direction))


def _stored(path: Path, files: Sequence[Stored]) -> Model:
    return Model(path, {each.direction: each.network for each in files}, files[0].formats, files[0].trained)
