"""Compute what a trained model does inside with one picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.convert import NAN, tensor_of
from cyclegan.data.fit import by, scaled
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.data.sources import Source
from cyclegan.inference.engines.model_file import SUFFIXES
from cyclegan.inference.inputs import Picture, picture_from
from cyclegan.inference.model import FOR_OTHERS, Model, open_model
from cyclegan.inference.sizes import Sizing
from cyclegan.machine.device import Arithmetic, choose_device
from cyclegan.machine.memory import memory_told
from cyclegan.metrics.paired import WINDOW
from cyclegan.metrics.scores import rounded
from cyclegan.metrics.structure import structure_distance
from cyclegan.networks.base import Generator, StyleGenerator
from cyclegan.report.explain.change import change_across, cycle_of
from cyclegan.report.explain.explanation import Explanation
from cyclegan.report.explain.stages import look_inside
from cyclegan.report.explain.styles import shown_numbers, styles_of
from cyclegan.report.explain.verdict import Verdict, judge, real_example
from cyclegan.report.pictures import critic_of
from cyclegan.report.showcase import Report
from cyclegan.training.samples import looking
from cyclegan.types import Device, Direction
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

MOST_PIXELS = 2**21
"""Largest number of pixels that are analysed: the outputs of all stages are in memory at once."""

WITHOUT_RUN = "A generator without its run has no discriminator; give the run folder or a checkpoint instead."

UNKNOWN = 512
"""Pixels of the shorter side of a large picture when the size of the training is not known."""


@untouched()
def explain(
    model: Model | Path | str,
    picture: Picture,
    *,
    direction: Direction | str | None = None,
    size: int | None = None,
    styles: Sequence[Picture] = (),
    seed: int = 0,
    device: Device = "auto",
    report: Report = lambda done, total: None,
) -> Explanation:
    """Translate a picture, and return what happens on the way: see `Explanation`.

    `model` is a `Model`, or anything that `open_model` opens. `picture` is a path, the bytes of a file, a Pillow image
    or an array, see `Translator.translate`. It is scaled to `size` pixels on its shorter side; by default to the size
    that the model was trained at or, if that is not known, to at most 512. `direction` is "AtoB" or "BtoA"; by default
    AtoB, or the only one of the model. A model with styles takes them from the pictures `styles`; `seed` is that of
    the random styles that a model with a prior shows. `report` is called with (done, total) in steps.

    All is computed in float32. Nothing depends on random numbers but the random styles; the noise in `Cycle` is always
    the same. The discriminator of a run also sees a real picture of the test pictures of its data set.

    Raises what `open_model` raises, and UnreadableImage for a picture that cannot be read.
    Raises ValueError for an export that shows no stages, an unknown direction, a picture that is too small or too large
    to analyse, styles that are missing or that the model does not have, and a translation that holds NaN.
    Raises MemoryError, with one line, when memory does not suffice.
    """
    way = None if direction is None else Direction(direction)
    known = model if isinstance(model, Model) else _opened(model, way)
    way = known.choose(way)
    with memory_told("a smaller --size"):
        return _Look(known, way, device).explain(picture, size, styles, seed, report)


class _Look:
    """A model, one of its directions, and the device on which it is looked into."""

    def __init__(self, model: Model, direction: Direction, device: Device) -> None:
        self.model, self.direction, self.device = model, direction, choose_device(device)
        self.arithmetic = Arithmetic(self.device, "float32")
        self.network = model.generators[direction].to(self.device)
        back = model.generators.get(direction.opposite)
        self.back = None if back is None else back.to(self.device)
        self.before, self.after = model.formats[direction.source], model.formats[direction.target]

    def explain(
        self, picture: Picture, size: int | None, styles: Sequence[Picture], seed: int, report: Report
    ) -> Explanation:
        name, pixels = _read(picture, self.before)
        own_size, pixels = pixels.shape[:2], self._sized(name, pixels, size)
        source = tensor_of(pixels).to(self.device)
        with looking(self._networks, self.arithmetic):
            given = self._codes(styles, min(source.shape[2:]))
            style = next(iter(given.values()), None)
            total = 3 + len(self.network.stages) + self._rows(given)
            done = count()

            def tick() -> None:
                report(next(done), total)

            tick()
            translation = rounded(self._translate(source, style), self.after)
            if translation.isnan().any():
                raise ValueError(NAN)
            tick()
            cycle = cycle_of(source, translation, partial(self._return, source), self.before) if self.back else None
            tick()
            stages = look_inside(self.network, source, translation, style, tick)
            verdict, why_not = self._verdict(name, source, translation)
            tick()
            found = None
            if isinstance(self.network, StyleGenerator):
                found = styles_of(self.network, source, given, seed, tick)
        checkpoint = self.model.checkpoint
        return Explanation(
            model=self.model.path,
            method=checkpoint.recipe.method.about.name if checkpoint else None,
            images=self.model.images,
            trained=self.model.trained,
            direction=self.direction,
            network=self.network,
            names=names_of(checkpoint, self.direction) if checkpoint else {},
            picture=name,
            own_size=own_size,
            formats=self.model.formats,
            source=source,
            translation=translation,
            structure=float(structure_distance(self.before.as_rgb(source), self.after.as_rgb(translation))),
            change=change_across(source, translation, (self.before, self.after)),
            cycle=cycle,
            stages=tuple(stages),
            verdict=verdict,
            why_no_verdict=why_not,
            styles=found,
        )

    @property
    def _networks(self) -> list[Generator]:
        return [self.network, *([self.back] if self.back else [])]

    def _sized(self, name: str, pixels: Pixels, size: int | None) -> Pixels:
        """Scale the picture to the size at which it is analysed. Raises ValueError when that is too small or large."""
        height, width = pixels.shape[:2]
        wanted = (self.model.trained or min(height, width, UNKNOWN)) if size is None else size
        analysed = Sizing(size=wanted).of((height, width), most=MOST_PIXELS).translated
        if min(analysed) < WINDOW:
            raise ValueError(f"{name}: {by(analysed)} pixels are too small to explain; use --size {WINDOW} or more")
        return pixels if analysed == (height, width) else scaled(pixels, analysed)

    def _codes(self, styles: Sequence[Picture], size: int) -> dict[str, Tensor]:
        """Return the code of each style picture by its name. Raises ValueError for styles that the model cannot use."""
        model = shown(self.model.path)
        if not isinstance(self.network, StyleGenerator):
            if styles:
                raise ValueError(f"--style: {model} has no styles; its translations depend on the picture only")
            return {}
        if not styles and not self.network.has_prior:
            raise ValueError(f"{model}: takes its style from a picture; give one or more with --style")
        codes: dict[str, Tensor] = {}
        for picture in styles:
            name, pixels = _read(picture, self.after)
            fitted = scaled(pixels, Sizing(size=size).of(pixels.shape[:2], most=MOST_PIXELS).translated)
            called = name if name not in codes else f"{name} ({len(codes) + 1})"
            codes[called] = self.network.encode_style(tensor_of(fitted).to(self.device))
        return codes

    def _rows(self, given: Mapping[str, Tensor]) -> int:
        """Return the number of rows of styles."""
        if not isinstance(self.network, StyleGenerator):
            return 0
        return shown_numbers(self.network) + self.network.has_prior + 2 * bool(given)

    def _translate(self, source: Tensor, style: Tensor | None) -> Tensor:
        made: Tensor = self.network(source, style) if isinstance(self.network, StyleGenerator) else self.network(source)
        return made.float()

    def _return(self, source: Tensor, translation: Tensor) -> Tensor:
        """Translate back; a generator with styles uses that of the source."""
        back = self.back
        assert back is not None
        made: Tensor = (
            back(translation, back.encode_style(source)) if isinstance(back, StyleGenerator) else back(translation)
        )
        return made.float()

    def _verdict(self, name: str, source: Tensor, translation: Tensor) -> tuple[Verdict | None, str]:
        """Return what the discriminator makes of the translation, or why there is no verdict."""
        checkpoint = self.model.checkpoint
        if checkpoint is None:
            return None, WITHOUT_RUN
        critic = critic_of(checkpoint, self.direction, self.device)
        if critic is None:
            return None, f"{checkpoint.recipe.method.about.name} trains no discriminator for {self.direction}."
        try:
            example = real_example(checkpoint.recipe.data, self.direction, name)
            with looking([critic.network], self.arithmetic):
                return judge(critic, translation, source, example), ""
        except ValueError as error:  # too small for its patches
            return None, f"{str(error)[0].upper()}{str(error)[1:]}."


def names_of(checkpoint: Checkpoint, direction: Direction) -> dict[str, str]:
    """Return the names of the networks of a direction in the method of a run: `generator`, `back`, `discriminator`."""
    with torch.device("meta"):
        method = checkpoint.recipe.build()
    generators = method.generators()
    networks = {
        "generator": generators.get(direction),
        "back": generators.get(direction.opposite),
        "discriminator": method.critics().get(direction),
    }
    called = {id(module): name for name, module in method.named_modules()}
    return {role: called[id(network)] for role, network in networks.items() if network is not None}


def _opened(path: Path | str, direction: Direction | None) -> Model:
    """Open a model with both of its directions, if it has two."""
    path = Path(path)
    if path.suffix in (*SUFFIXES, *FOR_OTHERS):
        helps = "give the run folder, a checkpoint, or a .safetensors"
        raise ValueError(f"{shown(path)}: an export in this format does not show its stages; {helps}")
    model = open_model(path)
    return model if direction is None or direction in model.generators else open_model(path, direction)


def _read(picture: Picture, of: PictureFormat) -> tuple[str, Pixels]:
    """Return the name and the pixels of a picture."""
    if not isinstance(picture, str | os.PathLike):
        return "the picture", picture_from(picture, of)
    path = Path(picture)
    return shown(Path(path.name)), Source(path.parent, format=of).read(path)
