"""cyclegan train."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from cyclegan.cli.codes import DIVERGED, UNSAVED
from cyclegan.cli.overrides import meant, show_help, with_kinds
from cyclegan.cli.parsing import parse_words
from cyclegan.recipe import Recipe, check_transforms, read_recipe, recipe_from
from cyclegan.types import Direction
from cyclegan.util.progress import Progress
from cyclegan.util.text import as_typed, one_line, shown

REPLACED = ("--data.fit", "--data.size")
"""Options that a list of transforms replaces."""


if TYPE_CHECKING:
    from cyclegan.networks.base import Generator


@dataclass(frozen=True)
class TrainOptions:
    """Train a model by a recipe."""

    recipe: Annotated[
        Positional[Path | None], tyro.conf.arg(help_behavior_hint="(default: the reference CycleGAN)")
    ] = None
    """YAML file; see experiments/."""
    out: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="(default: runs/RECIPE)")] = None
    """Run folder to write."""
    resume: FlagCreatePairsOff[bool] = False
    """Continue the run in that folder, or start it if there is none."""


@dataclass(frozen=True)
class Train(TrainOptions):
    """Train a model by a recipe."""

    settings: Annotated[Recipe, tyro.conf.arg(name="")] = Recipe()  # noqa: RUF009  # it is frozen
    """The recipe, with the values of the command line."""

    def run(self) -> int:
        """Train to the end of the recipe."""
        recipe = recipe_from(self.settings.to_dict(), "command line")
        check_transforms(recipe, str(self.recipe or "command line"))
        out = self.out or Path("runs") / (self.recipe.stem if self.recipe else "cyclegan")
        # What torchrun sets: which of its processes this is, and how often it has started them again.
        first = os.environ.get("RANK", "0") == "0"
        restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"

        from cyclegan.check.quick import quick_notes
        from cyclegan.training.checkpointer import Unsaved
        from cyclegan.training.nonfinite import Diverged
        from cyclegan.training.trainer import train

        try:
            start = partial(_generators, recipe.training.start) if recipe.training.start else None
            check = partial(quick_notes, one_style=recipe.method.about.one_style)
            checkpoint = train(recipe, out, resume=self.resume or restarted, start=start, check=check)
        except (Unsaved, Diverged) as end:
            print(f"cyclegan: {end}", file=sys.stderr)
            return UNSAVED if isinstance(end, Unsaved) else DIVERGED
        if first:
            _look_back(out, recipe)
            style = ["--style", "PICTURE"] if recipe.method.about.any_style else []
            line = as_typed("cyclegan", "translate", shown(out), "PICTURES", "OUT", *style)
            print(f"{shown(checkpoint)}\ntranslate with: {line}")
        return 0


def _generators(model: Path) -> Mapping[Direction, Generator]:
    from cyclegan.inference.model import open_model

    return open_model(model).generators


def _look_back(run: Path, recipe: Recipe) -> None:
    """Score the finished run on its test split, if its recipe sets `log.evaluate_every`, and write its report.

    The training is saved by now, so an error here is printed and does not change the exit code.
    """
    from cyclegan.inference.evaluate import evaluate_run
    from cyclegan.inference.metrics_file import record_test, write_metrics
    from cyclegan.machine.memory import memory_told
    from cyclegan.report.run import write_report
    from cyclegan.report.scores import evaluation_table

    try:
        if recipe.log.evaluate_every:
            features, device = recipe.features.build(), recipe.speed.device
            with memory_told(), Progress("scoring the test split") as progress:
                evaluation = evaluate_run(run, features, device=device, report=progress.report)
            print(evaluation_table(evaluation))
            if aside := write_metrics(evaluation, run / "metrics.json"):
                print(f"moved earlier scores, computed in another way, to {shown(aside)}")
            record_test(evaluation, run)
    except (ValueError, OSError, MemoryError, RuntimeError) as error:  # RuntimeError is torch's
        print(f"not scored: {one_line(str(error), 500)}", file=sys.stderr)
    try:
        with Progress("writing the report") as progress:
            print(f"report: {shown(write_report(run, device=recipe.speed.device, report=progress.report))}")
    except (ValueError, OSError, MemoryError, RuntimeError) as error:  # RuntimeError is torch's
        print(f"no report: {one_line(str(error), 500)}", file=sys.stderr)


def parse_train(arguments: list[str]) -> Train:
    """Return the command; values that the command line does not set are the recipe's."""
    # The recipe decides which options exist, and they decide whether a word is the recipe or an option's value.
    # So parse with a guess of the recipe, and again if the guess was wrong.
    path = next((Path(word) for word in arguments if word.endswith((".yaml", ".yml")) and Path(word).is_file()), None)
    if any(word in ("-h", "--help") for word in arguments):
        show_help(TrainOptions, with_kinds(read_recipe(path) if path else Recipe(), arguments), arguments)
    parsed = _parse_by(path, arguments)
    return parsed if parsed.recipe == path else _parse_by(parsed.recipe, arguments)


def _parse_by(recipe: Path | None, arguments: list[str]) -> Train:
    settings = with_kinds(read_recipe(recipe) if recipe else Recipe(), arguments)
    try:
        parsed: Train = parse_words(Train, "train", arguments, Train(settings=settings))
    except ValueError as error:
        unknown = re.search(r"Unrecognized options: (--[\w-]+)(?![\w.-])", str(error))
        option = meant(settings, unknown[1]) if unknown else None
        if unknown and option:
            raise ValueError(f"train: no option {unknown[1]}; did you mean {option}?") from None
        raise
    replaced = next((word for word in REPLACED if any(each.partition("=")[0] == word for each in arguments)), None)
    if replaced and parsed.settings.data.transforms is not None:
        helps = "data.transforms of the recipe replaces it; add --data.transforms none"
        raise ValueError(f"train: {replaced} has no effect: {helps}")
    return parsed
