"""Translating one picture or a whole directory, names and subfolders kept; broken files are listed, not fatal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cyclegan.images.ahead import ahead
from cyclegan.images.files import UnreadableImage, UnwritableImage, find_images, read_image, write_image
from cyclegan.inference.translator import Translator
from cyclegan.stop import Stopped, StopSignals
from cyclegan.untouched import untouched
from cyclegan.words import shown

THREADS = 2
"""Threads that read, and as many that write, while the network works."""

COMPILING_REPAYS = 200
"""Batches that repay compiling for their size."""

SOME = 16
"""Batches of one size to see before it is compiled for: among hundreds of sizes, one may come eight times by chance."""


class Outcome(NamedTuple):
    """What became of the pictures of a directory."""

    translated: list[Path]
    skipped: list[Path]
    """Sources whose output was there already."""
    unreadable: list[str]
    """One line for each source that could not be read, or whose translation its format cannot hold."""


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
    that many pixels on the shorter side. `resume` skips outputs that exist. `report` is told (done, total) after each,
    `note` a line when something takes long.
    Raises FileNotFoundError when there is nothing to translate, ValueError when `out` lies among the sources, and
    `Stopped` after a signal, once what was translated is written.
    """
    base, files = (source, find_images(source)) if source.is_dir() else (source.parent, [source])
    if not source.exists():
        raise FileNotFoundError(f"{shown(source)}: no such picture or directory")
    inside = source.is_dir() and _place(base) in map(_place, (out.resolve(), *out.resolve().parents))
    if inside or _overwrites(files, [out / path.relative_to(base) for path in files]):
        raise ValueError(f"{shown(out)}: lies among the sources, which are never overwritten; choose another directory")
    skipped = [path for path in files if resume and (out / path.relative_to(base)).exists()]
    outcome, there = Outcome([], skipped, []), set(skipped)
    report(len(skipped), len(files))
    # Reading, the network and writing overlap: each line pulls from the one above it.
    with StopSignals() as stop:
        read = ahead(partial(_read, size=size), (path for path in files if path not in there), THREADS)
        pictures = takewhile(lambda _: not stop.received, read)
        translated = _translated(translator, pictures, len(files) - len(skipped), note)
        for picture in ahead(partial(_write, base=base, out=out), translated, THREADS):
            if picture.problem:
                outcome.unreadable.append(picture.problem)
            else:
                outcome.translated.append(picture.path)
            report(sum(len(part) for part in outcome), len(files))
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


class _Picture(NamedTuple):
    """A picture on its way from file to file, or why it ends here."""

    path: Path
    pixels: Tensor
    """(3, H, W) in 0..255; empty when it could not be read."""
    problem: str = ""


def _read(path: Path, size: int | None) -> _Picture:
    try:
        image = read_image(path)
        pixels = np.array(_scaled(image, size, path) if size else image)
    except UnreadableImage as error:
        return _Picture(path, torch.empty(0), str(error))
    return _Picture(path, torch.from_numpy(pixels).permute(2, 0, 1))


def _translated(
    translator: Translator, pictures: Iterator[_Picture], number: int, note: Callable[[str], None]
) -> Iterator[_Picture]:
    """Neighbours of one size go through the network together; what could not be read passes by."""
    seen: Counter[torch.Size] = Counter()
    for shape, alike in groupby(pictures, key=lambda picture: picture.pixels.shape):
        if not shape.numel():
            yield from alike
            continue
        most = translator.batch(*shape[1:])
        while batch := list(islice(alike, most)):
            pixels = torch.stack([picture.pixels for picture in batch])
            seen[pixels.shape] += 1
            expected = number * seen[pixels.shape] / seen.total()  # pictures of this size, if the rest is like these
            if seen[pixels.shape] == SOME and expected >= COMPILING_REPAYS * most:
                translator.compile(pixels.shape, note)
            translated = translator.translate_bytes(pixels)
            yield from (picture._replace(pixels=new) for picture, new in zip(batch, translated, strict=True))


def _write(picture: _Picture, base: Path, out: Path) -> _Picture:
    if picture.problem:
        return picture
    image = Image.fromarray(picture.pixels.permute(1, 2, 0).contiguous().numpy())
    try:
        write_image(image, out / picture.path.relative_to(base))
    except UnwritableImage as error:
        return picture._replace(problem=str(error))
    return picture


def _scaled(image: Image.Image, shorter: int, path: Path) -> Image.Image:
    """Scaled so that the shorter side has so many pixels; the aspect stays.

    Raises UnreadableImage when that makes more pixels than a picture may have to be read: a long strip, widened.
    """
    factor = shorter / min(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise UnreadableImage(f"{shown(path)}: {width:,} x {height:,} pixels are over the limit; take a smaller --size")
    return image.resize((width, height), Image.Resampling.BICUBIC)
