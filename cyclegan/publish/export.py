"""Export a generator with a model card and a contact sheet of example translations."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from urllib.parse import quote

from torch import Tensor

from cyclegan.checkpoint import Checkpoint, best_path
from cyclegan.data.batches import training_fit
from cyclegan.data.convert import image_of, tensor_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.sheet import write_sheet
from cyclegan.data.sources import sources, unseen_split
from cyclegan.inference.hub import is_hub_name, push, read_text
from cyclegan.inference.model import open_model
from cyclegan.inference.styles_in_turn import StylesInTurn
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import memory_told
from cyclegan.metrics.result import UNTRANSLATED, Evaluation, Score, read_evaluation
from cyclegan.networks.base import Generator
from cyclegan.publish.card import Card, card_text, code, marked, plain
from cyclegan.publish.write_model import check_request, write_model
from cyclegan.recipe import Recipe
from cyclegan.types import Direction
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import one_line, reason, shown
from cyclegan.util.untouched import untouched

PICTURES = 4
"""Number of test pictures on the contact sheet."""

EVALUATE = "`cyclegan evaluate RUN` computes the scores; exporting again adds them here."


class Exported(NamedTuple):
    """The files that an export wrote."""

    direction: Direction
    """The direction of the exported generator."""
    generator: Path
    """The file that was asked for."""
    beside: list[Path]
    """Other files of the model: the weights of OpenVINO's format, and what finds styles."""
    card: Path | None
    """The model card, under the first of `card_names` that is free; None if none is."""
    sheet: Path | None
    """The contact sheet; None if it could not be written."""
    notes: list[str]
    """One line for each part that was left out or renamed, and why."""


