"""cyclegan evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.cli.parsing import parse_words
from cyclegan.data.config import Pairs
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import read_recipe
from cyclegan.types import Device
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Evaluate:
    """Score a run's translations against real pictures, or any folder against another."""

    checkpoint: Positional[Path | None] = None
    """Run folder (its last and its best weights) or checkpoint, scored in all directions; or a generator, exported
    or the reference's (.pth, or a folder of them)."""
    data: Path | None = None
    """Data set whose pictures to translate; by default the one that the run learned from."""
    pairs: Pairs | None = None
    """Which of its pictures are pairs, and scored against each other; by default as in the run's training."""
    split: str | None = None
    """Which of its pictures: by default testA and testB, or valA and valB where only those are there."""
    fake: Path | None = None
    """Instead of a run: a folder of translations, whoever made them, ..."""
    real: Path | None = None
    """... and one of real pictures to compare them with."""
    size: int | None = None
    """Fit every picture to a square of so many pixels; by default to what a run was trained at."""
    out: Path | None = None
    """File for figures and protocol; by default metrics.json, in the run folder if there is one. Figures of other
    pictures than a run's own test split, or at another size, get a name that says so."""
    features: FeaturesConfig = FeaturesConfig()  # noqa: RUF009  # it is frozen
    """By whose eyes; by default those that the run's recipe names."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""

    def run(self) -> int:
        """Score, print a table, write the figures."""
        if (self.checkpoint is None) == (self.fake is None) or (self.fake is None) != (self.real is None):
            raise ValueError("evaluate: give a run, or --fake and --real")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.checkpoint import is_run
        from cyclegan.inference.evaluate import evaluate_folders, evaluate_run
        from cyclegan.inference.metrics_file import metrics_path, record_test, write_metrics
        from cyclegan.report.scores import evaluation_table

        features = self.features.build()
        with Progress("scoring") as progress:
            if self.checkpoint is None:
                assert self.fake and self.real
                evaluation = evaluate_folders(
                    self.fake, self.real, features, size=self.size, device=self.device, report=progress.report
                )
            else:
                evaluation = evaluate_run(
                    self.checkpoint,
                    features,
                    data=self.data,
                    pairs=self.pairs,
                    split=self.split,
                    size=self.size,
                    device=self.device,
                    report=progress.report,
                )
        print(evaluation_table(evaluation))  # first: it took minutes, and a disk may be full
        run = self.checkpoint if self.checkpoint and is_run(self.checkpoint) else None
        out = self.out or metrics_path(evaluation, run)
        aside = write_metrics(evaluation, out)
        print(f"\nfigures and protocol: {shown(out)}")
        if aside:
            print(f"moved what it held before, of another protocol, to {shown(aside)}")
        if run and evaluation.protocol["own_test_pictures"] and not self.out:
            record_test(evaluation, run)
        return 0


def parse_evaluate(arguments: list[str]) -> Evaluate:
    """The command; pictures are compared by the eyes that the run's recipe names where the line says nothing else."""
    parsed: Evaluate = parse_words(Evaluate, "evaluate", arguments)
    recipe = parsed.checkpoint / "recipe.yaml" if parsed.checkpoint else None
    if recipe is None or not recipe.is_file():
        return parsed
    default = Evaluate(features=read_recipe(recipe).features)
    parsed = parse_words(Evaluate, "evaluate", arguments, default)
    return parsed
