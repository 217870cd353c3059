"""Evaluation: score translations against real pictures, and record the protocol with the scores."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cyclegan.checkpoint import best_path
from cyclegan.data.batches import Pictures, training_fit
from cyclegan.data.config import DataConfig, DomainConfig, Pairs
from cyclegan.data.convert import normalised
from cyclegan.data.fit import Fit
from cyclegan.data.format import RGB_PICTURES, PictureFormat
from cyclegan.data.found import find_format
from cyclegan.data.listing import Listing
from cyclegan.data.sources import Source, find_pairs, sources, truth_source, unseen_split
from cyclegan.inference.model import Model, open_model
from cyclegan.inference.translator import Translator, plain_translators
from cyclegan.machine.device import choose_device
from cyclegan.machine.memory import one_by_one_if_need_be
from cyclegan.metrics import perceptual, structure
from cyclegan.metrics.distances import INTERVAL
from cyclegan.metrics.features import Features
from cyclegan.metrics.result import UNTRANSLATED, Evaluation, Score, Weights
from cyclegan.metrics.scores import score_sets, score_translation
from cyclegan.types import DOMAINS, Device, Direction, Domain
from cyclegan.util.provenance import LIBRARIES
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

log = logging.getLogger(__name__)


@untouched()
def evaluate_folders(
    fake: Path,
    real: Path,
    features: Features,
    *,
    size: int | None = None,
    device: Device = "auto",
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score the pictures of the folder `fake` against those of the folder `real`.

    This scores the outputs of any program in the same way as `evaluate_run`. With `size`, pictures are fitted to a
    square of that many pixels. `report` is called with (done, total) in pictures.

    Returns the scores with their protocol.

    Raises FileNotFoundError when a folder is empty.
    Raises ValueError when there are too few pictures or, without `size`, pictures of different sizes.
    """
    features.to(place := choose_device(device))
    fit = Fit((size, size) if size else None)
    of = _format_of(real)
    pictures = [Pictures(Source(folder, format=of), fit) for folder in (fake, real)]
    counted = _Count(sum(map(len, pictures)), report)
    seen = [_seen(folder, features, place, counted) for folder in pictures]
    score = score_sets(shown(fake), *seen)
    about = {"fake": _place(fake), "real": _place(real)} | ({"shown_as": of.shown} if of.shown else {})
    return Evaluation(_protocol(features, fit, about, own=False), [score])


