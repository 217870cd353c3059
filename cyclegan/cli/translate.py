"""cyclegan translate."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from cyclegan.cli.codes import UNREADABLE
from cyclegan.recipe import Compile, Switch
from cyclegan.types import Device, Direction, Precision
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown

if TYPE_CHECKING:
    from cyclegan.inference.directory import Outcome


@dataclass(frozen=True)
class Translate:
    """Translate a picture, or a directory with all its subfolders."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint, generator (.safetensors, the reference's .pth or a folder of them), or user/name on the
    hub."""
    source: Positional[Path]
    """Picture or directory."""
    out: Positional[Path]
    """Directory for the translations; names and subfolders stay."""
    direction: Direction | None = None
    """Which way; by default AtoB, or the only one that the file knows."""
    size: int | None = None
    """Pixels of the shorter side; by default the picture's own size."""
    resume: bool = False
    """Skip pictures whose translation was finished already, by this model with these options."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    precision: Literal["auto"] | Precision = "auto"
    """On auto these three are tried on a picture, and used where they are right and faster."""
    channels_last: Switch = "auto"
    """Keep the channels of a pixel together in memory."""
    compile: Compile = "auto"
    """Compile the network for each size of pictures; simd256 with vectors of 256 bits at most."""

    def run(self) -> int:
        """Translate, and list at the end what failed."""
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.inference.directory import Unfinished, translate_directory
        from cyclegan.inference.translator import Translator
        from cyclegan.machine.memory_limit import only_what_is_there

        translator = Translator.load(
            self.checkpoint,
            self.direction,
            device=self.device,
            precision=self.precision,
            channels_last="auto" if self.channels_last == "auto" else self.channels_last == "on",
            compile_=self.compile,
        )
        limited = only_what_is_there() if translator.device.type == "cpu" else nullcontext()
        try:
            with limited, Progress("translating") as progress:
                outcome = translate_directory(
                    translator,
                    self.source,
                    self.out,
                    size=self.size,
                    resume=self.resume,
                    report=progress.report,
                    note=progress.note,
                )
        except Unfinished as end:
            self._tell(end.outcome)
            raise
        self._tell(outcome)
        return UNREADABLE if outcome.failed else 0

    def _tell(self, outcome: Outcome) -> None:
        skipped = f", {len(outcome.skipped)} were there already" if outcome.skipped else ""
        print(f"{len(outcome.translated)} translated to {shown(self.out)}{skipped}")
        for line in outcome.failed:
            print(line, file=sys.stderr)
