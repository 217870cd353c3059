"""The translator: loads a generator and translates pictures with it, in whatever form they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, overload

import numpy as np
from PIL import Image

from cyclegan.data.convert import as_image, values_of
from cyclegan.data.fit import scaled
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels, Values
from cyclegan.inference.bands.budget import Budget
from cyclegan.inference.bands.translate import translate_in_bands
from cyclegan.inference.engine import Engine
from cyclegan.inference.engines.model_file import SUFFIXES
from cyclegan.inference.graph.nodes import Code
from cyclegan.inference.inputs import Picture, batch_from, is_tensor, picture_from
from cyclegan.inference.style_codes import each_with, mixed, weakened
from cyclegan.inference.styles_in_turn import StylesInTurn
from cyclegan.machine.memory import free_memory, is_out_of_memory, one_by_one_if_need_be
from cyclegan.types import DOMAINS, Device, Direction, Precision
from cyclegan.util.prefetch import prefetch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cyclegan.inference.engines.choose import Wanted
    from cyclegan.inference.engines.torch_engine import TorchEngine
    from cyclegan.inference.model import Model
    from cyclegan.machine.compiler import Compile

LARGEST_STYLE = 512
"""The longest shorter side, in pixels, at which the style of a picture is found, if the training's is not known."""

READERS = 2
"""Number of threads that read pictures ahead in `translate_all`."""