@untouched()
def evaluate_run(
    path: Path,
    features: Features,
    *,
    data: Path | None = None,
    pairs: Pairs | None = None,
    split: str | None = None,
    size: int | None = None,
    device: Device = "auto",
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score every direction of a run (its last and its best weights), a checkpoint or an exported generator.

    `data` is the root of the data set, by default that of the training, and `split` one of its splits, by default the
    test split. Pictures are fitted as in training, see `Fit`, or, with `size`, to a square of that many pixels; for an
    exported generator, which stores no training size, they keep their own size. The untranslated pictures are scored
    too, for comparison. `pairs` says how pictures are paired, as in `DataConfig`, by default as in training. The
    partner of a paired picture is its ground truth; for the split "test", so are pictures in the folders `truthB` and
    `truthA`. `report` is called with (done, total) in pictures read or translated.

    Returns the scores with their protocol: one score per direction and set of weights, then the untranslated ones.

    Raises what `open_model` and `evaluate_folders` raise.
    Raises ValueError when `data` is not given and the model does not store where it was trained.
    Raises FileNotFoundError when a picture has no ground truth although others have one.
    """
    loaded = _load(path, device)
    known = next(iter(loaded.values())).model
    learned = known.recipe.data if known.recipe else None
    if (root := data or (learned.root if learned else None)) is None:
        raise ValueError(f"{shown(path)}: does not name its training data; give the data set with --data")
    a, b = (DomainConfig.of(known.formats[name]) for name in DOMAINS)
    config = replace(learned or DataConfig(), root=root, a=a, b=b)
    config = replace(config, pairs=pairs or config.pairs, fit=config.fit if learned and not size else "none")
    split = split or unseen_split(config)
    places = sources(config, split)
    files = _files(config, places)
    fit = Fit((size, size) if size else None)
    if learned and not size:
        fit = training_fit(learned, places["a"], files["a"])
    own = learned is not None and _is_same(config, learned) and split == unseen_split(learned) and not size
    features.to(place := next(iter(loaded.values())).device)
    pictures = {name: Pictures(places[name], fit, files[name]) for name in places}
    to_translate = [pictures[direction.source] for each in loaded.values() for direction in each.model.generators]
    counted = _Count(sum(map(len, [*pictures.values(), *to_translate])), report)
    truths = {name: truth_source(config, split, name) for name in places}
    domains = {name: _domain(pictures[name], truths[name], features, place, counted) for name in pictures}
    untranslated = [_untranslated(domains, direction) for direction in known.generators]
    translated = _translated(domains, loaded, features, counted)
    seen_as = {f"{name}_shown_as": place.format.shown for name, place in places.items() if place.format.shown}
    about = {"checkpoint": _place(path), "data": _place(root), "pairs": config.pairs, "split": split}
    about |= seen_as | {"structure": structure.DEFINITION, "perceptual": perceptual.DEFINITION}
    return Evaluation(_protocol(features, fit, about, own=own), [*translated, *untranslated])


class _Count:
    """Counts the pictures that were read or translated, and calls `report` with (done, total)."""

    def __init__(self, total: int, report: Callable[[int, int], None]) -> None:
        self.total, self.report = total, report
        self._tell(0)

    def begin(self) -> Callable[[int], None]:
        """Return a function for one part of the work, to be called with how many pictures of it are done."""
        before = self.done
        return lambda done: self._tell(before + done)

    def _tell(self, done: int) -> None:
        self.done = done
        self.report(done, self.total)


class DomainPictures(NamedTuple):
    """The pictures of a split in one domain."""

    pictures: Pictures
    seen: Tensor
    """Their features, (N, D) on the CPU."""
    truth: Source | None
    """Where their ground truth is; None if there is none."""


def _format_of(folder: Path) -> PictureFormat:
    """Return the format of the pictures in a folder; grey of 8 bits is taken as colour, which it is compared with."""
    source = Source(folder)
    found = find_format(DomainConfig(), source, source.find())
    return RGB_PICTURES if found.is_plain else found


def _is_same(one: DataConfig, other: DataConfig) -> bool:
    """Return whether two configs name the same pictures."""
    return one.root.resolve() == other.root.resolve() and one.pairs == other.pairs


def _files(config: DataConfig, places: Mapping[Domain, Source]) -> dict[Domain, Listing]:
    """Return the pictures of a split; pictures without a partner are left out of paired data with a warning."""
    if not config.paired:
        return {name: place.find() for name, place in places.items()}
    pairs = find_pairs(places)
    for line in pairs.alone:
        log.warning("%s", line)
    return {"a": pairs.a, "b": pairs.b}


def _domain(
    pictures: Pictures, truth: Source | None, features: Features, device: torch.device, counted: _Count
) -> DomainPictures:
    seen = _seen(pictures, features, device, counted)
    if truth:
        pictures.partners(truth)  # raises for a missing one now, before minutes of translating
    return DomainPictures(pictures, seen, truth)


def _untranslated(domains: Mapping[Domain, DomainPictures], direction: Direction) -> Score:
    """Score the untranslated pictures of a direction's source domain against its target domain."""
    before, after = domains[direction.source], domains[direction.target]
    return score_sets(direction[0] + UNTRANSLATED, before.seen, after.seen)


def _translated(
    domains: Mapping[Domain, DomainPictures],
    loaded: dict[Weights | None, Loaded],
    features: Features,
    counted: _Count,
) -> list[Score]:
    """Score every direction with each set of weights."""
    jobs = [(weights, direction) for weights, known in loaded.items() for direction in known.translators]
    scores: list[Score] = []
    for weights, direction in jobs:
        source, target, known = domains[direction.source], domains[direction.target], loaded[weights]
        back = known.translators.get(direction.opposite)
        if back and back.engine.style_size:
            back = None  # a translation there and back has another style
        score = score_translation(
            direction,
            source.pictures,
            target.seen,
            features,
            translate=_in_portions(known.translators[direction]),
            back=_in_portions(back) if back else None,
            truths=source.pictures.partners(source.truth) if source.truth else None,
            formats=(source.pictures.source.format, target.pictures.source.format),
            report=counted.begin(),
        )
        scores.append(replace(score, weights=weights, images_seen=known.model.images))
    return scores


class Loaded(NamedTuple):
    """A model and a translator for each of its directions."""

    model: Model
    translators: dict[Direction, Translator]

    @property
    def device(self) -> torch.device:
        """The device that the translators run on."""
        return next(iter(self.translators.values())).torch.device


def _load(path: Path, device: Device) -> dict[Weights | None, Loaded]:
    """Load the last weights of a run, and its best ones if there are any; for a file, the weights in it."""
    if not path.is_dir():
        return {None: _loaded(path, device)}
    loaded: dict[Weights | None, Loaded] = {"last": _loaded(path, device)}
    if best_path(path).is_file():
        loaded["best"] = _loaded(best_path(path), device)
    return loaded


def _loaded(path: Path, device: Device) -> Loaded:
    model = open_model(path)
    return Loaded(model, plain_translators(model, device=device))


def _seen(pictures: Pictures, features: Features, device: torch.device, counted: _Count) -> Tensor:
    of = pictures.source.format
    return features.of(of.as_rgb(normalised(batch.to(device))) for batch in _counted(pictures, counted.begin()))


def _counted(batches: Iterable[Tensor], report: Callable[[int], None]) -> Iterator[Tensor]:
    """Yield the same batches; calls `report` with how many of their pictures are done."""
    done = 0
    for batch in batches:
        yield batch
        report(done := done + len(batch))


def _in_portions(translator: Translator) -> Callable[[Tensor], Tensor]:
    """Return a function that translates images in batches of a size that suits the device."""

    def translate(images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        portions = torch.split(images, translator.batch_size(height, width))
        return torch.cat([one_by_one_if_need_be(translator.translate_batch, portion) for portion in portions])

    return translate


def _place(path: Path) -> str:
    """Return the absolute path, or the name itself for a repository on the hub."""
    return shown(path.resolve() if path.exists() else path)


def _resampling(fit: Fit) -> str:
    if not fit.size:
        return "as in training" if fit.prepare else "none"
    kept = "" if fit.told else ", the middle kept"
    return f"fitted to the size by Pillow's bicubic filter{kept}"


def _protocol(features: Features, fit: Fit, about: dict[str, str], *, own: bool) -> dict[str, Any]:
    """Return everything that the scores depend on besides the pictures.

    `own`: whether these are the run's own test pictures, at its training size.
    """
    return {
        **about,
        "own_test_pictures": own,
        "features": features.name,
        "features_sha256": features.sha256,
        "size": str(fit),
        "resampling": _resampling(fit),
        "pictures": "as decoded or as translated, 8-bit ones with 8 bits; nothing is compressed in between",
        "interval": INTERVAL,
        "versions": {name: version(name) for name in LIBRARIES}
        | {"cyclegan": version("cyclegan"), "python": platform.python_version()},
    }
