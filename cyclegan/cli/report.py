"""cyclegan report and compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from cyclegan.types import Device
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Report:
    """Write RUN/report.html: scores, curves, test pictures."""

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """Run folder."""
    pictures: int = 8
    """Number of test pictures per direction."""
    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""

    def run(self) -> int:
        """Write the page, and print where it is."""
        _check(self.pictures)

        from cyclegan.report.run import write_report

        with Progress("translating") as progress:
            path = write_report(self.run_folder, pictures=self.pictures, device=self.device, report=progress.report)
        print(shown(path))
        return 0


@dataclass(frozen=True)
class Compare:
    """Compare runs: print a table, write a page with pictures and curves."""

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN RUN ...", help_behavior_hint="(required)")]
    """Two or more run folders."""
    out: Path = Path("compare.html")
    """HTML file to write."""
    pictures: int = 6
    """Number of test pictures per direction."""
    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""

    def run(self) -> int:
        """Print the table, and write the page."""
        _check(self.pictures)

        from cyclegan.report.compare import write_comparison
        from cyclegan.report.runs import as_table, read_runs

        runs = read_runs(self.runs)
        print(as_table(runs))
        with Progress("translating", "runs") as progress:
            path = write_comparison(runs, self.out, pictures=self.pictures, device=self.device, report=progress.report)
        print(shown(path))
        return 0


def _check(pictures: int) -> None:
    if pictures < 1:
        raise ValueError(f"--pictures: must be at least 1, not {pictures}")
