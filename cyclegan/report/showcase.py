"""What a run makes of pictures it never saw: some of them, the best and the worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.batches import training_size
from cyclegan.data.files import UnreadableImage, read_fitted
from cyclegan.inference.model import model_of
from cyclegan.inference.translator import plain_translators
from cyclegan.report.parts import Figure, box, card, legend, note, section, subsection
from cyclegan.report.pictures import (
    Translated,
    critic_of,
    evenly,
    find_tests,
    patch_map,
    translated,
)
from cyclegan.types import Device, Direction
from cyclegan.util.text import shown

SCORED = 200
"""Test pictures of a direction that the best and the worst are taken from."""
EXTREMES = 4
"""Best, and worst, translations shown."""

HOW_TO_LOOK = "By the newest weights. Drag across one, or use the arrow keys, to see its translation."
BY_WHOM = (
    "By the discriminator, which scores every patch; the third picture shows where it sees a fake. Its taste is not"
    " ours: what fools it need not please us."
)

Progress = Callable[[int, int], None]
"""Told (done, total)."""


def showcase(run: Path, checkpoint: Checkpoint, number: int, *, device: Device, report: Progress) -> list[str]:
    """A section of `number` test pictures of each direction, and one of the best and worst where there is a critic.

    Raises ValueError where the networks cannot be used, or their pictures not be shown.
    """
    each = _translate(run, checkpoint, number, device, report)
    made = {direction: pictures for direction, pictures in each if pictures}
    root = checkpoint.recipe.data.root
    if not made:
        gone = f"{shown(root)} holds no test pictures that can be read, or is not here any more."
        return [section("Test pictures", note(gone))]
    galleries = [subsection(name, _gallery(root, name, evenly(pictures, number))) for name, pictures in made.items()]
    ranked = {direction: order for direction, pictures in made.items() if (order := _ranked(pictures))}
    extremes = [_extremes(direction, order) for direction, order in ranked.items()]
    sections = [section("Test pictures", note(HOW_TO_LOOK), *galleries)]
    return sections + ([section("Best and worst", note(BY_WHOM), *extremes)] if extremes else [])


def _translate(
    run: Path, checkpoint: Checkpoint, number: int, device: Device, report: Progress
) -> Iterator[tuple[Direction, list[Translated]]]:
    """Every direction's test pictures: all that may be scored, or just those to be shown."""
    translators = plain_translators(model_of(checkpoint, run), device=device)
    critics = {name: critic_of(checkpoint, name, translator.device) for name, translator in translators.items()}
    most = {direction: max(SCORED, number) if critic else number for direction, critic in critics.items()}
    paths = {direction: evenly(find_tests(checkpoint.recipe, direction), most[direction]) for direction in translators}
    done, total = 0, sum(map(len, paths.values()))
    for direction, translator in translators.items():
        made: list[Translated] = []
        if paths[direction]:
            size = training_size(checkpoint.recipe.data, paths[direction])
            for one in translated(paths[direction], size, translator, critics[direction]):
                report(done := done + 1, total)
                made += [one] if one else []
        yield direction, made


def _gallery(root: Path, direction: Direction, pictures: list[Translated]) -> str:
    """Cards; with a third picture, the truth, where the data set has it."""
    tests, truths = root / f"test{direction.source.upper()}", root / f"truth{direction.target.upper()}"
    made = []
    for path, real, fake, _ in pictures:
        beside = []
        with suppress(UnreadableImage):
            beside = [Figure("truth", read_fitted(truths / path.relative_to(tests), (real.height, real.width)))]
        made.append(card(path.name, Figure("input", real), Figure("translation", fake), *beside))
    return box("cards wide" if truths.is_dir() else "cards", made)


def _ranked(pictures: list[Translated]) -> list[Translated]:
    """From the best to the worst, where there is a critic, and more than one picture to tell apart."""
    scored = [picture for picture in pictures if picture.patches is not None]
    return sorted(scored, key=lambda picture: -picture.score) if len(scored) > 1 else []


def _extremes(direction: Direction, ranked: list[Translated]) -> str:
    number = min(EXTREMES, len(ranked) // 2)
    best, worst = ranked[:number], ranked[::-1][:number]
    limit = max(float(picture.patches.abs().quantile(0.98)) for picture in best + worst if picture.patches is not None)
    limit = limit or 1.0
    return subsection(
        f"{direction}, of {len(ranked):,} test pictures",
        legend(f"fake, {-limit:.2g}", f"real, {limit:+.2g}", "patch scores, 0 where it cannot tell"),
        subsection("best", _scored(best, limit)),
        subsection("worst", _scored(worst, limit)),
    )


def _scored(pictures: list[Translated], limit: float) -> str:
    made = []
    for path, real, fake, patches in pictures:
        assert patches is not None
        figures = Figure("input", real), Figure("translation", fake)
        made.append(
            card(
                f"{path.name}, mean {patches.mean():+.3f}", *figures, Figure("patches", patch_map(fake, patches, limit))
            )
        )
    return box("cards wide", made)
