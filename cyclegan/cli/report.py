"""cyclegan report and compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.types import Device
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Report:
    """Write RUN/report.html: scores, curves and test pictures of a run on one page that needs no other file."""

    run_folder: Positional[Path]
    """Run folder."""
    pictures: int = 8
    """Test pictures of each direction to show."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""

    def run(self) -> int:
        """Write it, and say where it is."""
        _check(self.pictures)

        from cyclegan.report.run import write_report

        with Progress("translating") as progress:
            path = write_report(self.run_folder, pictures=self.pictures, device=self.device, report=progress.report)
        print(shown(path))
        return 0


@dataclass(frozen=True)
class Compare:
    """Compare runs: prints one table, and writes one page with their pictures and curves."""

    runs: Positional[tuple[Path, ...]]
    """Run folders, two or more."""
    out: Path = Path("compare.html")
    """Page to write."""
    pictures: int = 6
    """Test pictures of each direction to show."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""

    def run(self) -> int:
        """Print the table, write the page."""
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
