"""Translating a picture or a directory of pictures, with names and subfolders kept; failures are listed, not fatal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cyclegan.data.files import find_images
from cyclegan.data.format import PictureFormat
from cyclegan.data.kinds import kind_of, told_unread
from cyclegan.data.listing import Listing
from cyclegan.inference.manifest import How, Manifest
from cyclegan.inference.options import Options
from cyclegan.inference.outputs import check_names, namer
from cyclegan.inference.pipeline import Pipeline
from cyclegan.inference.translator import Translator
from cyclegan.util.atomic import Unwritten
from cyclegan.util.locks import locked
from cyclegan.util.signals import Stopped, StopSignals
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

LOCK = ".cyclegan-translate.lock"
"""The hidden lock file that reserves an output directory for one process."""


class Outcome(NamedTuple):
    """The result of translating a directory."""

    translated: Listing
    """Sources that were translated."""
    skipped: Listing
    """Sources whose output was already finished."""
    failed: list[str]
    """One line for each source that could not be read, translated, or written in its format."""


class Unfinished(OSError):  # noqa: N818  # reads well where it is raised
    """Writing failed, for example on a full disk; `outcome` lists what was done before, all of it complete."""

    def __init__(self, outcome: Outcome, total: int, problem: OSError) -> None:
        super().__init__(problem.errno, problem.strerror)
        done = len(outcome.translated) + len(outcome.skipped)
        self.outcome, self.line = outcome, f"{problem}; {done:,} of {total:,} are translated; continue with --resume"

    def __str__(self) -> str:
        return self.line


@untouched()
def translate_directory(
    translator: Translator,
    source: Path,
    out: Path,
    *,
    options: Options | None = None,
    resume: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
    note: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Translate `source`, a picture or a directory with its subfolders, into the directory `out`.

    Each output keeps the name and subfolder of its source, and its format if that can store pictures of the target
    domain, else PNG or TIFF; `output` chooses another. It says what its source says and still holds: EXIF, resolution,
    places, transparency. It has the size of the source or, with `size`, that many pixels on its shorter side.

    `resume` skips outputs that the manifest in `out` lists as finished by the same generator with the same options, if
    neither the output nor its source has changed since. A picture that cannot be read or translated is listed in
    `Outcome.failed`; the others are translated. `report` is called with (done, total) after each picture, and `note`
    with a line for the user.

    Raises FileNotFoundError when there is nothing to translate.
    Raises ValueError when an output would overwrite a source or another output, when `out` lies within `source`, when
    `output` cannot store the translations, and when the generator's weights are not finite.
    Raises `Busy` when another process translates into `out`.
    Raises `Unfinished` when writing fails, for example on a full disk.
    Raises `Stopped` after a signal, once the pictures translated so far are written.
    """
    files = find_images(source) if source.is_dir() else Listing(source.parent, [source.name])
    base = files.folder
    if not source.exists():
        raise FileNotFoundError(f"{shown(source)}: no such picture or directory")
    if source.is_file() and (kind := kind_of(source)).standing == "unread":
        raise ValueError(f"{shown(source)}: {kind.name} is not read; {kind.advice}")
    options = options or Options()
    named = namer(base, translator.target, options.output)
    check_names(files, named)
    if unread := told_unread(files.others):
        note(f"{shown(base)}: {unread}")
    inside = source.is_dir() and _place(base) in map(_place, (out.resolve(), *out.resolve().parents))
    if inside or _overwrites(files, Listing(out, [*map(named, files.names)])):
        raise ValueError(f"{shown(out)}: lies among the sources, which are never overwritten; choose another directory")
    how = How(
        model=translator.engine.digest,
        size=None,
        precision=translator.engine.precision,
        written=str(options),
    )
    with _owned(out, note), Manifest(out, how) as manifest, StopSignals() as stop:
        skipped = _finished(manifest, files, named, note) if resume else files.only([])
        outcome, there = Outcome(files.only([]), skipped, []), {*skipped.names}
        report(len(skipped), len(files))
        pipeline = Pipeline(translator, manifest, base, named, options, note, stopped=lambda: bool(stop.received))
        todo = files.only([name for name in files.names if name not in there])
        for picture in pipeline.through(todo, len(todo)):
            if picture.problem:
                outcome.failed.append(picture.problem)
            else:
                outcome.translated.names.append(picture.path.relative_to(base).as_posix())
            report(sum(len(part) for part in outcome), len(files))
        if pipeline.clipped:
            note(_clipped_told(sorted(pipeline.clipped), translator.source))
        if pipeline.refused:
            raise Unfinished(outcome, len(files), pipeline.refused) from pipeline.refused
    done = sum(len(part) for part in outcome)
    if stop.received and done < len(files):
        told = f"stopped after {done:,} of {len(files):,} pictures; the translations so far are in {shown(out)}"
        raise Stopped(told, stop.received)
    return outcome


def _clipped_told(paths: Sequence[Path], of: PictureFormat) -> str:
    low, high = of.range
    have, more = ("picture has", "") if len(paths) == 1 else ("pictures have", ", ...")
    what = f"{len(paths):,} {have} values outside the {low:g} to {high:g} of the training, which were clipped"
    return f"{what}: {shown(paths[0])}{more}"


def _overwrites(sources: Listing, outputs: Listing) -> bool:
    """Return whether an output would overwrite a source, with links resolved."""
    place = cache(_place)
    written = {place(outputs.folder / parent) for parent in {name.rpartition("/")[0] for name in outputs.names}}
    files = (Path(os.path.realpath(path)) if path.is_symlink() else path for path in sources)
    near = {(place(path.parent), path.name) for path in files if place(path.parent) in written}
    if not near:
        return False
    return any((place(path.parent), path.name) in near for path in outputs)  # an output replaces a link itself


def _place(folder: Path) -> object:
    """Return an identity of a folder that does not depend on spelling: on macOS and Windows, PHOTOS is photos."""
    try:
        about = folder.stat()
    except OSError:  # it does not exist yet
        return os.path.realpath(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(folder)


@contextmanager
def _owned(out: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Create the directory if needed, and lock it for this process while open."""
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(locked(out / LOCK))
        except FileExistsError:
            raise FileExistsError(f"{shown(out)}: is a file; choose a directory for the translations") from None
        except OSError as error:
            raise Unwritten(out, error) from error
        if not held:
            note(f"{shown(out)}: cannot be locked on this file system; do not translate into it from another process")
        yield


def _finished(manifest: Manifest, files: Listing, named: Callable[[str], str], note: Callable[[str], None]) -> Listing:
    """Return the sources whose output is finished; notes how many existing outputs are made again, and why."""
    finished: list[str] = []
    again: Counter[str] = Counter()
    for name in files.names:
        with suppress(OSError):  # the output does not exist
            if doubt := manifest.doubt(Path(named(name)), files.folder / name):
                again[doubt] += 1
            else:
                finished.append(name)
    if again:
        why = ", ".join(f"{number:,} {doubt}" for doubt, number in again.most_common())
        note(f"{shown(manifest.out)}: translating {again.total():,} again, although an output exists: {why}")
    return files.only(finished)
