"""cyclegan translate."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from cyclegan.cli.bar import progress_bar
from cyclegan.cli.codes import UNREADABLE
from cyclegan.recipe import Compile, Switch
from cyclegan.types import Device, Direction, Precision
from cyclegan.words import shown


@dataclass(frozen=True)
class Translate:
    """Translate a picture, or a directory with all its subfolders."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint, generator (.safetensors or a reference .pth), or user/name on the hub."""
    source: Positional[Path]
    """Picture or directory."""
    out: Positional[Path]
    """Directory for the translations; names and subfolders stay."""
    direction: Direction | None = None
    """Which way; by default AtoB, or the only one that the file knows."""
    size: int | None = None
    """Pixels of the shorter side; by default the picture's own size."""
    resume: bool = False
    """Skip pictures whose translation is there already."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    precision: Literal["auto"] | Precision = "auto"
    """On auto these three are tried on a picture, and used where they are right and faster."""
    channels_last: Switch = "auto"
    """Keep the channels of a pixel together in memory."""
    compile: Compile = "auto"
    """Compile the network for each size of pictures; simd256 with vectors of 256 bits at most."""

    def run(self) -> int:
        """Translate, and list at the end what could not be read."""
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.inference.directory import translate_directory
        from cyclegan.inference.translator import Translator

        translator = Translator.load(
            self.checkpoint,
            self.direction,
            device=self.device,
            precision=self.precision,
            channels_last="auto" if self.channels_last == "auto" else self.channels_last == "on",
            compile=self.compile,
        )
        with progress_bar("translating") as bar:
            outcome = translate_directory(
                translator,
                self.source,
                self.out,
                size=self.size,
                resume=self.resume,
                report=bar.report,
                note=bar.note,
            )
        skipped = f", {len(outcome.skipped)} were there already" if outcome.skipped else ""
        print(f"{len(outcome.translated)} translated to {shown(self.out)}{skipped}")
        for line in outcome.unreadable:
            print(line, file=sys.stderr)
        return UNREADABLE if outcome.unreadable else 0
