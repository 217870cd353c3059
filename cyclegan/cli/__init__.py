"""The command line. The only place that prints and exits."""

from __future__ import annotations

import difflib
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import cyclegan
from cyclegan.cli import migration
from cyclegan.cli.check import Check, Init
from cyclegan.cli.codes import code_of
from cyclegan.cli.evaluate import Evaluate, parse_evaluate
from cyclegan.cli.explain import Explain
from cyclegan.cli.export import Export
from cyclegan.cli.others import Demo, Fetch, Import, Show
from cyclegan.cli.parsing import parse_words
from cyclegan.cli.report import Compare, Report
from cyclegan.cli.stylize import Stylize
from cyclegan.cli.train import Train, parse_train
from cyclegan.cli.translate import Translate
from cyclegan.util.signals import Stopped
from cyclegan.util.streams import lasting_streams
from cyclegan.util.text import as_typed, one_line, shown

Command: TypeAlias = (
    Check
    | Init
    | Train
    | Translate
    | Stylize
    | Evaluate
    | Report
    | Compare
    | Explain
    | Export
    | Import
    | Show
    | Fetch
    | Demo
)

COMMANDS: dict[str, type[Command]] = {
    "check": Check,
    "init": Init,
    "train": Train,
    "translate": Translate,
    "stylize": Stylize,
    "evaluate": Evaluate,
    "report": Report,
    "compare": Compare,
    "explain": Explain,
    "export": Export,
    "import": Import,
    "show": Show,
    "fetch": Fetch,
    "demo": Demo,
}


OF_TORCH = {
    "albumentations", "cv2", "huggingface_hub", "imagehash", "jinja2", "kornia", "safetensors", "scipy", "tensorboard",
    "torch", "torch_fidelity", "torchvision",
}  # fmt: skip
"""The libraries that the extra `torch` installs."""

WITHOUT_TORCH = "needs torch, which is not installed; run: pip install 'cyclegan[torch]'"

RESUMABLE = ("train", "translate", "stylize")
"""The commands that have `--resume`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with one of `codes`."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # By default, a waiting thread of GNU's OpenMP (part of torch's builds for Linux) spins 300,000 times before it
        # gives up its core. If other programs need the cores, a step then takes many times as long (measured in
        # experiments/README.md). The variable is read when torch is imported.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # do not fail on a character that the terminal cannot show
            with suppress(OSError):  # it was redirected since Python started
                stream.reconfigure(errors="backslashreplace")
    with lasting_streams():
        code = _main(list(sys.argv[1:] if arguments is None else arguments))
    sys.exit(code)


def _main(arguments: list[str]) -> int:
    try:
        code = _run(arguments)
        print(end="", flush=True)  # report a full disk here, not from Python's shutdown
        return code
    except Stopped as stopped:
        if os.environ.get("RANK", "0") == "0":  # only the first of torchrun's processes prints
            print(f"{stopped}{_continue(arguments)}", file=sys.stderr)
        return 128 + stopped.signal
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (ValueError, OSError, ImportError) as error:
        line = _told(error) if getattr(error, "name", None) not in OF_TORCH else f"{arguments[0]} {WITHOUT_TORCH}"
        print(f"cyclegan: {one_line(line, 2000)}", file=sys.stderr)
        return code_of(error)
    except (MemoryError, RuntimeError) as error:
        from cyclegan.machine.memory import is_out_of_memory, told  # not at the top: importing torch takes seconds

        if not is_out_of_memory(error):
            raise
        print(f"cyclegan: {one_line(told(error), 2000)}", file=sys.stderr)
        return code_of(error)


def _run(arguments: list[str]) -> int:
    name, *rest = arguments or ["help"]
    if name in ("-h", "--help", "help"):
        if rest[:1] and rest[0] in COMMANDS:
            return _run([*rest, "--help"])
        print(_overview())
        return 0
    if name in ("-V", "--version", "version"):
        print(f"cyclegan {cyclegan.__version__}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]}? See" if near else "; see"
        theirs = migration.answer(name, rest)
        raise ValueError(f"no command '{name}'" + (f"; {theirs}" if theirs else f"{hint} cyclegan --help"))
    return parse(name, rest).run()


def _told(error: Exception) -> str:
    """Return the message of an error; for one of the system, the file and the reason."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{shown(Path(os.fsdecode(error.filename)))}: {error.strerror}"
    return str(error)


def parse(name: str, arguments: list[str]) -> Command:
    """Return the command with its arguments. `--help` prints and exits. Raises ValueError in one line."""
    try:
        if name == "train":
            return parse_train(arguments)
        if name == "evaluate":
            return parse_evaluate(arguments)
        command: Command = parse_words(COMMANDS[name], name, arguments)
    except ValueError:
        if line := migration.answer(name, arguments):
            raise ValueError(f"{name}: {line}") from None
        raise
    return command


def _continue(arguments: list[str]) -> str:
    """Return how to continue a command that was stopped, if it can be continued."""
    if arguments[0] not in RESUMABLE:
        return ""
    words = as_typed(*(word for word in arguments if word != "--resume"), "--resume")
    return f"; continue with: {'torchrun ... -m ' if 'WORLD_SIZE' in os.environ else ''}cyclegan {words}"


def _overview() -> str:
    lines = [f"  {name:<11}{command.__doc__}" for name, command in COMMANDS.items()]
    title = f"cyclegan {cyclegan.__version__}: unpaired image-to-image translation"
    usage = "usage: cyclegan COMMAND ...; cyclegan COMMAND --help lists its options"
    return "\n".join([title, "", usage, "", *lines])
