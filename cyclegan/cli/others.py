"""cyclegan import, show, fetch and demo."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from cyclegan.types import Direction
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Import:
    """Convert a .pth of the CycleGAN, pix2pix or CUT authors."""

    source: Positional[Path]
    """*_net_G*.pth, a folder of them (the latest is used), or a training checkpoint with generators."""
    out: Positional[Path]
    """File to write, NAME.safetensors."""
    direction: Annotated[Direction | None, arg(help_behavior_hint="(default: by the file's name, or else AtoB)")] = None
    """Direction of the generator to convert."""

    def run(self) -> int:
        """Write the file, and print what it holds."""
        if self.out.suffix != ".safetensors":
            raise ValueError(f"{self.out}: the name must end in .safetensors")

        from cyclegan.inference.describe import architecture, parameters
        from cyclegan.inference.generator_file import write_generator
        from cyclegan.inference.imported import file_for
        from cyclegan.inference.model import open_model

        model = open_model(self.source, self.direction)
        direction = model.choose(self.direction)
        network = model.generators[direction]
        write_generator(network, direction, self.out, model.formats)
        found = file_for(self.source, direction)
        print(f"{shown(found)}: {architecture(network.config)}, {parameters(network):,} parameters")
        other = f"; --direction {direction.opposite} gives the other" if len(model.generators) > 1 else ""
        print(f"{shown(self.out)}: translates {direction}{other}")
        return 0


@dataclass(frozen=True)
class Show:
    """Print what a run or model holds: recipe, images seen, parameters."""

    model: Positional[Path]
    """Run folder, checkpoint, generator file (.safetensors, .pth, a folder of .pth), or user/name on the hub."""

    def run(self) -> int:
        """Print the description."""
        from cyclegan.inference.describe import describe

        print(describe(self.model))
        return 0


@dataclass(frozen=True)
class Fetch:
    """Download a data set by its name."""

    name: Positional[str]
    """Name of the data set: horse2zebra, monet2photo, ...; any other word lists all names."""
    root: Path = Path("data")
    """Folder to download to."""

    def run(self) -> int:
        """Download with a progress bar."""
        from cyclegan.data.fetch import fetch

        with Progress(self.name, "MiB", size=2**20) as progress:
            fetched = fetch(self.name, self.root, report=progress.report)
        known = "as published" if fetched.expected else "no published checksum; downloaded over https"
        print(f"{fetched.folder}: ready (SHA-256 {fetched.sha256}, {known}); train with --data.root {fetched.folder}")
        return 0


@dataclass(frozen=True)
class Demo:
    """Train on built-in pictures and show the result: a few minutes."""

    out: Path = Path("runs/demo")
    """Folder for all files of the demo."""

    def run(self) -> int:
        """Train, translate the held-out photographs, and print where the gallery is."""
        from cyclegan.demo import run_demo

        print(run_demo(self.out, note=lambda line: print(line, file=sys.stderr, flush=True)))
        return 0
