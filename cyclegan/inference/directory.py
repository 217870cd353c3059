"""Translating one picture or a whole directory, names and subfolders kept; what fails is listed, not fatal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cyclegan.data.files import find_images
from cyclegan.inference.manifest import How, Manifest
from cyclegan.inference.pipeline import Pipeline
from cyclegan.inference.translator import Translator
from cyclegan.inference.weights import digest
from cyclegan.util.atomic import Unwritten
from cyclegan.util.locks import locked
from cyclegan.util.signals import Stopped, StopSignals
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

LOCK = ".cyclegan-translate.lock"
"""The hidden file by which a directory belongs to one process."""


class Outcome(NamedTuple):
    """What became of the pictures of a directory."""

    translated: list[Path]
    skipped: list[Path]
    """Sources whose output was finished already."""
    failed: list[str]
    """One line for each source that could not be read or translated, or whose translation its format cannot hold."""


class Unfinished(OSError):  # noqa: N818  # reads well where it is raised
    """The system let no more be written; `outcome` is what was done until then, all of it whole."""

    def __init__(self, outcome: Outcome, total: int, problem: OSError) -> None:
        super().__init__(problem.errno, problem.strerror)
        done = len(outcome.translated) + len(outcome.skipped)
        self.outcome, self.line = outcome, f"{problem}; {done:,} of {total:,} are translated, go on with --resume"

    def __str__(self) -> str:
        return self.line


@untouched()
def translate_directory(
    translator: Translator,
    source: Path,
    out: Path,
    *,
    size: int | None = None,
    resume: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
    note: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Translate `source`, a picture or a directory with all its subfolders, into the directory `out`.

    Every output has its source's name and format, in the same subfolder, and the picture's own size or, with `size`,
    that many pixels on the shorter side. `resume` skips outputs that this very translator finished with these options,
    as the directory's manifest says, if neither they nor their sources changed. `report` is told (done, total) after
    each, `note` a line when something takes long, or is made again.
    Raises FileNotFoundError when there is nothing to translate, ValueError when `out` lies among the sources, Busy when
    another process translates into it, Unfinished when the system lets no more be written, and `Stopped` after a
    signal, once what was translated is written.
    """
    base, files = (source, find_images(source)) if source.is_dir() else (source.parent, [source])
    if not source.exists():
        raise FileNotFoundError(f"{shown(source)}: no such picture or directory")
    inside = source.is_dir() and _place(base) in map(_place, (out.resolve(), *out.resolve().parents))
    if inside or _overwrites(files, [out / path.relative_to(base) for path in files]):
        raise ValueError(f"{shown(out)}: lies among the sources, which are never overwritten; choose another directory")
    how = How(model=digest(translator.network), size=size, precision=translator.precision)
    with _owned(out, note), Manifest(out, how) as manifest, StopSignals() as stop:
        skipped = _finished(manifest, base, files, note) if resume else []
        outcome, there = Outcome([], skipped, []), set(skipped)
        report(len(skipped), len(files))
        pipeline = Pipeline(translator, manifest, base, size, note, stopped=lambda: bool(stop.received))
        for picture in pipeline.through([path for path in files if path not in there]):
            if picture.problem:
                outcome.failed.append(picture.problem)
            else:
                outcome.translated.append(picture.path)
            report(sum(len(part) for part in outcome), len(files))
        if pipeline.refused:
            raise Unfinished(outcome, len(files), pipeline.refused) from pipeline.refused
    done = sum(len(part) for part in outcome)
    if stop.received and done < len(files):
        told = f"stopped after {done:,} of {len(files):,} pictures; the translations so far are in {shown(out)}"
        raise Stopped(told, stop.received)
    return outcome


def _overwrites(sources: list[Path], outputs: list[Path]) -> bool:
    """Whether an output would take a source's place, perhaps by way of links."""
    place = cache(_place)
    files = (Path(os.path.realpath(path)) if path.is_symlink() else path for path in sources)
    places = {(place(path.parent), path.name) for path in files}
    return any((place(path.parent), path.name) in places for path in outputs)  # an output replaces a link itself


def _place(folder: Path) -> object:
    """What tells a folder from all others, however its name is spelt: to macOS and Windows PHOTOS is photos."""
    try:
        about = folder.stat()
    except OSError:  # it is not there yet
        return os.path.realpath(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(folder)


@contextmanager
def _owned(out: Path, note: Callable[[str], None]) -> Iterator[None]:
    """The directory, made if need be, is this process's alone meanwhile."""
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(locked(out / LOCK))
        except FileExistsError:
            raise FileExistsError(f"{shown(out)}: is a file; give a directory for the translations") from None
        except OSError as error:
            raise Unwritten(out, error) from error
        if not held:
            note(f"{shown(out)}: its disk has no locks; let no other process translate into it meanwhile")
        yield


def _finished(manifest: Manifest, base: Path, files: Iterable[Path], note: Callable[[str], None]) -> list[Path]:
    """The sources whose output need not be made again; notes how many are, and why."""
    finished: list[Path] = []
    again: Counter[str] = Counter()
    for path in files:
        with suppress(OSError):  # it is not there
            if doubt := manifest.doubt(path.relative_to(base), path):
                again[doubt] += 1
            else:
                finished.append(path)
    if again:
        why = ", ".join(f"{number:,} {doubt}" for doubt, number in again.most_common())
        note(f"{shown(manifest.out)}: making {again.total():,} that are there again: {why}")
    return finished
