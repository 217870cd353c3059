"""cyclegan evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from cyclegan.cli.parsing import parse_words
from cyclegan.data.config import Pairs
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import read_recipe
from cyclegan.types import Device
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Evaluate:
    """Score a model, or a folder of translations."""

    model: Annotated[Positional[Path | None], arg(help_behavior_hint="")] = None
    """Run folder (scores its last and best weights), checkpoint, generator file, or user/name on the hub."""
    data: Annotated[Path | None, arg(help_behavior_hint="(default: the run's)")] = None
    """Data set to translate."""
    pairs: Annotated[Pairs | None, arg(help_behavior_hint="(default: the run's)")] = None
    """Which of its pictures are pairs; translations are compared with them."""
    split: Annotated[str | None, arg(help_behavior_hint="(default: test, or else val)")] = None
    """Split of the data set, as in testA and testB."""
    fake: Annotated[Path | None, arg(help_behavior_hint="")] = None
    """Folder of translations to score instead of a model; needs --real."""
    real: Annotated[Path | None, arg(help_behavior_hint="")] = None
    """Folder of real pictures to compare them with."""
    size: Annotated[int | None, arg(help_behavior_hint="(default: the training's)")] = None
    """Resize all pictures to squares of this size, in pixels."""
    out: Annotated[Path | None, arg(help_behavior_hint="(default: metrics.json, in the run)")] = None
    """JSON file for the scores and how they were computed."""
    features: FeaturesConfig = FeaturesConfig()  # noqa: RUF009  # it is frozen
    """Network to compute scores with; by default the one in the run's recipe."""
    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""

    def run(self) -> int:
        """Compute the scores, print them as a table, and write them to a file."""
        if (self.model is None) == (self.fake is None) or (self.fake is None) != (self.real is None):
            raise ValueError("evaluate: give either MODEL, or --fake and --real")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.checkpoint import is_run
        from cyclegan.inference.evaluate import evaluate_folders, evaluate_run
        from cyclegan.inference.metrics_file import metrics_path, record_test, write_metrics
        from cyclegan.report.scores import evaluation_table

        features = self.features.build()
        with Progress("scoring") as progress:
            if self.model is None:
                assert self.fake and self.real
                evaluation = evaluate_folders(
                    self.fake, self.real, features, size=self.size, device=self.device, report=progress.report
                )
            else:
                evaluation = evaluate_run(
                    self.model,
                    features,
                    data=self.data,
                    pairs=self.pairs,
                    split=self.split,
                    size=self.size,
                    device=self.device,
                    report=progress.report,
                )
        print(evaluation_table(evaluation))  # first: it took minutes, and a disk may be full
        run = self.model if self.model and is_run(self.model) else None
        out = self.out or metrics_path(evaluation, run)
        aside = write_metrics(evaluation, out)
        print(f"\nscores: {shown(out)}")
        if aside:
            print(f"moved earlier scores, computed in another way, to {shown(aside)}")
        if run and evaluation.protocol["own_test_pictures"] and not self.out:
            record_test(evaluation, run)
        return 0


def parse_evaluate(arguments: list[str]) -> Evaluate:
    """Return the command; without options for it, the feature network is the one in the run's recipe."""
    parsed: Evaluate = parse_words(Evaluate, "evaluate", arguments)
    recipe = parsed.model / "recipe.yaml" if parsed.model else None
    if recipe is None or not recipe.is_file():
        return parsed
    default = Evaluate(features=read_recipe(recipe).features)
    parsed = parse_words(Evaluate, "evaluate", arguments, default)
    return parsed
