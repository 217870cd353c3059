"""cyclegan evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.cli.bar import progress_bar
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.types import Device
from cyclegan.words import shown


@dataclass(frozen=True)
class Evaluate:
    """Score a run's translations against real pictures, or any folder against another."""

    checkpoint: Positional[Path | None] = None
    """Run folder or checkpoint, scored in both directions; or one exported generator."""
    data: Path | None = None
    """Data set whose pictures to translate; by default the one that the run learned from."""
    split: str = "test"
    """Which of its pictures: testA and testB."""
    fake: Path | None = None
    """Instead of a run: a folder of translations, whoever made them, ..."""
    real: Path | None = None
    """... and one of real pictures to compare them with."""
    size: int | None = None
    """Fit every picture to a square of so many pixels; needed where they differ in size."""
    out: Path | None = None
    """File for figures and protocol; by default metrics.json, in the run folder if there is one."""
    features: FeaturesConfig = FeaturesConfig()  # noqa: RUF009  # it is frozen
    """By whose eyes."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""

    def run(self) -> int:
        """Score, print a table, write the figures."""
        if (self.checkpoint is None) == (self.fake is None) or (self.fake is None) != (self.real is None):
            raise ValueError("evaluate: give a run, or --fake and --real")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.evaluation import as_data, as_table, score_folders, score_translators, write_metrics

        features = self.features.build()
        if self.checkpoint is None:
            assert self.fake and self.real
            scores = score_folders(self.fake, self.real, features, size=self.size, device=self.device)
            about = {"fake": shown(self.fake), "real": shown(self.real)}
        else:
            from cyclegan.inference.translator import load_translators

            translators, learned_from = load_translators(self.checkpoint, device=self.device)
            if (data := self.data or learned_from) is None:
                raise ValueError(f"{shown(self.checkpoint)}: does not say what it learned from; give --data")
            with progress_bar("translating") as bar:
                scores = score_translators(
                    translators, data, features, split=self.split, size=self.size, report=bar.report
                )
            about = {"checkpoint": shown(self.checkpoint), "data": shown(data), "split": self.split}
        folder = self.checkpoint if self.checkpoint and self.checkpoint.is_dir() else Path()
        out = self.out or folder / "metrics.json"
        write_metrics(as_data(scores, features, size=self.size, about=about), out)
        print(f"{as_table(scores, features)}\nfigures and protocol: {shown(out)}")
        return 0
