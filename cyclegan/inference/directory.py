"""Translating one picture or a whole directory, names and subfolders kept; broken files are listed, not fatal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from cyclegan.images.files import UnreadableImage, find_images, read_image, write_image
from cyclegan.inference.translator import Translator


class Outcome(NamedTuple):
    """What became of the pictures of a directory."""

    translated: list[Path]
    skipped: list[Path]
    """Sources whose output was there already."""
    unreadable: list[str]
    """One line for each source that could not be read."""


def translate_directory(
    translator: Translator,
    source: Path,
    out: Path,
    *,
    size: int | None = None,
    resume: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Translate `source`, a picture or a directory with all its subfolders, into the directory `out`.

    Every output has its source's name and format, in the same subfolder, and the picture's own size or, with `size`,
    that many pixels on the shorter side. `resume` skips outputs that exist. `report` is told (done, total) after each.
    Raises FileNotFoundError when there is nothing to translate, ValueError when `out` lies among the sources.
    """
    base, files = (source, find_images(source)) if source.is_dir() else (source.parent, [source])
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such picture or directory")
    inside = out.resolve().is_relative_to(base.resolve())
    if out.resolve() == base.resolve() or (source.is_dir() and inside):
        raise ValueError(f"{out}: lies among the sources, which are never overwritten; choose another directory")
    outcome = Outcome([], [], [])
    for done, path in enumerate(files, start=1):
        target = out / path.relative_to(base)
        if resume and target.exists():
            outcome.skipped.append(path)
        else:
            try:
                image = read_image(path)
            except UnreadableImage as error:
                outcome.unreadable.append(str(error))
            else:
                write_image(translator.translate(_scaled(image, size) if size else image), target)
                outcome.translated.append(path)
        report(done, len(files))
    return outcome


def _scaled(image: Image.Image, shorter: int) -> Image.Image:
    """Scaled so that the shorter side has so many pixels; the aspect stays."""
    factor = shorter / min(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)
