"""The translator: loads a generator and translates pictures with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, overload

import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.data.convert import as_image, denormalised, normalised, values_of
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Values
from cyclegan.inference.inputs import Picture, batch_from, picture_from
from cyclegan.inference.model import Model, open_model
from cyclegan.machine.agreement import Tolerance
from cyclegan.machine.compiler import Compile, Compiler, layout_of, set_layout
from cyclegan.machine.device import Arithmetic, choose_device, has_bf16, has_compiler
from cyclegan.machine.levers import HOPE, PLAIN, TURNS, Bench, Levers, Offer, choose_levers, may_pay, offers_for
from cyclegan.machine.memory import is_out_of_memory, one_by_one_if_need_be
from cyclegan.types import Device, Direction, Precision

MEGAPIXELS = 2
"""Megapixels (2**20) in a batch on a GPU: 32 pictures of 256 x 256, or one large one."""

TRIAL = 256
"""Side, in pixels, of the crop on which speed options are tried."""

REPAYS = round((1 + 2 * TURNS) / HOPE)
"""Fewest pictures of the trial's size for which speed options are tried; with fewer, `may_pay` rejects all of them."""

COMPILING = 30.0
"""Seconds that compiling a generator for one size takes, about."""

TOLERANCES: Mapping[Precision, Tolerance] = {
    "float32": Tolerance(loss=0.01, tensor=0.01),
    "tf32": Tolerance(loss=0.05, tensor=0.05),
    "fp16": Tolerance(loss=0.05, tensor=0.05),
    "bf16": Tolerance(loss=0.15, tensor=0.15),
}
"""Largest relative differences of a picture from plain float32, in norm; for bf16, up to 0.15 was measured with random
weights and 0.02 with trained ones."""