@untouched()
def export(
    source: Path,
    out: Path,
    direction: Direction | None,
    *,
    int8: bool = False,
    calibrate: Path | None = None,
    repository: str | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write a generator to the file `out`, with a model card and a contact sheet in the same folder.

    The ending of `out` chooses the format; `int8` and `calibrate` are as in `write_model`. `source` is anything that
    `open_model` opens. `direction` is by default AtoB, or the only one that the source has. `repository`, the name on
    the hub that it will be pushed to, is shown in the card. `report` is called with (done, total) in pictures of the
    contact sheet. `out` itself is replaced if it exists. A card or a contact sheet is replaced only if an earlier
    export of `out` wrote it; else the new one gets another name. Only sources with their recipe and data have a contact
    sheet.

    Returns the files written, and notes about what was left out.

    Raises what `open_model` and `write_model` raise.
    Raises ValueError when the source does not have the direction.
    Raises OSError when a file cannot be written.
    """
    check_request(out, int8, calibrate)
    model = open_model(source, direction)
    direction, checkpoint = model.choose(direction), model.checkpoint
    network = model.generators[direction]
    written = write_model(model, direction, out, int8=int8, calibrate=calibrate)

    notes = [written.checks] if written.checks else []
    about = _about_run(source, checkpoint, direction, notes) if checkpoint else _about_file(source)
    pages = [out.with_name(name) for name in card_names(out)]
    page = _free(pages, lambda path: _is_of(out, _text(path)))
    sheets, old = [out.with_suffix(".png"), out.with_name(f"{out.name}.png")], _text(page) if page else ""
    sheet = _free(sheets, lambda path: f"]({quote(path.name.encode(errors='surrogateescape'))})" in old)
    if not checkpoint or (sheet and not _write_sheet(checkpoint.recipe, network, direction, sheet, notes, report)):
        sheet = None
    else:
        notes += _renamed("contact sheet", sheets, sheet)
    card = Card(
        file=shown(Path(out.name)),
        direction=direction,
        generator=asdict(network.config),
        formats=model.formats,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        versions={"cyclegan": version("cyclegan"), "torch": version("torch"), "python": platform.python_version()},
        sheet=sheet.name if sheet else None,
        repository=repository,
        format=written.format,
        checks=written.checks,
        **about,
    )
    notes += _renamed("model card", pages, page)
    if page:
        write_whole(page, card_text(card).encode())
    return Exported(direction, out, written.files[1:], page, sheet, notes)


def push_export(exported: Exported, repository: str, *, private: bool) -> str:
    """Push an export to a repository on the hub, in one commit; returns the URL of the repository.

    Cards of other generators in the repository are kept; this one gets the first of `card_names` that is free.

    Raises PermissionError when the hub denies access.
    Raises ConnectionError when the hub cannot be reached.
    Raises ValueError when the hub rejects the name or the card.
    """
    generator, card, sheet = exported.generator, exported.card, exported.sheet
    files = {path.name: path for path in (generator, *exported.beside, sheet) if path}
    if card:
        *names, last = card_names(generator)
        texts = ((name, read_text(repository, name)) for name in names)
        free = next((name for name, text in texts if text is None or _is_of(generator, text)), last)
        files[free] = card
        if free != names[0]:
            exported.notes.append(
                f"{repository}: its README.md belongs to something else; the card is {shown(Path(free))}"
            )
    return push(repository, files, private=private)


def _about_run(source: Path, checkpoint: Checkpoint, direction: Direction, notes: list[str]) -> dict[str, Any]:
    """Return the fields of a card for weights that come with their recipe."""
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
    """Return the fields of a card for weights without their recipe."""
    if is_hub_name(source):
        origin = f"The generator is from the repository {code(source.as_posix())}, which has more information."
    elif source.suffix == ".safetensors":
        origin = f"The generator is a copy of {code(source.name)}."
    else:
        origin = (
            f"The weights were imported from {code(source.resolve().name)}, a file of another program in the format of "
            f"the reference implementation. If the file does not name the direction, the exporting user chose it."
        )
    return {
        "origin": origin,
        "unscored": "No scores are known, because the weights came without their run. "
        "`cyclegan evaluate FILE --data DATA` computes them on a data set.",
    }


def _figures(
    source: Path, checkpoint: Checkpoint, direction: Direction, notes: list[str]
) -> tuple[Evaluation | None, str]:
    """Return the scores of these weights from the run's metrics.json, or else why there are none."""
    run, belongs = _whose(source, checkpoint.images)
    path = run / "metrics.json"
    if not path.is_file():
        return None, f"Not evaluated yet. {EVALUATE}"
    try:
        evaluation = read_evaluation(path)
    except (ValueError, OSError) as error:
        notes.append(f"the card has no scores: {reason(error)}")
        return None, f"The run's scores could not be read. {EVALUATE}"
    if isinstance(data := evaluation.protocol.get("data"), str):
        evaluation.protocol["data"] = _name(data)
    if not evaluation.own:
        why = f"are of {one_line(evaluation.pictures)}, not of the run's own test pictures"
        notes.append(f"the card has no scores: those in metrics.json {why}; evaluate, then export again")
        return None, f"The run's scores {plain(why)}. {EVALUATE}"
    if scores := _scores_of(evaluation, direction, belongs):
        return Evaluation(evaluation.protocol, scores), ""
    notes.append("the card has no scores: metrics.json has none of these weights; evaluate, then export again")
    return None, f"The run's scores are of other weights. {EVALUATE}"


def _scores_of(evaluation: Evaluation, direction: Direction, belongs: Callable[[Score], bool]) -> list[Score]:
    """Return the score of a direction with these weights, then the untranslated one; empty without the former."""
    translated = [score for score in evaluation.scores if score.what == direction and belongs(score)]
    before = [score for score in evaluation.scores if score.what == direction[0] + UNTRANSLATED]
    return [*translated[:1], *before[:1]] if translated else []


def _whose(source: Path, images: int) -> tuple[Path, Callable[[Score], bool]]:
    """Return the run folder of a source, and a test of whether a score is of its weights, not of earlier ones."""
    if source.is_dir():
        return source, lambda score: score.weights == "last" and score.images_seen in (None, images)
    if _is_best(source):
        return source.parent, lambda score: score.weights == "best" and score.images_seen in (None, images)
    return source.absolute().parent.parent, lambda score: score.images_seen == images


def _is_best(source: Path) -> bool:
    return source == best_path(source.parent)


def card_names(generator: Path) -> list[str]:
    """Return the names that a model card may have, in the order of preference: README.md, NAME.md, NAME.onnx.md."""
    return ["README.md", generator.with_suffix(".md").name, f"{generator.name}.md"]


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""


def _is_of(generator: Path, text: str) -> bool:
    """Return whether a page is a card that `export` wrote for this generator."""
    return marked(shown(Path(generator.name))) in text.splitlines()


def _free(paths: Sequence[Path], ours: Callable[[Path], bool]) -> Path | None:
    """Return the first file that does not exist or is ours to replace; None if all belong to something else."""
    return next((path for path in paths if not path.exists() or ours(path)), None)


def _renamed(what: str, paths: Sequence[Path], path: Path | None) -> list[str]:
    """Return a line if `path`, one of these, is not the first, or None."""
    others = [shown(Path(each.name)) for each in (paths if path is None else paths[: paths.index(path)])]
    if not others:
        return []
    named = f"{', '.join(others)} {'exists and belongs' if len(others) == 1 else 'exist and belong'} to something else"
    return [f"{named}; {f'the {what} is {shown(path)}' if path else f'no {what} was written'}"]


def _write_sheet(
    recipe: Recipe, network: Generator, direction: Direction, path: Path, notes: list[str],
    report: Callable[[int, int], None],
) -> bool:  # fmt: skip
    """Write test pictures beside their translations, at the training size; returns False if that is not possible."""
    try:
        pictures, formats = _test_pictures(recipe, direction), recipe.data.formats
        source, target = formats[direction.source], formats[direction.target]
        translator = Translator(network, source, target)
        translator.default_style = styles = StylesInTurn(translator, recipe.data, direction)
        rows = []
        with memory_told():
            for done, picture in enumerate(pictures, start=1):
                fake = translator.translate_batch(picture)
                shown_styles = [image_of(style[0], target) for style in styles.pictures(1) or ()]
                rows.append((image_of(picture[0], source), *shown_styles, image_of(fake[0].cpu(), target)))
                report(done, len(pictures))
    except (ValueError, OSError, MemoryError, RuntimeError) as error:  # RuntimeError: too small a picture
        notes.append(f"no contact sheet: {reason(error)}")
        return False
    write_sheet(rows, ["input", "translation"] if len(rows[0]) == 2 else ["input", "style", "translation"], path)
    return True


def _test_pictures(recipe: Recipe, direction: Direction) -> list[Tensor]:
    """Return the first test pictures that can be read, at the training size, each (1, C, H, W) in [-1, 1].

    Raises FileNotFoundError when there are none, and ValueError when the transforms have no fixed output size.
    """
    source = sources(recipe.data, unseen_split(recipe.data))[direction.source]
    paths, pictures = source.find(), list[Tensor]()
    fit = training_fit(recipe.data, source, paths)
    for path in paths:
        with suppress(UnreadableImage):
            pictures.append(tensor_of(source.read(path, fit)))
        if len(pictures) == PICTURES:
            break
    return pictures


def _data_name(recipe: Recipe) -> str:
    return _name(str(recipe.data.root.resolve())) or "data"


def _without_places(value: Any) -> Any:
    """Keep only the last part of every path in plain data, so that a card does not publish local paths."""
    match value:
        case dict():
            return {key: _without_places(part) for key, part in value.items()}
        case list():
            return [_without_places(part) for part in value]
        case str():
            return _name(value) if "/" in value or "\\" in value else value
    return value


def _name(path: str) -> str:
    return PureWindowsPath(path).name  # handles both kinds of slash
