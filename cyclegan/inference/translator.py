"""From a file of weights to translated pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, overload

import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.data.files import from_bytes, from_pixels, to_bytes, to_pixels
from cyclegan.inference.inputs import Picture, batch_from, picture_from
from cyclegan.inference.model import Model, open_model
from cyclegan.machine.agreement import Tolerance
from cyclegan.machine.compiler import Compile, Compiler, layout_of, set_layout
from cyclegan.machine.device import Arithmetic, choose_device, has_bf16, has_compiler
from cyclegan.machine.levers import HOPE, PLAIN, TURNS, Bench, Levers, Offer, choose_levers, may_pay, offers_for
from cyclegan.machine.memory import is_out_of_memory, one_by_one_if_need_be
from cyclegan.types import Device, Direction, Precision

MEGAPIXELS = 2
"""In a batch on a GPU: 32 pictures of 256 pixels, or one large one."""

TRIAL = 256
"""Pixels of a side of the picture, or part of one, on which levers are tried."""

REPAYS = round((1 + 2 * TURNS) / HOPE)
"""Pictures of the trial's size that make a trial worth it: with fewer, `may_pay` denies every lever."""

COMPILING = 30.0
"""Seconds that compiling a generator for one size takes."""

TOLERANCES: Mapping[Precision, Tolerance] = {
    "float32": Tolerance(loss=0.01, tensor=0.01),
    "tf32": Tolerance(loss=0.05, tensor=0.05),
    "fp16": Tolerance(loss=0.05, tensor=0.05),
    "bf16": Tolerance(loss=0.15, tensor=0.15),
}
"""Of pictures, in norm; 0.15 was measured with random weights, 0.02 with trained ones."""


