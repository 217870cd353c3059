"""cyclegan import, show, fetch and demo: a few lines each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.types import Direction
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Import:
    """Convert a generator that the reference or CUT trained to a .safetensors file of ours."""

    source: Positional[Path]
    """*_net_G*.pth, a folder of them (the latest is taken), or a checkpoint of a training that holds generators."""
    out: Positional[Path]
    """File to write, NAME.safetensors."""
    direction: Direction | None = None
    """Which way: of a folder or checkpoint that holds both; or what a file does that does not say. By default AtoB."""

    def run(self) -> int:
        """Write it, and say what it is."""
        if self.out.suffix != ".safetensors":
            raise ValueError(f"{self.out}: the name must end in .safetensors")

        from cyclegan.inference.describe import architecture, parameters
        from cyclegan.inference.generator_file import write_generator
        from cyclegan.inference.imported import file_for
        from cyclegan.inference.model import open_model

        model = open_model(self.source, self.direction)
        direction = model.choose(self.direction)
        network = model.generators[direction]
        write_generator(network, direction, self.out)
        found = file_for(self.source, direction)
        print(f"{shown(found)}: {architecture(network.config)}, {parameters(network):,} parameters")
        other = f"; --direction {direction.opposite} gives the other" if len(model.generators) > 1 else ""
        print(f"{shown(self.out)}: translates {direction}{other}")
        return 0


@dataclass(frozen=True)
class Show:
    """Print what a run or a file of weights holds: recipe, images seen, parameters."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint, generator (also the reference's .pth, or a folder of them), or user/name on the hub."""

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
