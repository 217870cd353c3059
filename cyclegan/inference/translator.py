"""From a file of weights to translated pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.checkpoint import Checkpoint, read_checkpoint, read_newest
from cyclegan.images.files import from_bytes, to_bytes, to_image, to_tensor
from cyclegan.inference.export import read_generator
from cyclegan.inference.hub import choose, fetch_generators, is_hub_name
from cyclegan.inference.imported import import_generator
from cyclegan.inference.weights import fill, weights_of
from cyclegan.machine import autocast, choose_device, compiler_problem, first_line
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.recipe import Recipe
from cyclegan.types import Device, Direction, Precision

MEGAPIXELS = 2
"""In a batch on a GPU: 32 pictures of 256 pixels, or one large one."""


class Translator:
    """One direction of a trained method: pictures of one domain in, pictures of the other out.

    painted = Translator.load("runs/monet2photo", "BtoA").translate(Image.open("photo.jpg"))
    """

    def __init__(self, network: nn.Module, *, device: Device = "auto", precision: Precision = "auto") -> None:
        self.device = choose_device(device)
        self.autocast = autocast(self.device, precision)
        self.network = network.to(self.device).eval()
        self._compiled: dict[torch.Size, Callable[[Tensor], Tensor]] = {}

    @classmethod
    def load(
        cls,
        path: Path | str,
        direction: Direction | None = None,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
    ) -> Translator:
        """From a run folder (its newest checkpoint), a checkpoint, an exported `.safetensors`, or a reference `.pth`.

        Where there is no such file, `user/name` or `user/name@revision` is a repository on the Hugging Face hub.
        `direction` may be left out where the file knows only one; a run that knows both is taken AtoB. Averaged weights
        are used where there are any. Raises FileNotFoundError, or ValueError with one line, for what cannot be loaded;
        for a repository also ImportError, PermissionError and ConnectionError.
        """
        network, _ = load_generator(Path(path), direction)
        return cls(network, device=device, precision=precision)

    def translate(self, image: Image.Image) -> Image.Image:
        """A picture of any mode and size to its translation, RGB of the same size."""
        return to_image(self.translate_batch(to_tensor(image.convert("RGB"))[None])[0])

    def translate_bytes(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..255 to the same, uint8 on the CPU: the quick way for pictures that come from files."""
        return to_bytes(self.translate_batch(from_bytes(pixels.to(self.device, non_blocking=True)))).cpu()

    @torch.inference_mode()
    def translate_batch(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] on any device to the same shape and range, float32 on the translator's device."""
        with self.autocast:
            translated: Tensor = self._compiled.get(images.shape, self.network)(images.to(self.device))
        return translated.float()

    def compile(self, shape: torch.Size, note: Callable[[str], None]) -> None:
        """Compile for batches of this shape, (N, 3, H, W), and tell the person; others go on as before.

        Takes some twenty seconds, and spares, on a CPU with bf16, about half the time of each batch. Where the compiler
        fails, as it does for some shapes, these go on as before too.
        """
        if problem := compiler_problem(self.device):
            return note(f"not compiling the network: {problem}")
        size = f"{shape[3]} x {shape[2]} pixels"
        note(f"compiling the network for pictures of {size}: half a minute, then faster")
        self._compiled[shape] = torch.compile(self.network, dynamic=False)
        silenced = logging.root.manager.disable
        logging.disable()  # the compiler logs pages about its own mistakes; one line is told here
        try:
            self.translate_batch(torch.zeros(shape))
        except Exception as error:
            del self._compiled[shape]
            note(f"not compiled for pictures of {size}, they go on as before: {first_line(error)}")
        finally:
            logging.disable(silenced)

    def batch(self, height: int, width: int) -> int:
        """How many pictures of this size to give it at once: a CPU is busy with one, a GPU wants some megapixels."""
        return 1 if self.device.type == "cpu" else max(1, MEGAPIXELS * 2**20 // (height * width))


class Translators(NamedTuple):
    """All that a file of weights can translate, and what it says about its training."""

    directions: dict[Direction, Translator]
    recipe: Recipe | None = None
    """None for one exported generator, which does not know it; the same goes for `images`."""
    images: int | None = None
    """Pairs of pictures seen."""


def load_translators(path: Path, *, device: Device = "auto") -> Translators:
    """Every direction that a run (its newest checkpoint), checkpoint, generator or repository knows.

    Raises what `Translator.load` raises.
    """
    if is_hub_name(path):
        generators = [read_generator(file) for file in fetch_generators(path.as_posix()).values()]
        return Translators({direction: Translator(network, device=device) for network, direction in generators})
    if path.is_file() and path.suffix in (".safetensors", ".pth"):
        network, direction = load_generator(path, None)
        return Translators({direction: Translator(network, device=device)})
    checkpoint = read_newest(path) if path.is_dir() else read_checkpoint(path)
    with torch.device("meta"):
        directions = list(checkpoint.recipe.method.build().translators())
    networks = {direction: generator_of(checkpoint, path, direction)[0] for direction in directions}
    translators = {direction: Translator(network, device=device) for direction, network in networks.items()}
    return Translators(translators, checkpoint.recipe, checkpoint.images)


def load_generator(path: Path, direction: Direction | None) -> tuple[ResnetGenerator, Direction]:
    """The generator in any file that holds one, and the direction it translates; see `Translator.load`."""
    if path.is_dir():
        return generator_of(read_newest(path), path, direction)
    if is_hub_name(path):
        path = choose(path.as_posix(), direction)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such run folder, checkpoint or generator")
    if path.suffix == ".safetensors":
        network, known = read_generator(path)
        if direction not in (None, known):
            raise ValueError(f"{path}: translates {known}, not {direction}")
        return network, known
    if path.suffix == ".pth":
        return import_generator(path), direction or "AtoB"
    return generator_of(read_checkpoint(path), path, direction)


def generator_of(checkpoint: Checkpoint, path: Path, direction: Direction | None) -> tuple[ResnetGenerator, Direction]:
    """One translator of a checkpoint, averaged if there is an average; `path` is named in errors.

    Raises ValueError, in one line, where the method has no such direction or the weights do not fit the recipe.
    """
    with torch.device("meta"):
        method = checkpoint.recipe.method.build()
    translators = method.translators()
    direction = direction or next(iter(translators))
    if direction not in translators:
        raise ValueError(f"{path}: its method translates {' and '.join(translators)}, not {direction}")
    network = translators[direction]
    averaged: Any = checkpoint.average
    weights = averaged.get(direction) if averaged else weights_of(network, method, checkpoint.method)
    try:
        fill(network, weights)
    except ValueError as error:
        raise ValueError(f"{path}: its weights do not fit its recipe: {error}") from None
    return network, direction
