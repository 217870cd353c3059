"""cyclegan stylize."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from cyclegan.cli.codes import UNREADABLE
from cyclegan.cli.parsing import NUMBERS, WORDS
from cyclegan.painting.settings import Colour, Descent, Pooling, Settings
from cyclegan.types import Device, Precision
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown

if TYPE_CHECKING:
    from cyclegan.painting.extractor import Extractor
    from cyclegan.painting.studio import Outcome
    from cyclegan.painting.task import Task

PARTS = 10_000
"""Parts of a painting in which progress is counted, because one takes minutes."""

USUAL = Settings()
"""The defaults."""


@dataclass(frozen=True)
class Look:
    """What the painting looks like."""

    style_weight: float = USUAL.style_weight
    """Weight of the style against the content; larger is stronger."""
    content_weight: float = USUAL.content_weight
    """Weight of the content; 0 gives a texture."""
    tv_weight: float = USUAL.tv_weight
    """Weight of smoothness."""
    photo_weight: float = USUAL.photo_weight
    """Weight of a penalty that keeps edges straight, as in a photograph; try 10 to 1000."""
    style_weights: Annotated[
        tuple[float, ...], NUMBERS, arg(metavar="WEIGHT ...", help_behavior_hint="(default: equal)")
    ] = ()
    """The share of each STYLE."""
    style_scale: float = USUAL.style_scale
    """Size of strokes: of the style picture, relative to the painting."""
    colour: Colour = USUAL.colour
    """Colours: of the style; the content's own (luminance); or a style that gets the content's before."""
    masks: Annotated[tuple[Path, ...], arg(metavar="MASK ...", help_behavior_hint="(default: everywhere)")] = ()
    """For each STYLE, where in the painting it is wanted: a picture, a directory of them, or none."""
    style_masks: Annotated[tuple[Path, ...], arg(metavar="MASK ...", help_behavior_hint="(default: all of it)")] = ()
    """For each STYLE, which part of it counts: a picture, a directory of them, or none."""


@dataclass(frozen=True)
class Work:
    """How long and how it is painted."""

    size: Annotated[int | None, arg(help_behavior_hint="(default: that of the content)")] = None
    """Length of the shorter side of the painting, in pixels."""
    seconds: Annotated[float | None, arg(help_behavior_hint="(default: as long as it takes)")] = None
    """Time for each painting, which then has fewer iterations if need be."""
    iterations: int = USUAL.iterations
    """Steps at all sizes together; most are done at small sizes."""
    levels: Annotated[int | None, arg(help_behavior_hint="(default: from about 100 pixels on)")] = None
    """Largest number of sizes, each twice the one before; 1 paints at full size only."""
    init: Annotated[str, arg(metavar="{content,noise,FILE}")] = "content"
    """What to start from."""
    optimizer: Descent = USUAL.optimizer
    """L-BFGS, or Adam, which needs more iterations and less memory."""
    lr: float = USUAL.lr
    """Step size of Adam."""
    seed: int = USUAL.seed
    """Seed of the noise."""


@dataclass(frozen=True)
class Network:
    """The network that compares pictures."""

    network: str = USUAL.network
    """Classifier of torchvision (vgg19, vgg16, squeezenet1_1, resnet50, ...), or vgg19_normalised."""
    weights: Annotated[Path | None, arg(help_behavior_hint="(default: downloaded once)")] = None
    """File with its weights (.pth or .safetensors)."""
    pooling: Pooling = USUAL.pooling
    """How it halves the size."""
    normalise: FlagCreatePairsOff[bool] = False
    """Give all channels of a VGG the same mean activation."""
    content_layers: Annotated[
        tuple[str, ...], WORDS, arg(metavar="LAYER ...", help_behavior_hint="(default: usual ones)")
    ] = ()
    """Layers in which it shares features with the content."""
    style_layers: Annotated[
        tuple[str, ...], WORDS, arg(metavar="LAYER ...", help_behavior_hint="(default: usual ones)")
    ] = ()
    """Layers in which it shares statistics with the style."""
    shifts: Annotated[int | None, arg(help_behavior_hint="(default: 1 for VGG, else 8)")] = None
    """Offsets at which it sees the painting in turn, so that its strides leave no grid."""
    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""
    precision: Literal["auto"] | Precision = "auto"
    """Numeric precision; `auto` is tested first, and float32 if nothing else is correct and faster."""


@dataclass(frozen=True)
class Files:
    """How files are written."""

    output_format: Annotated[str | None, arg(metavar="SUFFIX", help_behavior_hint="(default: the content's)")] = None
    """Format of the paintings: png, tif, jpg, ...; by default the content's, if it can store them."""
    quality: Annotated[int | None, arg(help_behavior_hint="(default: 95, for AVIF and HEIC 90)")] = None
    """Quality of JPEG, WebP, AVIF and HEIC files, 1 to 100."""
    strip: FlagCreatePairsOff[bool] = False
    """Write no metadata of the content (EXIF, resolution); it is kept by default."""
    preview: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Picture file that shows the painting in the making; it is replaced every few seconds."""
    max_pixels: Annotated[int | None, arg(help_behavior_hint="(default: 89 million)")] = None
    """Read pictures of up to this many pixels."""
    resume: FlagCreatePairsOff[bool] = False
    """Continue an unfinished painting where it was, and skip those that are finished."""
    overwrite: FlagCreatePairsOff[bool] = False
    """Replace files that were not painted here."""
    dry_run: FlagCreatePairsOff[bool] = False
    """Print what would be done, and change nothing."""


@dataclass(frozen=True)
class Stylize:
    """Paint pictures in the style of others, without training."""

    pictures: Annotated[
        Positional[tuple[Path, ...]], arg(metavar="CONTENT STYLE ... OUT", help_behavior_hint="(required)")
    ]
    """CONTENT: picture, or directory with its subdirectories. STYLE: picture whose style is taken; several are mixed,
    a directory gives a painting in each of its styles. OUT: directory for the paintings, CONTENT_STYLE.png; or a file,
    for a single one."""
    look: OmitArgPrefixes[Look] = field(default_factory=Look)
    work: OmitArgPrefixes[Work] = field(default_factory=Work)
    network: OmitArgPrefixes[Network] = field(default_factory=Network)
    file: OmitArgPrefixes[Files] = field(default_factory=Files)

    @property
    def content(self) -> Path:
        """The first path."""
        return self.pictures[0]

    @property
    def style(self) -> tuple[Path, ...]:
        """The paths between the first and the last."""
        return self.pictures[1:-1]

    @property
    def out(self) -> Path:
        """The last path."""
        return self.pictures[-1]

    def run(self) -> int:
        """Paint, and print the pictures that failed at the end."""
        settings = self._settings()
        self._check(settings)

        from cyclegan.data.codecs.limits import at_most
        from cyclegan.machine.memory_limit import only_what_is_there
        from cyclegan.painting.stylize import load_extractor

        task = self._task(settings)
        extractor = load_extractor(settings, device=self.network.device, precision=self.network.precision)
        limited = only_what_is_there() if extractor.device.type == "cpu" else nullcontext()
        allowed = nullcontext() if self.file.max_pixels is None else at_most(self.file.max_pixels)
        with limited, allowed:
            return self._plan(extractor, task) if self.file.dry_run else self._paint(extractor, task)

    def _paint(self, extractor: Extractor, task: Task) -> int:
        """Paint all."""
        from cyclegan.painting.directory import Unfinished, stylize_directory

        try:
            with Progress("stylizing", "paintings", size=PARTS) as progress:

                def report(done: float, total: int, told: str) -> None:
                    progress.beside = {"painting": told} if told else {}
                    progress.report(int(done * PARTS), total * PARTS)

                outcome = stylize_directory(
                    extractor,
                    self.content,
                    self.style,
                    self.out,
                    task,
                    resume=self.file.resume,
                    overwrite=self.file.overwrite,
                    report=report,
                    note=progress.note,
                )
        except Unfinished as end:
            self._tell(end.outcome)
            raise
        self._tell(outcome)
        return UNREADABLE if outcome.failed else 0

    def _plan(self, extractor: Extractor, task: Task) -> int:
        """Print what would be done."""
        from cyclegan.painting.directory import dry_run

        problems = 0
        for planned in dry_run(extractor, self.content, self.style, self.out, task, resume=self.file.resume):
            print(planned.line)
            problems += bool(planned.problem)
        return UNREADABLE if problems else 0

    def _settings(self) -> Settings:
        """Return the settings. Raises ValueError for values that are not possible."""
        look, work, by = self.look, self.work, self.network
        return Settings(
            network=by.network,
            weights=by.weights,
            pooling=by.pooling,
            normalise=by.normalise,
            content_layers=by.content_layers,
            style_layers=by.style_layers,
            content_weight=look.content_weight,
            style_weight=look.style_weight,
            tv_weight=look.tv_weight,
            photo_weight=look.photo_weight,
            style_weights=look.style_weights,
            style_scale=look.style_scale,
            init="noise" if work.init == "noise" else "content" if work.init == "content" else Path(work.init),
            colour=look.colour,
            size=work.size,
            iterations=work.iterations,
            levels=work.levels,
            seconds=work.seconds,
            optimizer=work.optimizer,
            lr=work.lr,
            shifts=by.shifts,
            seed=work.seed,
        )

    def _check(self, settings: Settings) -> None:
        """Raise ValueError or FileNotFoundError for what can be told before torch is loaded."""
        if len(self.pictures) < 3:
            raise ValueError("stylize: give CONTENT, at least one STYLE, and OUT; see cyclegan stylize --help")
        if self.file.quality is not None and not 1 <= self.file.quality <= 100:
            raise ValueError(f"--quality: must be 1 to 100, not {self.file.quality}")
        if self.file.max_pixels is not None and self.file.max_pixels < 1:
            raise ValueError(f"--max_pixels: must be at least 1, not {self.file.max_pixels}")
        settings.weights_of(len(self.style))
        for option in ("masks", "style_masks"):
            if (number := len(getattr(self.look, option))) not in (0, len(self.style)):
                raise ValueError(f"--{option}: {len(self.style)} STYLE, but {number} masks; say none for one without")
        for path in (self.content, *self.style):
            if not path.exists():
                raise FileNotFoundError(f"{shown(path)}: no such picture or directory")
        if isinstance(settings.init, Path) and not settings.init.is_file():
            raise FileNotFoundError(f"--init: {shown(settings.init)}: no such picture; or say content or noise")

    def _task(self, settings: Settings) -> Task:
        from cyclegan.data.write import Output
        from cyclegan.painting.inputs import masks_in
        from cyclegan.painting.task import Task

        return Task(
            settings=settings,
            output=Output(format=self.file.output_format, quality=self.file.quality, strip=self.file.strip),
            masks=tuple(masks_in(self.look.masks)),
            style_masks=tuple(masks_in(self.look.style_masks)),
            preview=self.file.preview,
        )

    def _tell(self, outcome: Outcome) -> None:
        skipped = f", {len(outcome.skipped)} already done" if outcome.skipped else ""
        print(f"{len(outcome.painted)} painted to {shown(self.out)}{skipped}")
        for line in outcome.failed:
            print(line, file=sys.stderr)
