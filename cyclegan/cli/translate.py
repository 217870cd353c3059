"""cyclegan translate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from cyclegan.cli.codes import UNREADABLE
from cyclegan.cli.parsing import NUMBERS
from cyclegan.recipe import Compile, Switch
from cyclegan.types import Device, Direction, Precision
from cyclegan.util.progress import Progress
from cyclegan.util.text import bytes_from, shown

if TYPE_CHECKING:
    from cyclegan.inference.directory import Outcome
    from cyclegan.inference.options import Options
    from cyclegan.inference.translator import Translator

STREAM = Path("-")
"""Stands for standard input and output."""

FOR_FILES = ("resume", "overwrite", "dry_run", "json")
"""Options that have no meaning for a stream."""

PARTS = 1000
"""Parts of a picture in which progress is counted, because a large one takes minutes."""


@dataclass(frozen=True)
class Size:
    """How large pictures are, and how much memory they may take."""

    size: Annotated[int | None, arg(help_behavior_hint="(default: unchanged)")] = None
    """Resize pictures to this length of the shorter side, in pixels."""
    scale: Annotated[float | None, arg(metavar="FACTOR", help_behavior_hint="")] = None
    """Resize pictures by this factor."""
    detail: FlagCreatePairsOff[bool] = False
    """Translate at the training size (or --size, --scale), then bring back the full size and its detail."""
    max_pixels: Annotated[int | None, arg(help_behavior_hint="(default: 89 million)")] = None
    """Read pictures of up to this many pixels."""
    memory: Annotated[str | None, arg(metavar="SIZE", help_behavior_hint="(default: most of what is free)")] = None
    """Memory to use, such as 2GB. A picture that needs more is translated in bands, with the same result."""


@dataclass(frozen=True)
class Mix:
    """What of the source is kept."""

    mask: Annotated[Path | None, arg(help_behavior_hint="")] = None
    """Translate only where this picture is white, or the picture of the same name in this folder."""
    feather: float = 0.0
    """Soften the edges of masks, in pixels."""
    strength: float = 1.0
    """Mix the translation (1) with the source (0)."""
    keep_colour: FlagCreatePairsOff[bool] = False
    """Change only the luminance; the source keeps its colours."""
    match_colour: FlagCreatePairsOff[bool] = False
    """Move the colours of the translation to the statistics of the source's."""


@dataclass(frozen=True)
class Style:
    """The style, for models that have several: MUNIT and AdaIN."""

    style: Annotated[tuple[Path, ...], arg(metavar="PICTURE", help_behavior_hint="(default: random)")] = ()
    """Pictures whose style to take, mixed if there are several; or a directory, from which each picture gets one."""
    style_weights: Annotated[
        tuple[float, ...], NUMBERS, arg(metavar="WEIGHT ...", help_behavior_hint="(default: equal)")
    ] = ()
    """The share of each style picture."""
    style_strength: float = 1.0
    """1 is the whole style; 0 is none of it, or of random styles the mean."""
    styles: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Translate in N styles, random or chosen from the directory, into OUT/style1, OUT/style2, ..."""
    seed: int = 0
    """Seed of random styles, and of the choice from a directory."""


@dataclass(frozen=True)
class Files:
    """How files are written."""

    output_format: Annotated[str | None, arg(metavar="SUFFIX", help_behavior_hint="(default: the source's)")] = None
    """Format of the translations: png, tif, jpg, ...; by default the source's, if it can store them."""
    quality: Annotated[int | None, arg(help_behavior_hint="(default: 95, for AVIF and HEIC 90)")] = None
    """Quality of JPEG, WebP, AVIF and HEIC files, 1 to 100."""
    strip: FlagCreatePairsOff[bool] = False
    """Write no metadata of the source (EXIF, resolution, places, patients); it is kept by default."""
    resume: FlagCreatePairsOff[bool] = False
    """Skip pictures that this model already translated with these options."""
    overwrite: FlagCreatePairsOff[bool] = False
    """Replace files that were not written by an earlier translation."""
    dry_run: FlagCreatePairsOff[bool] = False
    """Print what would be done, and change nothing."""
    json: FlagCreatePairsOff[bool] = False
    """Print a line of JSON for each picture, note and problem."""


