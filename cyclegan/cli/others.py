"""cyclegan show, fetch and demo: a few lines each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.util.progress import Progress


@dataclass(frozen=True)
class Show:
    """Print what a run or a file of weights holds: recipe, images seen, parameters."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint, generator, or user/name on the hub."""

    def run(self) -> int:
        """Print it."""
        from cyclegan.inference.describe import describe

        print(describe(self.checkpoint))
        return 0


@dataclass(frozen=True)
class Fetch:
    """Download a known data set into data/."""

    name: Positional[str]
    """horse2zebra, monet2photo, vangogh2photo, ...; a wrong name lists them all."""
    root: Path = Path("data")
    """Folder to put it in."""

    def run(self) -> int:
        """Download with a bar."""
        from cyclegan.data.fetch import fetch

        with Progress(self.name, "MiB", size=2**20) as progress:
            fetched = fetch(self.name, self.root, report=progress.report)
        known = "as expected" if fetched.expected else "of which no other copy is known: https alone vouches for it"
        print(f"{fetched.folder}: ready (SHA-256 {fetched.sha256}, {known}); train with --data.root {fetched.folder}")
        return 0


@dataclass(frozen=True)
class Demo:
    """Learn to paint from the built-in photographs, then show it: a few minutes on any machine."""

    out: Path = Path("runs/demo")
    """Folder for everything that the demo makes."""

    def run(self) -> int:
        """Train, translate the held-out photographs, and say where to look."""
        from cyclegan.demo import run_demo

        print(run_demo(self.out, note=lambda line: print(line, file=sys.stderr, flush=True)))
        return 0
