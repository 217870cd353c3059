"""The engine that runs a generator with torch, in the precision and layout that are fastest on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from cyclegan.data.convert import denormalised, normalised
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.torch_runner import TorchRunner
from cyclegan.inference.engine import Name
from cyclegan.inference.engines.arrays import Images
from cyclegan.inference.engines.lanes import Lanes
from cyclegan.inference.graph.nodes import Code, Graph
from cyclegan.inference.graph.trace import Untraceable, trace
from cyclegan.inference.weights import digest
from cyclegan.machine.agreement import Tolerance
from cyclegan.machine.allocator import blocks_kept
from cyclegan.machine.compiler import Compile, Compiler, layout_of, set_layout
from cyclegan.machine.device import Arithmetic, choose_device, has_bf16, has_compiler
from cyclegan.machine.levers import HOPE, PLAIN, TURNS, Bench, Levers, Offer, choose_levers, may_pay, offers_for
from cyclegan.machine.memory import is_out_of_memory
from cyclegan.networks.base import StyleGenerator
from cyclegan.types import Device, Precision

MEGAPIXELS = 2
"""Megapixels (2**20) in a batch: on a GPU 32 pictures of 256 x 256, or one large one."""

MAPPED = 2**17
"""Pixels of a picture from which layers are so large that the C library maps each anew, see `blocks_kept`."""

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


class TorchEngine:
    """Runs a generator with torch.

    `device` "auto" picks CUDA, then MPS, then the CPU. The speed options `precision`, `channels_last` and `compile_`
    are used as given. Those on "auto" are tried once there are enough pictures to benefit, and used if they are faster
    and give the same picture as plain float32 within a tolerance.

    Raises ValueError when the device does not exist or does not support the precision.
    """

    name: Name = "torch"

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
        self.precision: str = precision
        self.network = network.to(self.device).eval()
        self.inputs: int = getattr(network, "inputs", 3)
        self.outputs: int = getattr(network, "outputs", 3)
        self.style_size: int = getattr(network, "style_size", 0)
        self.has_prior: bool = getattr(network, "has_prior", False)
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

    @property
    def digest(self) -> str:
        """The SHA-256 of the generator's config and weights."""
        return digest(self.network)

    @property
    def is_finite(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(weights.isfinite().all()) for weights in self.network.parameters())

    @property
    def on_cpu(self) -> bool:
        """Whether it computes on the CPU, in the memory of this process."""
        return self.device.type == "cpu"

    @cached_property
    def graph(self) -> Graph | None:
        """The generator as simple operations; None for a network of other operations."""
        try:
            return trace(self.network)
        except Untraceable:
            return None

    def runner(self, target: PictureFormat, style: Code | None = None) -> TorchRunner:
        """Return what computes bands with the current precision in one style; the network has a graph."""
        assert self.graph is not None
        half = self.levers.precision in ("bf16", "fp16")
        return TorchRunner(
            self.graph.bound(style), self.device, self.arithmetic, target, bytes_of_a_value=2 if half else 4
        )

    def pixels(self, pixels: Pixels, target: PictureFormat, style: Code | None = None) -> Pixels:
        """Translate pictures (N, H, W, C), pixels of the source domain, to those of the target domain.

        Raises ValueError when the translation holds NaN.
        """
        translated = denormalised(self.translate(self._images(pixels), style), target)
        back: Pixels = translated.permute(0, 2, 3, 1).cpu().numpy()
        return back

    def translate(self, images: Tensor, style: Code | None = None) -> Tensor:
        """Translate (N, C, H, W) in [-1, 1] on any device to the same size and range, float32 on our device.

        Speed options on "auto" are chosen in the first call that has enough pictures.
        """
        images = images.to(self.device)
        self._came += len(images) * images.shape[2] * images.shape[3]
        if not self._tried and (self.by_hand or max(self.expected, self._came) >= REPAYS * TRIAL**2):
            self.tune(images, style)
        return self.run(images, style)

    def _images(self, pixels: Pixels) -> Tensor:
        """Return pictures (N, H, W, C) as images (N, C, H, W) in [-1, 1] on the device."""
        there = torch.tensor(pixels).to(self.device, non_blocking=True)
        return normalised(there.permute(0, 3, 1, 2))

    @property
    def has_bf16(self) -> bool:
        """Whether the device multiplies bf16 in hardware."""
        return has_bf16(self.device)

    @property
    def threads(self) -> int:
        """The number of threads that torch uses on the CPU."""
        return torch.get_num_threads()

    def run_pixels(self, pixels: Pixels, style: Code | None = None) -> Tensor:
        """Translate pictures (N, H, W, C) with the current speed options; for measurements."""
        return self.run(self._images(pixels), style).cpu()

    def plainly(self, images: Images, style: Code | None = None) -> Images:
        """Translate images (N, C, H, W) in [-1, 1] in plain float32, the reference for everything that is faster."""
        before = self.levers
        self.use(PLAIN)
        try:
            translated: Images = self.run(torch.from_numpy(images).to(self.device), style).cpu().numpy()
            return translated
        finally:
            self.use(before)

    def use(self, levers: Levers) -> None:
        """Use these speed options from now on."""
        self.levers, self.arithmetic = levers, Arithmetic(self.device, levers.precision)
        set_layout(self.network, levers.channels_last)
        self.compiler.set(levers.compile)

    def run(self, images: Tensor, style: Code | None = None) -> Tensor:
        """Translate like `translate`, with the current speed options."""
        images = images.to(memory_format=layout_of(self.levers.channels_last))
        styles = self._styles(style, len(images))
        as_written = images.shape not in self._compiled and "compile" not in self.by_hand
        is_large = self.on_cpu and images.shape[2] * images.shape[3] > MAPPED
        with blocks_kept() if is_large else nullcontext(), self.compiler.calls([images], as_written=as_written):
            if self.levers.parallel and len(images) > 1 and (as_written or self.levers.compile == "off"):
                return self._lanes.translate(self._run, images, *styles)
            return self._run(images, *styles)

    def _styles(self, style: Code | None, number: int) -> list[Tensor]:
        """Return what the generator gets besides the images: a code for each, or nothing if it has no styles."""
        if not self.style_size:
            return []
        code = torch.zeros(1, self.style_size) if style is None else torch.from_numpy(style)
        return [code.to(self.device).expand(number, -1)]

    @torch.inference_mode()
    def _run(self, images: Tensor, *styles: Tensor) -> Tensor:
        with Arithmetic(self.device, self.levers.precision):
            translated: Tensor = self.network(images, *styles)
        return translated.float()

    @cached_property
    def _lanes(self) -> Lanes:
        return Lanes(self.threads)

    def tune(self, images: Tensor, style: Code | None = None) -> None:
        """Choose the speed options that are correct and fastest on a crop of these pictures, (N, C, H, W) in [-1, 1].

        Compiling is not tried, because it is for one size only; see `compile`.
        """
        self._tried = True
        offers = offers_for(self.device, self.by_hand | {"compile": "", "graph": ""}, bf16=has_bf16(self.device))
        times = max(self.expected, self._came) / TRIAL**2
        crops = images[:, :, :TRIAL, :TRIAL]
        if self.on_cpu and self.threads > 1 and self.by_hand.get("compile", "off") == "off":
            offers.append(Offer("parallel", {"parallel": True}))
            crops = crops[:1].expand(self.threads, -1, -1, -1)
        self._choose(crops, offers, times / len(crops), style)

    def compile(self, images: Tensor, times: float, style: Code | None = None) -> None:
        """Compile for batches of this shape, (N, C, H, W) in [-1, 1], if that is correct and saves time.

        `times` is the number of such batches to come. Compiling takes about half a minute; it affects no other shape.
        """
        if "compile" in self.by_hand or not has_compiler(self.device) or images.shape in self._compiled:
            return
        offers = offers_for(self.device, {"precision": "", "channels_last": "", "graph": ""}, bf16=False)
        offers = [offer._replace(seconds=COMPILING) for offer in offers]
        begin = time.perf_counter()
        self.run(images, style).sum().item()
        if not may_pay(offers[0], time.perf_counter() - begin, times):
            return
        self.note(f"compiling for pictures of {images.shape[3]} x {images.shape[2]} pixels; takes about half a minute")
        self._compiled.add(images.shape)
        before, self.levers = self.levers.compile, self.levers._replace(compile="off")
        self._choose(images, offers, times, style)
        if self.levers.compile == "off":
            self._compiled.remove(images.shape)
            self.use(self.levers._replace(compile=before))

    def _choose(self, images: Tensor, offers: Sequence[Offer], times: float, style: Code | None) -> None:
        """Use the options that are correct and fastest on these pictures; keep the current ones if memory runs out."""
        start, own = self.levers, style[:1] if style is not None else None
        if not offers and start == PLAIN:
            return
        wait = torch.cuda.synchronize if self.device.type == "cuda" else lambda: None
        bench = Bench(self.use, lambda: {"the picture": self.run(images, own)}, wait, TOLERANCES, prefix="--")
        try:
            choice = choose_levers(bench, start, offers, times)
            if choice.trials or choice.wrong:
                self.note(choice.told)
        except (MemoryError, RuntimeError) as error:
            self.use(start)
            if not is_out_of_memory(error):
                raise

    def settle(self, pixels: Pixels, times: float, style: Code | None = None) -> None:
        """Compile for batches like these pictures (N, H, W, C), of which `times` more come, if that saves time."""
        self.compile(self._images(pixels), times, style)

    def encode_style(self, pixels: Pixels) -> Code:
        """Return the style codes (N, style_size) of pictures (N, H, W, C), pixels of the target domain."""
        return self.encode_images(self._images(pixels))

    @torch.inference_mode()
    def encode_images(self, images: Tensor) -> Code:
        """Return the style codes (N, style_size) of images (N, C, H, W) in [-1, 1] of the target domain."""
        assert isinstance(self.network, StyleGenerator)
        code: Code = self.network.encode_style(images.to(self.device)).float().cpu().numpy()
        return code

    def batch_size(self, height: int, width: int) -> int:
        """Return a good batch size for pictures of this size: one for each lane of a CPU, else about 2 megapixels."""
        most = max(1, MEGAPIXELS * 2**20 // (height * width))
        if self.on_cpu:
            return min(most, self.threads) if self.levers.parallel else 1
        return most