class Translator:
    """Translates pictures of one domain to the other with one generator.

    ```python
    translator = Translator.load("runs/monet2photo", "BtoA")
    painted = translator.translate(Image.open("photo.jpg"))
    ```

    `device` "auto" picks CUDA, then MPS, then the CPU. The speed options `precision`, `channels_last` and `compile_`
    are used as given. Those on "auto" are tried once there are enough pictures to benefit, and used if they are faster
    and give the same picture as plain float32 within a tolerance.

    `source` and `target` are the formats of the pictures; by default, 8-bit pictures with as many channels as the
    network has.

    Raises ValueError when the device does not exist or does not support the precision.
    """

    def __init__(
        self,
        network: nn.Module,
        source: PictureFormat | None = None,
        target: PictureFormat | None = None,
        *,
        device: Device = "auto",
        precision: Literal["auto"] | Precision = "auto",
        channels_last: Literal["auto"] | bool = "auto",
        compile_: Literal["auto"] | Compile = "auto",
    ) -> None:
        self.device = choose_device(device)
        self.precision = precision
        self.source = source or PictureFormat.of(getattr(network, "inputs", 3))
        self.target = target or PictureFormat.of(getattr(network, "outputs", 3))
        self.network = network.to(self.device).eval()
        self.compiler = Compiler([self.network])
        self.note: Callable[[str], object] = lambda line: None
        """Called with a line when speed options were chosen, and before compiling."""
        asked = {"precision": precision, "channels_last": channels_last, "compile": compile_}
        self.by_hand = {name: value for name, value in asked.items() if value != "auto"}
        self.expected = 0
        """Number of pixels to translate, if known; may be set by the caller."""
        self._came = 0
        self._tried = False
        self._compiled: set[torch.Size] = set()
        self.use(Levers(**self.by_hand))  # type: ignore[arg-type]  # by name

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
    ) -> Translator:
        """Load a translator from a run folder, a checkpoint, an exported generator, a published file or the hub.

        `path` is anything that `open_model` opens; the other arguments are those of the class. `direction` is "AtoB" or
        "BtoA"; by default AtoB, or the only direction that the model has. EMA weights are used if there are any.

        Raises what `open_model` raises, and ValueError for a direction that the model does not have.
        """
        way = None if direction is None else Direction(direction)
        model = open_model(path, way)
        chosen = model.choose(way)
        return cls(
            model.generators[chosen],
            model.formats[chosen.source],
            model.formats[chosen.target],
            device=device,
            precision=precision,
            channels_last=channels_last,
            compile_=compile_,
        )

    def use(self, levers: Levers) -> None:
        """Use these speed options from now on."""
        self.levers, self.arithmetic = levers, Arithmetic(self.device, levers.precision)
        set_layout(self.network, levers.channels_last)
        self.compiler.set(levers.compile)

    @overload
    def translate(self, picture: Picture) -> Image.Image: ...

    @overload
    def translate(self, picture: Tensor) -> Tensor: ...

    def translate(self, picture: Picture | Tensor) -> Image.Image | Tensor:
        """Translate a picture, or a tensor of pictures.

        A path, a Pillow image or an array (see `picture_from`) gives an 8-bit grey or RGB image of the same size; other
        target domains need `translate_values`. A tensor (C, H, W) or (N, C, H, W) of floats in [-1, 1] on any device
        gives a tensor of the same size and range, float32 on the translator's device.

        Raises ValueError for any other input, for a picture that cannot be read, for an image that would hold NaN, and
        when the target domain is not 8-bit grey or RGB.
        """
        if isinstance(picture, Tensor):
            batch = batch_from(picture, self.source.channels)
            portions = torch.split(batch, self.batch_size(*batch.shape[2:]))
            made = [one_by_one_if_need_be(self.translate_batch, portion) for portion in portions]
            together = torch.cat(made)
            return together if picture.ndim == 4 else together[0]
        if not self.target.is_plain:
            raise ValueError(f"translations have {self.target.told}, unlike Pillow's images; use translate_values")
        return as_image(self.translate_values(picture))

    def translate_values(self, picture: Picture) -> Values:
        """Translate a path, a Pillow image or an array; return an array (H, W, C) in the units of the target domain.

        Raises what `translate` raises.
        """
        pixels = torch.tensor(picture_from(picture, self.source)).permute(2, 0, 1)
        return values_of(self.translate_pixels(pixels[None])[0].permute(1, 2, 0).numpy(), self.target)

    def translate_pixels(self, pixels: Tensor) -> Tensor:
        """Translate a batch (N, C, H, W) of `Pixels` of the source domain to those of the target domain, on the CPU.

        Raises ValueError when the translation holds NaN.
        """
        return denormalised(
            self.translate_batch(normalised(pixels.to(self.device, non_blocking=True))), self.target
        ).cpu()

    def translate_batch(self, images: Tensor) -> Tensor:
        """Translate (N, C, H, W) in [-1, 1] on any device to the same size and range, float32 on our device.

        Speed options on "auto" are chosen in the first call that has enough pictures.
        """
        images = images.to(self.device)
        self._came += len(images) * images.shape[2] * images.shape[3]
        if not self._tried and (self.by_hand or max(self.expected, self._came) >= REPAYS * TRIAL**2):
            self.tune(images)
        return self.run(images)

    @torch.inference_mode()
    def run(self, images: Tensor) -> Tensor:
        """Translate like `translate_batch`, with the current speed options."""
        images = images.to(memory_format=layout_of(self.levers.channels_last))
        as_written = images.shape not in self._compiled and "compile" not in self.by_hand
        with self.arithmetic, self.compiler.calls([images], as_written=as_written):
            translated: Tensor = self.network(images)
        return translated.float()

    def tune(self, images: Tensor) -> None:
        """Choose the speed options that are correct and fastest on a crop of these pictures, (N, C, H, W) in [-1, 1].

        Compiling is not tried, because it is for one size only; see `compile`.
        """
        self._tried = True
        offers = offers_for(self.device, self.by_hand | {"compile": "", "graph": ""}, bf16=has_bf16(self.device))
        times = max(self.expected, self._came) / TRIAL**2
        self._choose(images[:, :, :TRIAL, :TRIAL], offers, times / len(images))

    def compile(self, images: Tensor, times: float) -> None:
        """Compile for batches of this shape, (N, C, H, W) in [-1, 1], if that is correct and saves time.

        `times` is the number of such batches to come. Compiling takes about half a minute; it affects no other shape.
        """
        if "compile" in self.by_hand or not has_compiler(self.device) or images.shape in self._compiled:
            return
        offers = offers_for(self.device, {"precision": "", "channels_last": "", "graph": ""}, bf16=False)
        offers = [offer._replace(seconds=COMPILING) for offer in offers]
        begin = time.perf_counter()
        self.run(images).sum().item()
        if not may_pay(offers[0], time.perf_counter() - begin, times):
            return
        self.note(f"compiling for pictures of {images.shape[3]} x {images.shape[2]} pixels; takes about half a minute")
        self._compiled.add(images.shape)
        before, self.levers = self.levers.compile, self.levers._replace(compile="off")
        self._choose(images, offers, times)
        if self.levers.compile == "off":
            self._compiled.remove(images.shape)
            self.use(self.levers._replace(compile=before))

    def _choose(self, images: Tensor, offers: Sequence[Offer], times: float) -> None:
        """Use the options that are correct and fastest on these pictures; keep the current ones if memory runs out."""
        start = self.levers
        if not offers and start == PLAIN:
            return
        wait = torch.cuda.synchronize if self.device.type == "cuda" else lambda: None
        bench = Bench(self.use, lambda: {"the picture": self.run(images)}, wait, TOLERANCES, prefix="--")
        try:
            choice = choose_levers(bench, start, offers, times)
            if choice.trials or choice.wrong:
                self.note(choice.told)
        except (MemoryError, RuntimeError) as error:
            self.use(start)
            if not is_out_of_memory(error):
                raise

    def batch_size(self, height: int, width: int) -> int:
        """Return a good batch size for pictures of this size: 1 on a CPU, about 2 megapixels on a GPU."""
        return 1 if self.device.type == "cpu" else max(1, MEGAPIXELS * 2**20 // (height * width))


def plain_translators(model: Model, *, device: Device = "auto") -> dict[Direction, Translator]:
    """Return a translator for each direction of a model, in plain float32, so that scores do not depend on tuning."""
    return {
        direction: Translator(
            generator,
            model.formats[direction.source],
            model.formats[direction.target],
            device=device,
            precision="float32",
            channels_last=False,
            compile_="off",
        )
        for direction, generator in model.generators.items()
    }