@dataclass(frozen=True)
class Speed:
    """What computes, and how."""

    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""
    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    """Library that runs the network. `auto` options are tested on the first picture, and used if correct and faster."""
    precision: Literal["auto"] | Precision = "auto"
    """Numeric precision."""
    channels_last: Switch = "auto"
    """Use the channels-last (NHWC) memory layout."""
    compile: Compile = "auto"
    """Compile the network for each picture size; `simd256` limits the CPU's vectors to 256 bits."""


@dataclass(frozen=True)
class Translate:
    """Translate a picture, or a directory with its subdirectories."""

    model: Positional[Path]
    """Run folder, checkpoint, generator file (.safetensors, .onnx, .xml, .pth, a folder of .pth), or user/name on
    the hub."""
    source: Positional[Path]
    """Picture or directory to translate; `-` for the bytes of a picture on standard input."""
    out: Positional[Path]
    """Directory for the translations, with the names and subdirectories of SOURCE; `-` for standard output."""
    direction: Annotated[Direction | None, arg(help_behavior_hint="(default: AtoB, or the model's only one)")] = None
    """Direction of the translation."""
    size: OmitArgPrefixes[Size] = field(default_factory=Size)
    mixing: OmitArgPrefixes[Mix] = field(default_factory=Mix)
    styling: OmitArgPrefixes[Style] = field(default_factory=Style)
    file: OmitArgPrefixes[Files] = field(default_factory=Files)
    speed: OmitArgPrefixes[Speed] = field(default_factory=Speed)

    def run(self) -> int:
        """Translate, and print the pictures that failed at the end."""
        options, memory = self._options(), _bytes("--memory", self.size.memory)
        if (self.source == STREAM) != (self.out == STREAM):
            raise ValueError("give - for both SOURCE and OUT, or for neither")
        if self.source == STREAM and self.styling.styles is not None:
            raise ValueError("--styles is for files, not for - -")
        if self.source == STREAM and (words := [name for name in FOR_FILES if getattr(self.file, name)]):
            raise ValueError(f"--{words[0]} is for files, not for - -")

        from cyclegan.data.codecs.limits import at_most
        from cyclegan.machine.memory_limit import only_what_is_there

        translator = self._translator(memory)
        limited = only_what_is_there() if translator.engine.on_cpu else nullcontext()
        allowed = nullcontext() if self.size.max_pixels is None else at_most(self.size.max_pixels)
        with limited, allowed:
            if self.source == STREAM:
                return self._stream(translator, options)
            translate = self._plan if self.file.dry_run else self._directory
            return max(translate(translator, each, out) for out, each in self._variants(options))

    def _variants(self, options: Options) -> Iterator[tuple[Path, Options]]:
        """Yield the directory of each style, and how pictures are translated in it."""
        if self.styling.styles is None:
            yield self.out, options
            return
        for number in range(self.styling.styles):
            yield self.out / f"style{number + 1}", replace(options, styles=replace(options.styles, variant=number))

    def _directory(self, translator: Translator, options: Options, out: Path) -> int:
        """Translate a picture or a directory to the directory `out`."""
        from cyclegan.inference.directory import Unfinished, translate_directory
        from cyclegan.inference.events import Event, Started, as_line

        def tell(event: Event) -> None:
            if isinstance(event, Started):
                direction = translator.direction.value if translator.direction else ""
                event = replace(event, model=shown(self.model), direction=direction, engine=translator.engine.name)
            if self.file.json:
                print(as_line(event), flush=True)

        try:
            with Progress("translating", size=PARTS, speaks=not self.file.json) as progress:
                note = (lambda line: None) if self.file.json else progress.note
                for line in translator.notes:
                    note(line)
                outcome = translate_directory(
                    translator,
                    self.source,
                    out,
                    options=options,
                    resume=self.file.resume,
                    overwrite=self.file.overwrite,
                    report=_reporter(translator, progress),
                    note=note,
                    tell=tell,
                )
        except Unfinished as end:
            self._tell(end.outcome, out)
            raise
        self._tell(outcome, out)
        return UNREADABLE if outcome.failed else 0

    def _stream(self, translator: Translator, options: Options) -> int:
        """Translate the bytes of a picture; nothing else is written to standard output."""
        from cyclegan.inference.stream import translate_stream
        from cyclegan.inference.styles import Stylist

        known = options.known(translator.source, translator.target, translator.trained)
        style = Stylist(translator, options.styles).of("")
        sys.stdout.buffer.write(translate_stream(translator, sys.stdin.buffer.read(), known, style=style))
        return 0

    def _plan(self, translator: Translator, options: Options, out: Path) -> int:
        """Print what would be done in the directory `out`."""
        from cyclegan.inference.directory import dry_run

        def note(line: str) -> None:
            print(line, file=sys.stderr)

        plan = dry_run(translator, self.source, out, options=options, resume=self.file.resume, note=note)
        problems = 0
        for planned in plan.each():
            print(planned.line)
            problems += bool(planned.problem)
        if plan.told:
            print(plan.told)
        return UNREADABLE if problems else 0

    def _options(self) -> Options:
        """Return how pictures are translated. Raises ValueError for values that are not possible."""
        files, mix, style = self.file, self.mixing, self.styling
        if files.quality is not None and not 1 <= files.quality <= 100:
            raise ValueError(f"--quality: must be 1 to 100, not {files.quality}")
        if self.size.max_pixels is not None and self.size.max_pixels < 1:
            raise ValueError(f"--max_pixels: must be at least 1, not {self.size.max_pixels}")
        if mix.feather and mix.mask is None:
            raise ValueError("--feather needs --mask")
        if style.styles is not None and style.styles < 1:
            raise ValueError(f"--styles: must be at least 1, not {style.styles}")

        from cyclegan.data.write import Output
        from cyclegan.inference.finish import Finish
        from cyclegan.inference.masks import Masks
        from cyclegan.inference.options import Options
        from cyclegan.inference.sizes import Sizing
        from cyclegan.inference.styles import Styles

        return Options(
            sizing=Sizing(size=self.size.size, scale=self.size.scale, detail=self.size.detail),
            finish=Finish(strength=mix.strength, keep_colour=mix.keep_colour, match_colour=mix.match_colour),
            masks=None if mix.mask is None else Masks(mix.mask, mix.feather),
            styles=Styles(
                pictures=style.style, weights=style.style_weights, strength=style.style_strength, seed=style.seed
            ),
            output=Output(format=files.output_format, quality=files.quality, strip=files.strip),
        )

    def _translator(self, memory: int | None) -> Translator:
        from cyclegan.inference.translator import Translator

        speed = self.speed
        return Translator.load(
            self.model,
            self.direction,
            device=speed.device,
            precision=speed.precision,
            channels_last="auto" if speed.channels_last == "auto" else speed.channels_last == "on",
            compile_=speed.compile,
            engine=speed.engine,
            memory=memory,
        )

    def _tell(self, outcome: Outcome, out: Path) -> None:
        if self.file.json:
            return
        skipped = f", {len(outcome.skipped)} already done" if outcome.skipped else ""
        elsewhere = f", {len(outcome.elsewhere)} by other processes" if outcome.elsewhere else ""
        print(f"{len(outcome.translated)} translated to {shown(out)}{skipped}{elsewhere}")
        for line in outcome.failed:
            print(line, file=sys.stderr)


def _reporter(translator: Translator, progress: Progress) -> Callable[[int, int], None]:
    """Return what reports pictures; the parts of a large one are reported too."""
    last = [0, 0]

    def report(done: int, total: int) -> None:
        last[:] = done, total
        progress.report(done * PARTS, total * PARTS)

    translator.report = lambda share: progress.report(int((last[0] + share) * PARTS), last[1] * PARTS)
    return report


def _bytes(option: str, text: str | None) -> int | None:
    """Return the bytes that an option says. Raises ValueError that names it."""
    if text is None:
        return None
    try:
        return bytes_from(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
