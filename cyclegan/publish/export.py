"""Export with a model card: the generator, a page that tells what it is, and pictures that show what it does."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image

from cyclegan.checkpoint import Checkpoint, best_path
from cyclegan.data.batches import training_size
from cyclegan.data.files import UnreadableImage
from cyclegan.data.sheet import write_sheet
from cyclegan.data.sources import sources, unseen_split
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.hub import is_hub_name, push, read_text
from cyclegan.inference.model import open_model
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import memory_told
from cyclegan.metrics.result import UNTRANSLATED, Evaluation, Score, read_evaluation
from cyclegan.networks.base import Generator
from cyclegan.publish.card import Card, card_text, code, marked, plain
from cyclegan.recipe import Recipe
from cyclegan.types import Direction
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import one_line, reason, shown
from cyclegan.util.untouched import untouched

PICTURES = 4
"""Of the test split, on the contact sheet."""

EVALUATE = "`cyclegan evaluate RUN` writes the figures, and exporting again shows them here."


class Exported(NamedTuple):
    """The files that an export wrote."""

    direction: Direction
    generator: Path
    card: Path | None
    """README.md, or NAME.md where that is another's; None where both are."""
    sheet: Path | None
    notes: list[str]
    """What was left out, and why."""


@untouched()
def export(
    source: Path,
    out: Path,
    direction: Direction | None,
    *,
    repository: str | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write the generator of any source to the file `out`, its card and a contact sheet beside it.

    `repository` is where it will be pushed, for the card to name. `report` is told (done, total) in pictures of the
    contact sheet. Files that an earlier export of `out` did not write
    are never replaced. Raises what `Translator.load` raises, and OSError when a file cannot be written.
    """
    model = open_model(source, direction)
    direction, checkpoint = model.choose(direction), model.checkpoint
    network = model.generators[direction]
    write_generator(network, direction, out)

    notes: list[str] = []
    about = _about_run(source, checkpoint, direction, notes) if checkpoint else _about_file(source)
    page, old = _page(out)
    sheet = _sheet_path(out, old, notes)
    if sheet and not (checkpoint and _write_sheet(checkpoint.recipe, network, direction, sheet, notes, report)):
        sheet = None
    card = Card(
        file=shown(Path(out.name)),
        direction=direction,
        generator=asdict(network.config),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        versions={"cyclegan": version("cyclegan"), "torch": version("torch"), "python": platform.python_version()},
        sheet=sheet.name if sheet else None,
        repository=repository,
        **about,
    )
    if page is None:
        notes.append(f"no model card: README.md and {shown(Path(out.stem))}.md are there, and not of this generator")
        return Exported(direction, out, None, sheet, notes)
    if page.name != "README.md":
        notes.append(f"README.md is there, and not of this generator: its model card is {shown(page)}")
    write_whole(page, card_text(card).encode())
    return Exported(direction, out, page, sheet, notes)


def push_export(exported: Exported, repository: str, *, private: bool) -> str:
    """Put an export into a repository on the hub, in one commit; returns the page's address, raises what `push` does.

    A README.md there that is not of this generator stays; then the card goes beside it.
    """
    generator, card, sheet = exported.generator, exported.card, exported.sheet
    files = {generator.name: generator} | ({sheet.name: sheet} if sheet else {})
    if card:
        there = read_text(repository, "README.md")
        free = there is None or _is_of(generator, there)
        files["README.md" if free else f"{generator.stem}.md"] = card
        if not free:
            exported.notes.append(
                f"{repository}: its README.md is not of this generator: the card is {shown(Path(generator.stem))}.md"
            )
    return push(repository, files, private=private)


def _about_run(source: Path, checkpoint: Checkpoint, direction: Direction, notes: list[str]) -> dict[str, Any]:
    """What a card tells of weights that come with their recipe."""
    evaluation, unscored = _figures(source, checkpoint, direction, notes)
    which = "the newest of the run" if source.is_dir() else "the run's best" if _is_best(source) else "of a checkpoint"
    kind = "as a moving average (EMA)" if checkpoint.ema else "without a moving average"
    return {
        "data": _data_name(checkpoint.recipe),
        "recipe": _without_places(checkpoint.recipe.to_dict()),
        "method": checkpoint.recipe.method.about,
        "trained": f"Trained on {checkpoint.images:,} pairs of pictures ({checkpoint.images / checkpoint.epoch:.3g} "
        f"epochs). The weights are {which}, {kind}.",
        "evaluation": evaluation,
        "unscored": unscored,
    }


def _about_file(source: Path) -> dict[str, Any]:
    """What a card tells of weights that come alone."""
    if is_hub_name(source):
        origin = f"It comes from the repository {code(source.as_posix())}, which tells more."
    elif source.suffix == ".safetensors":
        origin = f"It is a copy of the generator in {code(source.name)}."
    else:
        origin = (
            f"The weights were imported from {code(source.resolve().name)}, which another program wrote as the "
            f"reference implementation does; where no name in it says which way they translate, its user did."
        )
    return {
        "origin": origin,
        "unscored": "Not known here: the weights came without their run. "
        "`cyclegan evaluate FILE --data DATA` measures them on a data set.",
    }


def _figures(
    source: Path, checkpoint: Checkpoint, direction: Direction, notes: list[str]
) -> tuple[Evaluation | None, str]:
    """The run's metrics.json as far as it speaks of these weights, else why there are no figures."""
    run, belongs = _whose(source, checkpoint.images)
    path = run / "metrics.json"
    if not path.is_file():
        return None, f"Not measured yet: {EVALUATE}"
    try:
        evaluation = read_evaluation(path)
    except (ValueError, OSError) as error:
        notes.append(f"the card shows no figures: {reason(error)}")
        return None, f"The run's figures could not be read. {EVALUATE}"
    if isinstance(data := evaluation.protocol.get("data"), str):
        evaluation.protocol["data"] = _name(data)
    if not evaluation.own:
        why = f"are of {one_line(evaluation.pictures)}, not of the run's own test pictures"
        notes.append(f"the card shows no figures: those in metrics.json {why}; evaluate, then export again")
        return None, f"The run's figures {plain(why)}. {EVALUATE}"
    if scores := _scores_of(evaluation, direction, belongs):
        return Evaluation(evaluation.protocol, scores), ""
    notes.append("the card shows no figures: metrics.json has none of these weights; evaluate, then export again")
    return None, f"The run's figures are of other weights. {EVALUATE}"


def _scores_of(evaluation: Evaluation, direction: Direction, belongs: Callable[[Score], bool]) -> list[Score]:
    """That of a direction that belongs to the weights, and of the pictures untranslated; none without the first."""
    translated = [score for score in evaluation.scores if score.what == direction and belongs(score)]
    before = [score for score in evaluation.scores if score.what == direction[0] + UNTRANSLATED]
    return [*translated[:1], *before[:1]] if translated else []


def _whose(source: Path, images: int) -> tuple[Path, Callable[[Score], bool]]:
    """The run folder of a source, and which figures are of its weights: of a run that went on, old ones are not."""
    if source.is_dir():
        return source, lambda score: score.weights == "last" and score.images_seen in (None, images)
    if _is_best(source):
        return source.parent, lambda score: score.weights == "best" and score.images_seen in (None, images)
    return source.absolute().parent.parent, lambda score: score.images_seen == images


def _is_best(source: Path) -> bool:
    return source == best_path(source.parent)


def _page(out: Path) -> tuple[Path | None, str]:
    """Where the card of `out` may be written, and what an earlier one says; None where both places are taken."""
    for path in (out.with_name("README.md"), out.with_suffix(".md")):
        if not path.exists():
            return path, ""
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if _is_of(out, text):
            return path, text
    return None, ""


def _is_of(generator: Path, text: str) -> bool:
    """Whether a page is the card that we wrote for this generator."""
    return marked(shown(Path(generator.name))) in text.splitlines()


def _sheet_path(out: Path, old: str, notes: list[str]) -> Path | None:
    """Where the contact sheet goes; None where a picture is that no earlier card shows: it may be anyone's."""
    path = out.with_suffix(".png")
    if path.exists() and f"]({quote(path.name.encode(errors='surrogateescape'))})" not in old:
        notes.append(f"no contact sheet: {shown(path)} is there, and not of this generator")
        return None
    return path


def _write_sheet(
    recipe: Recipe, network: Generator, direction: Direction, path: Path, notes: list[str],
    report: Callable[[int, int], None],
) -> bool:  # fmt: skip
    """Write test pictures beside their translations, of the size that training saw; False where that cannot be."""
    try:
        pictures = _test_pictures(recipe, direction)
        translator = Translator(network)
        rows = []
        with memory_told():
            for done, picture in enumerate(pictures, start=1):
                rows.append((picture, translator.translate(picture)))
                report(done, len(pictures))
    except (ValueError, OSError, MemoryError, RuntimeError) as error:  # RuntimeError is torch's: too small a picture
        notes.append(f"no contact sheet: {reason(error)}")
        return False
    write_sheet(rows, ["input", "translation"], path)
    return True


def _test_pictures(recipe: Recipe, direction: Direction) -> list[Image.Image]:
    """The first that can be read. Raises FileNotFoundError where there are none, ValueError for odd transforms."""
    source = sources(recipe.data, unseen_split(recipe.data))[direction.source]
    paths, pictures = source.find(), list[Image.Image]()
    size = training_size(recipe.data, source, paths)
    for path in paths:
        with suppress(UnreadableImage):
            pictures.append(source.read_fitted(path, size))
        if len(pictures) == PICTURES:
            break
    return pictures


def _data_name(recipe: Recipe) -> str:
    return _name(str(recipe.data.root.resolve())) or "data"


def _without_places(value: Any) -> Any:
    """Plain data with only the last part of every path: where things lie on this disk is nobody's business."""
    match value:
        case dict():
            return {key: _without_places(part) for key, part in value.items()}
        case list():
            return [_without_places(part) for part in value]
        case str():
            return _name(value) if "/" in value or "\\" in value else value
    return value


def _name(path: str) -> str:
    return PureWindowsPath(path).name  # which knows both kinds of slash
