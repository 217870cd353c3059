"""cyclegan translate."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from cyclegan.cli.codes import UNREADABLE
from cyclegan.recipe import Compile, Switch
from cyclegan.types import Device, Direction, Precision
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown

if TYPE_CHECKING:
    from cyclegan.inference.directory import Outcome


@dataclass(frozen=True)
class Translate:
    """Translate a picture, or a directory with its subdirectories."""

    model: Positional[Path]
    """Run folder, checkpoint, generator file (.safetensors, .pth, a folder of .pth), or user/name on the hub."""
    source: Positional[Path]
    """Picture or directory to translate."""
    out: Positional[Path]
    """Directory for the translations. File names and subdirectories are kept."""
    direction: Annotated[Direction | None, arg(help_behavior_hint="(default: AtoB, or the model's only one)")] = None
    """Direction of the translation."""
    size: Annotated[int | None, arg(help_behavior_hint="(default: unchanged)")] = None
    """Resize pictures to this length of the shorter side, in pixels."""
    output_format: Annotated[str | None, arg(metavar="SUFFIX", help_behavior_hint="(default: the source's)")] = None
    """Format of the translations: png, tif, jpg, ...; by default the source's, if it can store them."""
    quality: Annotated[int | None, arg(help_behavior_hint="(default: 95, for AVIF and HEIC 90)")] = None
    """Quality of JPEG, WebP, AVIF and HEIC files, 1 to 100."""
    strip: FlagCreatePairsOff[bool] = False
    """Write no metadata of the source (EXIF, resolution, places, patients); it is kept by default."""
    resume: FlagCreatePairsOff[bool] = False
    """Skip pictures that this model already translated with these options."""
    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""
    precision: Literal["auto"] | Precision = "auto"
    """Numeric precision. `auto` options are tested on the first picture and used if correct and faster."""
    channels_last: Switch = "auto"
    """Use the channels-last (NHWC) memory layout."""
    compile: Compile = "auto"
    """Compile the network for each picture size; `simd256` limits the CPU's vectors to 256 bits."""

    def run(self) -> int:
        """Translate, and print the pictures that failed at the end."""
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"--quality: must be 1 to 100, not {self.quality}")

        from cyclegan.data.write import Output
        from cyclegan.inference.directory import Unfinished, translate_directory
        from cyclegan.inference.options import Options
        from cyclegan.inference.sizes import Sizing
        from cyclegan.inference.translator import Translator
        from cyclegan.machine.memory_limit import only_what_is_there

        translator = Translator.load(
            self.model,
            self.direction,
            device=self.device,
            precision=self.precision,
            channels_last="auto" if self.channels_last == "auto" else self.channels_last == "on",
            compile_=self.compile,
        )
        limited = only_what_is_there() if translator.engine.on_cpu else nullcontext()
        try:
            with limited, Progress("translating") as progress:
                outcome = translate_directory(
                    translator,
                    self.source,
                    self.out,
                    options=Options(
                        sizing=Sizing(size=self.size),
                        output=Output(format=self.output_format, quality=self.quality, strip=self.strip),
                    ),
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
        skipped = f", {len(outcome.skipped)} already done" if outcome.skipped else ""
        print(f"{len(outcome.translated)} translated to {shown(self.out)}{skipped}")
        for line in outcome.failed:
            print(line, file=sys.stderr)