class Translator:
    """One direction of a trained method: pictures of one domain in, pictures of the other out.

        painted = Translator.load("runs/monet2photo", "BtoA").translate(Image.open("photo.jpg"))

    `precision`, `channels_last` and `compile_` are obeyed. On `auto` they are tried once there is enough to translate,
    and used where they give the picture that plain float32 gives, and are faster.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: Device = "auto",
        precision: Literal["auto"] | Precision = "auto",
        channels_last: Literal["auto"] | bool = "auto",
        compile_: Literal["auto"] | Compile = "auto",
    ) -> None:
        self.device = choose_device(device)
        self.precision = precision
        self.network = network.to(self.device).eval()
        self.compiler = Compiler([self.network])
        self.note: Callable[[str], object] = lambda line: None
        """Told what was chosen, and what takes long."""
        asked = {"precision": precision, "channels_last": channels_last, "compile": compile_}
        self.by_hand = {name: value for name, value in asked.items() if value != "auto"}
        self.expected = 0
        """Pixels to translate, as far as anyone has said, and at least those that came."""
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
        """From anything that `open_model` opens, which says what is raised.

        `direction`, "AtoB" or "BtoA", may be left out where the file knows only one; a run that knows both is taken
        AtoB. Averaged weights are used where there are any.
        """
        way = None if direction is None else Direction(direction)
        model = open_model(path, way)
        return cls(
            model.generators[model.choose(way)],
            device=device,
            precision=precision,
            channels_last=channels_last,
            compile_=compile_,
        )

    def use(self, levers: Levers) -> None:
        """Translate by these levers from now on."""
        self.levers, self.arithmetic = levers, Arithmetic(self.device, levers.precision)
        set_layout(self.network, levers.channels_last)
        self.compiler.set(levers.compile)

    @overload
    def translate(self, picture: Picture) -> Image.Image: ...

    @overload
    def translate(self, picture: Tensor) -> Tensor: ...

    def translate(self, picture: Picture | Tensor) -> Image.Image | Tensor:
        """A picture to its translation, 8-bit RGB of the same size; a tensor to a tensor of the same shape.

        A path, a picture of Pillow's or an array becomes what the command line makes of a file: see `picture_from`. A
        tensor is (3, H, W) or (N, 3, H, W), floats in [-1, 1], on any device; so is what comes back, float32 on the
        translator's. Raises ValueError, in one line, for anything else.
        """
        if isinstance(picture, Tensor):
            batch = batch_from(picture)
            portions = torch.split(batch, self.batch_size(*batch.shape[2:]))
            made = [one_by_one_if_need_be(self.translate_batch, portion) for portion in portions]
            return torch.cat(made).reshape(picture.shape)
        pixels = to_pixels(picture_from(picture))
        return from_pixels(self.translate_bytes(pixels[None])[0])

    def translate_bytes(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..255 to the same, uint8 on the CPU: the quick way for pictures that come from files."""
        return to_bytes(self.translate_batch(from_bytes(pixels.to(self.device, non_blocking=True)))).cpu()

    def translate_batch(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] on any device to the same shape and range, float32 on the translator's device."""
        images = images.to(self.device)
        self._came += len(images) * images.shape[2] * images.shape[3]
        if not self._tried and (self.by_hand or max(self.expected, self._came) >= REPAYS * TRIAL**2):
            self.tune(images)
        return self.run(images)

    @torch.inference_mode()
    def run(self, images: Tensor) -> Tensor:
        """As `translate_batch`, by the levers as they are."""
        images = images.to(memory_format=layout_of(self.levers.channels_last))
        as_written = images.shape not in self._compiled and "compile" not in self.by_hand
        with self.arithmetic, self.compiler.calls([images], as_written=as_written):
            translated: Tensor = self.network(images)
        return translated.float()

    def tune(self, images: Tensor) -> None:
        """Choose the levers that are right and fastest on (a part of) these pictures, (N, 3, H, W) in [-1, 1].

        Compiling is for one size only: `compile` tries it.
        """
        self._tried = True
        offers = offers_for(self.device, self.by_hand | {"compile": "", "graph": ""}, bf16=has_bf16(self.device))
        times = max(self.expected, self._came) / TRIAL**2
        self._choose(images[:, :, :TRIAL, :TRIAL], offers, times / len(images))

    def compile(self, images: Tensor, times: float) -> None:
        """Compile for batches of this shape, (N, 3, H, W) in [-1, 1], if that is right and repaid by so many to come.

        Takes half a minute; other shapes go on as before.
        """
        if "compile" in self.by_hand or not has_compiler(self.device) or images.shape in self._compiled:
            return
        offers = offers_for(self.device, {"precision": "", "channels_last": "", "graph": ""}, bf16=False)
        offers = [offer._replace(seconds=COMPILING) for offer in offers]
        begin = time.perf_counter()
        self.run(images).sum().item()
        if not may_pay(offers[0], time.perf_counter() - begin, times):
            return
        self.note(f"compiling the network for pictures of {images.shape[3]} x {images.shape[2]} pixels: half a minute")
        self._compiled.add(images.shape)
        before, self.levers = self.levers.compile, self.levers._replace(compile="off")
        self._choose(images, offers, times)
        if self.levers.compile == "off":
            self._compiled.remove(images.shape)
            self.use(self.levers._replace(compile=before))

    def _choose(self, images: Tensor, offers: Sequence[Offer], times: float) -> None:
        """Take what is right and fastest on these pictures; without the memory for a trial all stays as it is."""
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
        """How many pictures of this size to give it at once: a CPU is busy with one, a GPU wants some megapixels."""
        return 1 if self.device.type == "cpu" else max(1, MEGAPIXELS * 2**20 // (height * width))


def plain_translators(model: Model, *, device: Device = "auto") -> dict[Direction, Translator]:
    """Every direction of a model in plain float32, so that no figure or picture depends on what a machine likes."""
    return {
        direction: Translator(generator, device=device, precision="float32", channels_last=False, compile_="off")
        for direction, generator in model.generators.items()
    }
