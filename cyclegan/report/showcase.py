"""Test pictures translated by a run: a selection, the best and the worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.batches import training_fit
from cyclegan.data.config import DataConfig
from cyclegan.data.convert import image_of, tensor_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.listing import Listing
from cyclegan.data.sources import find_partners, truth_source, unseen_split
from cyclegan.inference.model import model_of
from cyclegan.inference.translator import plain_translators
from cyclegan.report.parts import Card, figure
from cyclegan.report.pictures import (
    Translated,
    critic_of,
    find_tests,
    patch_map,
    translated,
    unseen_source,
)
from cyclegan.types import Device, Direction
from cyclegan.util.evenly import evenly

SCORED = 200
"""Largest number of test pictures of a direction that are ranked."""
EXTREMES = 4
"""Number of best, and of worst, translations shown."""

Report = Callable[[int, int], None]
"""Called with (done, total)."""


class Gallery(NamedTuple):
    """Translations, with the truth beside them if the data set has it."""

    cards: list[Card]
    with_truth: bool


class Extremes(NamedTuple):
    """The translations with the highest and the lowest scores by the critic, and maps of their patch scores."""

    of: int
    """Number of ranked pictures."""
    limit: float
    """Absolute patch score from which on the colour of a patch is full."""
    best: list[Card]
    worst: list[Card]


class Showcase(NamedTuple):
    """The test pictures of each direction that has some; extremes only of directions with a critic."""

    galleries: dict[Direction, Gallery]
    extremes: dict[Direction, Extremes]


def showcase(run: Path, checkpoint: Checkpoint, number: int, *, device: Device, report: Report) -> Showcase:
    """Translate `number` test pictures of each direction, and up to `SCORED` to find the best and the worst.

    Raises ValueError when the networks cannot be used, or their outputs cannot be shown.
    """
    each = _translate(run, checkpoint, number, device, report)
    made = {direction: pictures for direction, pictures in each if pictures}
    data = checkpoint.recipe.data
    galleries = {direction: _gallery(data, direction, evenly(pictures, number)) for direction, pictures in made.items()}
    ranked = {direction: order for direction, pictures in made.items() if (order := _ranked(pictures))}
    return Showcase(galleries, {direction: _extremes(order) for direction, order in ranked.items()})


def _translate(
    run: Path, checkpoint: Checkpoint, number: int, device: Device, report: Report
) -> Iterator[tuple[Direction, list[Translated]]]:
    """The translated test pictures of each direction: those to rank, or only those to show if there is no critic."""
    translators = plain_translators(model_of(checkpoint, run), device=device)
    critics = {name: critic_of(checkpoint, name, translator.torch.device) for name, translator in translators.items()}
    most = {direction: max(SCORED, number) if critic else number for direction, critic in critics.items()}
    data = checkpoint.recipe.data
    paths = {direction: evenly(find_tests(data, direction), most[direction]) for direction in translators}
    done, total = 0, sum(map(len, paths.values()))
    for direction, translator in translators.items():
        made: list[Translated] = []
        if paths[direction]:
            source = unseen_source(data, direction)
            fit = training_fit(data, source, paths[direction])
            for one in translated(source, paths[direction], fit, translator, critics[direction]):
                report(done := done + 1, total)
                made += [one] if one else []
        yield direction, made


def _gallery(data: DataConfig, direction: Direction, pictures: list[Translated]) -> Gallery:
    source, truth = unseen_source(data, direction), truth_source(data, unseen_split(data), direction.source)
    fit = training_fit(data, source, [each.path for each in pictures])
    partners: dict[Path, Path] = {}
    with suppress(ValueError, OSError):  # a truth that cannot be found is not shown
        if truth:
            files = Listing(source.folder, [source.name(each.path) for each in pictures])
            found = zip(files, find_partners(files, truth), strict=True)
            partners = {path: truth.folder / name for path, name in found if name is not None}
    made = []
    for path, real, fake, style, _ in pictures:
        card = Card(path.name, figure("input", real), figure("translation", fake))
        if style:
            card = card._replace(beside=(figure("style", style),))
        with suppress(UnreadableImage):
            if truth and path in partners:
                beside = image_of(tensor_of(truth.read(partners[path], fit))[0], truth.format)
                card = card._replace(beside=(*card.beside, figure("truth", beside)))
        made.append(card)
    return Gallery(made, bool(partners))


def _ranked(pictures: list[Translated]) -> list[Translated]:
    """Pictures from best to worst; empty without a critic, or with a single picture."""
    scored = [picture for picture in pictures if picture.patches is not None]
    return sorted(scored, key=lambda picture: -picture.score) if len(scored) > 1 else []


def _extremes(ranked: list[Translated]) -> Extremes:
    number = min(EXTREMES, len(ranked) // 2)
    best, worst = ranked[:number], ranked[::-1][:number]
    limit = max(float(picture.patches.abs().quantile(0.98)) for picture in best + worst if picture.patches is not None)
    limit = limit or 1.0
    return Extremes(len(ranked), limit, _scored(best, limit), _scored(worst, limit))


def _scored(pictures: list[Translated], limit: float) -> list[Card]:
    made = []
    for path, real, fake, _, patches in pictures:
        assert patches is not None
        name, seen = f"{path.name}, mean score {patches.mean():+.3f}", patch_map(fake, patches, limit)
        made.append(Card(name, figure("input", real), figure("translation", fake), (figure("patches", seen),)))
    return made