class Translator:
    """Translates pictures of one domain to the other with one generator.

    ```python
    translator = Translator.load("runs/monet2photo", "BtoA")
    painted = translator.translate(Image.open("photo.jpg"))
    painted = await asyncio.to_thread(translator.translate, "photo.jpg")
    ```

    `network` is a generator, or an engine that runs one. `device` "auto" picks CUDA, then MPS, then the CPU. The speed
    options `precision`, `channels_last`, `compile_` and `engine`, the library that runs the generator, are used as
    given. Those on "auto" are tried once there are enough pictures to benefit, and used if they are faster and give the
    same picture as plain float32 within a tolerance. `memory` is the most bytes to use, by default what is free: a
    picture that would need more is translated in bands, with the same result. `trained` is the length of the shorter
    side of the pictures that the network was trained on, in pixels, if known.

    A generator with styles takes a style code, (1, S), in `style`; `style_of` finds that of pictures, and
    `random_style` draws one where that is possible. Without one, it takes `random_style(0)`.

    `source` and `target` are the formats of the pictures; by default, 8-bit pictures with as many channels as the
    network has. Several threads may use one translator; one picture is computed at a time.

    Raises ValueError when the device does not exist or does not support the precision.
    """

    def __init__(
        self,
        network: nn.Module | Engine,
        source: PictureFormat | None = None,
        target: PictureFormat | None = None,
        *,
        device: Device = "auto",
        precision: Literal["auto"] | Precision = "auto",
        channels_last: Literal["auto"] | bool = "auto",
        compile_: Literal["auto"] | Compile = "auto",
        engine: Wanted = "auto",
        memory: int | None = None,
        trained: int | None = None,
    ) -> None:
        if isinstance(network, Engine):
            self.engine: Engine = network
        else:
            from cyclegan.inference.engines.torch_engine import TorchEngine  # other engines need no torch

            self.engine = TorchEngine(
                network, device=device, precision=precision, channels_last=channels_last, compile_=compile_
            )
        self.precision, self.wanted = self.engine.precision, engine
        """The precision and the engine that were asked for, or `auto`."""
        self.direction: Direction | None = None
        """The direction, if it is known."""
        self.notes: tuple[str, ...] = ()
        """What the user should know about the model, one line each."""
        self._undecided = engine != "torch" and not isinstance(network, Engine)
        self.source = source or PictureFormat.of(self.engine.inputs)
        self.target = target or PictureFormat.of(self.engine.outputs)
        self.trained = trained
        self.budget = Budget(self.engine.on_cpu, memory)
        self.report: Callable[[float], object] = lambda share: None
        """Called with the share of a large picture that is done."""
        self.default_style: Callable[[int], Code] = lambda number: self.random_style(0)
        """Returns the styles of so many pictures for which none was given, (N or 1, S)."""
        self._lock = threading.Lock()
        self._came = 0

    @classmethod
    def load(
        cls,
        path: Path | str,
        direction: Direction | str | None = None,
        *,
        device: Device = "auto",
        precision: Literal["auto"] | Precision = "auto",
        channels_last: Literal["auto"] | bool = "auto",
        compile_: Literal["auto"] | Compile = "auto",
        engine: Wanted = "auto",
        memory: int | None = None,
    ) -> Translator:
        """Load a translator from a run folder, a checkpoint, an exported generator, a published file or the hub.

        `path` is anything that `open_model` opens; the other arguments are those of the class. `direction` is "AtoB" or
        "BtoA"; by default AtoB, or the only direction that the model has. EMA weights are used if there are any.

        Raises what `open_model` raises, and ValueError for a direction that the model does not have.
        """
        if Path(path).suffix in SUFFIXES:
            return cls._of_export(Path(path), direction, precision, engine, memory)
        from cyclegan.inference.model import open_model  # takes long, because of torch

        way = None if direction is None else Direction(direction)
        model = open_model(path, way)
        chosen = model.choose(way)
        own = cls(
            model.generators[chosen],
            model.formats[chosen.source],
            model.formats[chosen.target],
            device=device,
            precision=precision,
            channels_last=channels_last,
            compile_=compile_,
            engine=engine,
            memory=memory,
            trained=model.trained,
        )
        own.direction = chosen
        return own

    @classmethod
    def _of_export(
        cls, path: Path, direction: Direction | str | None, precision: str, engine: Wanted, memory: int | None
    ) -> Translator:
        """Load a translator from an ONNX or OpenVINO model, without torch."""
        from cyclegan.inference.engines.exported import engine_of_export

        run, about, notes = engine_of_export(path, direction, precision, engine)
        formats = {name: about.formats.get(name) for name in DOMAINS}
        own = cls(run, formats[about.direction.source], formats[about.direction.target], memory=memory)
        own.trained, own.notes, own.direction = about.trained, notes, about.direction
        return own

    @overload
    def translate(self, picture: Picture, style: Code | None = None) -> Image.Image: ...

    @overload
    def translate(self, picture: Tensor, style: Code | None = None) -> Tensor: ...

    def translate(self, picture: Picture | Tensor, style: Code | None = None) -> Image.Image | Tensor:
        """Translate a picture, or a tensor of pictures, in a style.

        A path, the bytes of a file, a Pillow image or an array (see `picture_from`) gives an 8-bit grey or RGB image of
        the same size; other target domains need `translate_values`. A tensor (C, H, W) or (N, C, H, W) of floats in
        [-1, 1] on any device gives a tensor of the same size and range, float32 on the translator's device.

        Raises ValueError for any other input, for a picture that cannot be read, for an image that would hold NaN, when
        the target domain is not 8-bit grey or RGB, and for a style that does not suit the generator.
        """
        if is_tensor(picture):
            return self._translate_tensor(picture, style)
        self._check_plain()
        return as_image(self.translate_values(cast(Picture, picture), style))

    def translate_values(self, picture: Picture, style: Code | None = None) -> Values:
        """Translate a path, the bytes of a file, a Pillow image or an array; return (H, W, C) in the target's units.

        Raises what `translate` raises.
        """
        return values_of(self.translate_pixels(picture_from(picture, self.source)[None], style)[0], self.target)

    def translate_all(self, pictures: Iterable[Picture], style: Code | None = None) -> Iterator[Image.Image]:
        """Yield the translations of pictures of any sizes, in order; the next ones are read while one is computed.

        `pictures` may be a list or a generator without an end. On a GPU, neighbours of one size go together.

        ```pycon
        >>> import numpy
        >>> from cyclegan.networks.config import ResnetConfig
        >>> translator = Translator(ResnetConfig(width=4, blocks=1).build(), device="cpu")
        >>> frames = (numpy.zeros((30 + i, 40, 3), numpy.uint8) for i in range(3))
        >>> [image.size for image in translator.translate_all(frames)]
        [(40, 30), (40, 31), (40, 32)]

        ```

        Raises what `translate` raises.
        """
        self._check_plain()
        read = prefetch(lambda picture: picture_from(picture, self.source), pictures, READERS)
        for shape, alike in groupby(read, key=lambda pixels: pixels.shape):
            while batch := list(islice(alike, self.batch_size(*shape[:2]))):
                for made in self._together(batch, style):
                    yield as_image(values_of(made, self.target))

    def translate_pixels(self, pixels: Pixels, style: Code | None = None) -> Pixels:
        """Translate a batch (N, H, W, C) of `Pixels` of the source domain to those of the target domain.

        `style` is a code for each, (N, S), or one for all, (1, S). Raises ValueError when the translation holds NaN.
        """
        code = self._known(style, len(pixels))
        with self._lock:
            self._decide(pixels, code)
            number, height, width = pixels.shape[:3]
            if not self.budget.is_exceeded(self.engine, height, width, number):
                try:
                    return self.engine.pixels(pixels, self.target, code)
                except (RuntimeError, MemoryError) as error:
                    if number > 1 or self.engine.graph is None or not is_out_of_memory(error):
                        raise
                free_memory()  # here, not above: the error's traceback holds what the failed call had made
            if number == 1:
                return translate_in_bands(self.engine, pixels[0], self.target, self.budget, self.report, code)[None]
        return np.concatenate([self.translate_pixels(picture[None], own) for picture, own in each_with(pixels, code)])

    def translate_batch(self, images: Tensor, style: Code | None = None) -> Tensor:
        """Translate (N, C, H, W) in [-1, 1] on any device to the same size and range, float32 on our device.

        Speed options on "auto" are chosen in the first call that has enough pictures.
        """
        code = self._known(style, len(images))
        with self._lock:
            return self.engine.translate(images, code)

    def style_of(
        self, *pictures: Picture, weights: Sequence[float] = (), strength: float = 1.0, size: int | None = None
    ) -> Code:
        """Return the style code (1, S) of pictures of the target domain: the mean of their codes, by `weights`.

        Pictures whose shorter side is longer than `size` are scaled to it; by default, to the size of the training.
        `strength` 1 is the whole style; 0 is none of it, or the mean style where styles are random.

        Raises ValueError for a generator that takes no style from pictures, for weights that are not one for each
        picture, and what `translate` raises for a picture.
        """
        self._check_styles()
        codes = [self._encoded(picture, size or self.trained or LARGEST_STYLE) for picture in pictures]
        return weakened(mixed(codes, weights), strength, self.engine.has_prior)

    def random_style(self, *seeds: int, strength: float = 1.0) -> Code:
        """Return a random style code (1, S), the same for the same `seeds`.

        Raises ValueError for a generator that has no random styles.
        """
        self._check_styles()
        if not self.engine.has_prior:
            raise ValueError("the model takes its style from a picture (--style), not at random")
        drawn = np.random.default_rng(seeds).standard_normal((1, self.engine.style_size)).astype(np.float32)
        return weakened(drawn, strength, True)

    def settle(self, pixels: Pixels, times: float, style: Code | None = None) -> None:
        """Prepare for `times` more batches like these pictures (N, H, W, C), if that saves time: compile."""
        code = self._known(style, 1)
        with self._lock:
            self.engine.settle(pixels, times, code)

    def _known(self, style: Code | None, number: int) -> Code | None:
        """Return a style that was given, or those of `default_style`; None for a generator without styles."""
        size = self.engine.style_size
        if style is None:
            return self.default_style(number) if size else None
        self._check_styles()
        if style.ndim != 2 or style.shape[1] != size:
            raise ValueError(f"a style code is (1, {size}), not {style.shape}; style_of and random_style give one")
        return np.asarray(style, np.float32)

    def _check_styles(self) -> None:
        if not self.engine.style_size:
            raise ValueError("the model has one style, so it takes no other (--style)")

    def _encoded(self, picture: Picture, size: int) -> Code:
        """Return the style code (1, S) of a picture, whose shorter side is at most `size`."""
        pixels = picture_from(picture, self.target)
        height, width = pixels.shape[:2]
        if min(height, width) > size:
            factor = size / min(height, width)
            pixels = scaled(pixels, (round(height * factor), round(width * factor)))
        with self._lock:
            return self.engine.encode_style(pixels[None])

    @property
    def torch(self) -> TorchEngine:
        """The engine, if it is torch. Raises ValueError for another one."""
        from cyclegan.inference.engines.torch_engine import TorchEngine

        if not isinstance(self.engine, TorchEngine):
            raise ValueError(f"this needs torch, but the generator is run by {self.engine.name}")
        return self.engine

    def batch_size(self, height: int, width: int) -> int:
        """Return a good batch size for pictures of this size, at most what fits into memory."""
        most = self.engine.batch_size(height, width)
        return most if most == 1 else int(max(1, min(most, self.budget.number(self.engine, height, width))))

    def _decide(self, pixels: Pixels, style: Code | None) -> None:
        """Choose the engine in the first call that has enough pictures; see `choose_engine`."""
        if not self._undecided:
            return
        from cyclegan.inference.engines.choose import choose_engine

        self._came += pixels[..., 0].size
        self.engine.expected = max(self.engine.expected, self._came)
        if chosen := choose_engine(self.wanted, self.torch, pixels, style):
            self.engine, self._undecided = chosen, False

    def _together(self, pictures: Sequence[Pixels], style: Code | None) -> Pixels:
        return self.translate_pixels(np.stack(pictures) if len(pictures) > 1 else pictures[0][None], style)

    def _translate_tensor(self, picture: Tensor, style: Code | None) -> Tensor:
        import torch

        batch = batch_from(picture, self.source.channels)
        portions = torch.split(batch, self.batch_size(*batch.shape[2:]))
        translate = partial(self.translate_batch, style=style)
        together = torch.cat([one_by_one_if_need_be(translate, portion) for portion in portions])
        return together if picture.ndim == 4 else together[0]

    def _check_plain(self) -> None:
        if not self.target.is_plain:
            raise ValueError(f"translations have {self.target.told}, unlike Pillow's images; use translate_values")


def plain_translators(model: Model, *, device: Device = "auto") -> dict[Direction, Translator]:
    """Return a translator for each direction of a model, in plain float32, so that scores do not depend on tuning.

    If the model has styles, each picture gets one in turn: see `StylesInTurn`.
    """
    translators = {
        direction: Translator(
            generator,
            model.formats[direction.source],
            model.formats[direction.target],
            device=device,
            precision="float32",
            channels_last=False,
            compile_="off",
            engine="torch",
        )
        for direction, generator in model.generators.items()
    }
    data = model.recipe.data if model.recipe else None
    for direction, translator in translators.items():
        translator.default_style = StylesInTurn(translator, data, direction)
    return translators
