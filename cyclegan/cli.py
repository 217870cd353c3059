"""The command line: words to functions. The only place that prints and exits."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from tyro.conf import Positional

import cyclegan
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import Recipe, check_transforms, read_recipe, recipe_from
from cyclegan.types import Device, Direction, Precision
from cyclegan.words import one_line, shown

MISTAKE = 2
UNREADABLE = 3
UNSAVED = 4
DIVERGED = 5


@dataclass(frozen=True)
class Train:
    """Train by a recipe. Any of its numbers can be changed on the line: --training.batch 4."""

    recipe: Positional[Path | None] = None
    """YAML file; experiments/ holds some. Without it, the reference CycleGAN."""
    out: Path | None = None
    """Run folder to write; by default runs/ and the recipe's name."""
    resume: bool = False
    """Continue the run in that folder, or start it if there is none."""
    settings: Annotated[Recipe, tyro.conf.arg(name="")] = Recipe()  # noqa: RUF009  # it is frozen
    """What the recipe says, and what the line says otherwise."""

    def run(self) -> int:
        """Train until the recipe's end."""
        recipe = recipe_from(self.settings.to_dict(), "command line")
        check_transforms(recipe, str(self.recipe or "command line"))
        out = self.out or Path("runs") / (self.recipe.stem if self.recipe else "cyclegan")
        # What torchrun sets: which of its processes this is, and how often it has started them again.
        first = os.environ.get("RANK", "0") == "0"
        restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"

        from cyclegan.training.finite import Diverged
        from cyclegan.training.keeper import Unsaved
        from cyclegan.training.stop import Stopped
        from cyclegan.training.trainer import train

        try:
            checkpoint = train(recipe, out, resume=self.resume or restarted)
        except Stopped as stopped:
            words = shlex.join([*(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
            start = "cyclegan" if "WORLD_SIZE" not in os.environ else "torchrun ... -m cyclegan"
            if first:
                print(f"{stopped}; continue with: {start} {words}", file=sys.stderr)
            return 128 + stopped.signal
        except (Unsaved, Diverged) as end:
            print(f"cyclegan: {end}", file=sys.stderr)
            return UNSAVED if isinstance(end, Unsaved) else DIVERGED
        if first:
            print(f"{shown(checkpoint)}\ntranslate with: cyclegan translate {shlex.quote(shown(out))} PICTURES OUT")
        return 0


@dataclass(frozen=True)
class Translate:
    """Translate a picture, or a directory with all its subfolders."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint, exported generator (.safetensors) or reference generator (.pth)."""
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
    precision: Precision = "auto"
    """auto is bf16 where the device has it in hardware, else float32."""

    def run(self) -> int:
        """Translate, and list at the end what could not be read."""
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.inference.directory import translate_directory
        from cyclegan.inference.translator import Translator

        translator = Translator.load(self.checkpoint, self.direction, device=self.device, precision=self.precision)
        with _bar("translating") as bar:
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


@dataclass(frozen=True)
class Evaluate:
    """Score a run's translations against real pictures, or any folder against another."""

    checkpoint: Positional[Path | None] = None
    """Run folder or checkpoint, scored in both directions; or one exported generator."""
    data: Path | None = None
    """Data set whose pictures to translate; by default the one that the run learned from."""
    split: str = "test"
    """Which of its pictures: testA and testB."""
    fake: Path | None = None
    """Instead of a run: a folder of translations, whoever made them, ..."""
    real: Path | None = None
    """... and one of real pictures to compare them with."""
    size: int | None = None
    """Fit every picture to a square of so many pixels; needed where they differ in size."""
    out: Path | None = None
    """File for figures and protocol; by default metrics.json, in the run folder if there is one."""
    features: FeaturesConfig = FeaturesConfig()  # noqa: RUF009  # it is frozen
    """By whose eyes."""
    device: Device = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""

    def run(self) -> int:
        """Score, print a table, write the figures."""
        if (self.checkpoint is None) == (self.fake is None) or (self.fake is None) != (self.real is None):
            raise ValueError("evaluate: give a run, or --fake and --real")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.evaluation import as_data, as_table, score_folders, score_translators, write_metrics

        features = self.features.build()
        if self.checkpoint is None:
            assert self.fake and self.real
            scores = score_folders(self.fake, self.real, features, size=self.size, device=self.device)
            about = {"fake": shown(self.fake), "real": shown(self.real)}
        else:
            from cyclegan.inference.translator import load_translators

            translators, learned_from = load_translators(self.checkpoint, device=self.device)
            if (data := self.data or learned_from) is None:
                raise ValueError(f"{shown(self.checkpoint)}: does not say what it learned from; give --data")
            with _bar("translating") as bar:
                scores = score_translators(
                    translators, data, features, split=self.split, size=self.size, report=bar.report
                )
            about = {"checkpoint": shown(self.checkpoint), "data": shown(data), "split": self.split}
        folder = self.checkpoint if self.checkpoint and self.checkpoint.is_dir() else Path()
        out = self.out or folder / "metrics.json"
        write_metrics(as_data(scores, features, size=self.size, about=about), out)
        print(f"{as_table(scores, features)}\nfigures and protocol: {shown(out)}")
        return 0


@dataclass(frozen=True)
class Export:
    """Write one generator as a .safetensors file that needs nothing else."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint or reference generator (.pth)."""
    out: Positional[Path]
    """File to write, NAME.safetensors."""
    direction: Direction | None = None
    """Which way; by default AtoB, or the only one that the file knows."""

    def run(self) -> int:
        """Write the file."""
        if self.out.suffix != ".safetensors":
            raise ValueError(f"{self.out}: the name must end in .safetensors")

        from cyclegan.inference.export import write_generator
        from cyclegan.inference.translator import load_generator

        network, direction = load_generator(self.checkpoint, self.direction)
        write_generator(network, direction, self.out)
        print(f"{self.out}: translates {direction}")
        return 0


@dataclass(frozen=True)
class Show:
    """Print what a run or a file of weights holds: recipe, images seen, parameters."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint or generator."""

    def run(self) -> int:
        """Print it."""
        from cyclegan.inference.show import describe

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
        from cyclegan.images.fetch import fetch

        with _bar(self.name, of_bytes=True) as bar:
            fetched = fetch(self.name, self.root, report=bar.report)
        print(f"{fetched.folder}: ready (SHA-256 {fetched.sha256}); train with --data.root {fetched.folder}")
        return 0


@dataclass(frozen=True)
class Demo:
    """Learn to paint from the built-in photographs, then show it: a few minutes on any machine."""

    out: Path = Path("runs/demo")
    """Folder for everything that the demo makes."""

    def run(self) -> int:
        """Train, translate the held-out photographs, and say where to look."""
        from cyclegan.demo import run_demo

        print(run_demo(self.out))
        return 0


COMMANDS: dict[str, type[Train | Translate | Evaluate | Export | Show | Fetch | Demo]] = {
    "train": Train,
    "translate": Translate,
    "evaluate": Evaluate,
    "export": Export,
    "show": Show,
    "fetch": Fetch,
    "demo": Demo,
}


class _Bar(NamedTuple):
    """A progress bar on a terminal; nothing but the notes elsewhere."""

    report: Callable[[int, int | None], None]
    """Told what is done so far, and all there will be."""
    note: Callable[[str], None]


@contextlib.contextmanager
def _bar(doing: str, *, of_bytes: bool = False) -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    console = Console(stderr=True, highlight=False)
    columns = [*Progress.get_default_columns(), *([DownloadColumn(), TransferSpeedColumn()] if of_bytes else [])]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(doing, total=None)
        yield _Bar(
            report=lambda done, total: progress.update(bar, completed=done, total=total),
            note=lambda line: progress.console.print(line, markup=False, emoji=False, soft_wrap=True),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit.

    0 done, 2 a mistake (told in one line), 3 some pictures unreadable, 4 the end of a training could not be saved,
    5 it diverged, 128 + n ended by signal n.
    """
    sys.exit(_main(list(sys.argv[1:] if arguments is None else arguments)))


def _main(arguments: list[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(f"cyclegan {cyclegan.__version__}")
        return 0
    try:
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"; did you mean {near[0]}? See" if near else "; see"
            raise ValueError(f"no command '{name}'{hint} cyclegan --help")
        return parse(name, rest).run()
    except BrokenPipeError:  # whoever read our output has enough, `cyclegan show RUN | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # so that nothing is flushed into the closed pipe
        return 0
    except (ValueError, OSError, ImportError, MemoryError) as error:
        print(f"cyclegan: {one_line(str(error), 2000)}", file=sys.stderr)
        return MISTAKE


def _overview() -> str:
    lines = [f"  {name:<11}{command.__doc__}" for name, command in COMMANDS.items()]
    title = f"cyclegan {cyclegan.__version__}: {cyclegan.__doc__}"
    return "\n".join([title, "", *lines, "", "cyclegan COMMAND --help tells more."])


def parse(name: str, arguments: list[str]) -> Train | Translate | Evaluate | Export | Show | Fetch | Demo:
    """The command with its arguments, or ValueError in one line; `--help` prints and exits."""
    if name != "train":
        command: Translate | Evaluate | Export | Show | Fetch | Demo = _parse(name, arguments, tyro.MISSING_NONPROP)
        return command
    # The recipe decides which options there are, and only they tell a recipe from an option's value: guess, then look.
    path = next((Path(word) for word in arguments if word.endswith((".yaml", ".yml")) and Path(word).is_file()), None)
    parsed = _parse_train(arguments, path)
    return parsed if parsed.recipe == path else _parse_train(arguments, parsed.recipe)


def _parse_train(arguments: list[str], recipe: Path | None) -> Train:
    """The command, its settings those of the recipe where the line says nothing else."""
    default = Train(settings=read_recipe(recipe) if recipe else Recipe())
    parsed: Train = _parse("train", arguments, default)
    return parsed


def _parse(name: str, arguments: list[str], default: Any) -> Any:
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(
                COMMANDS[name],
                prog=f"cyclegan {name}",
                args=arguments,
                default=default,
                use_underscores=True,
                config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff),
            )
    except SystemExit as done:
        if not done.code:
            raise
        raise ValueError(_one_line(told.getvalue(), name)) from None


def _one_line(told: str, name: str) -> str:
    """What tyro says under a title, in several parts: the first part and, if there is a near spelling, that."""
    lines = [line.strip("│| ") for line in told.splitlines()[1:]]
    text = " ".join("\n" if re.search("[─-]{3,}", line) else line for line in lines)  # rules between the parts
    what, *more = (words for part in text.split("\n") if (words := " ".join(part.split())))
    what = what.split(". Got errors:")[0]  # one for each type of a union
    near = [word for part in more if part.startswith("Perhaps") for word in part.split() if word.startswith("--")]
    return f"{name}: {what}{f'; did you mean {near[0]}?' if near else ''} (see cyclegan {name} --help)"
