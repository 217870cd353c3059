"""Find the format of a domain's pictures from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from cyclegan.data.colour import managed
from cyclegan.data.config import DomainConfig
from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import Depth, PictureFormat
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.util.text import shown

if TYPE_CHECKING:
    from cyclegan.data.sources import Source

LOOKED_AT, MEASURED = 32, 500
"""Number of files whose kind is looked at, and whose values are measured unless all have 8 bits; evenly spaced."""

SIDE = 256
"""Shorter side, in pixels, from which large JPEGs may be reduced when only their kind matters."""

VALUES = 20_000
"""Number of values of a file that percentiles are computed from."""

OUTER, INNER = (0.1, 99.9), (2.0, 98.0)
"""The percentiles for `range: percentiles`, and for what is shown."""

T = TypeVar("T")


class Seen(NamedTuple):
    """Facts about one file."""

    name: str
    channels: int
    depth: str
    """The type of its values: uint8, uint16, int16, int32, float32."""
    kind: str
    profiled: bool
    """Whether it has a colour profile."""


class Measured(NamedTuple):
    """The values of some files."""

    low: float
    high: float
    some: npt.NDArray[np.float32]
    """Up to `VALUES` values of each file."""
    windows: list[tuple[float, float]]
    """What the files themselves say should be shown."""


def find_format(config: DomainConfig, source: Source, files: Sequence[Path]) -> PictureFormat:
    """Return the format that a config describes; what it leaves at `auto` is found from the files.

    Raises ValueError when the files do not have one number of channels, and when no file can be read.
    """
    auto = [config.channels, config.depth, config.range, config.colour, config.view, config.view_range]
    if "auto" not in auto and "percentiles" not in auto:
        return config.format
    seen = [_seen(source.name(path), picture) for path, picture in _read(evenly(files, LOOKED_AT), SIDE)]
    if not seen:
        raise ValueError(f"{shown(source.folder)}: no picture in it can be read")
    channels = _channels(seen, source) if config.channels == "auto" else config.channels
    depth = _depth(seen) if config.depth == "auto" else config.depth
    bands = any(each.kind == "bands" for each in seen) or channels not in (1, 3)
    colour = config.colour
    if colour == "auto":
        colour = "stored" if bands or depth in ("int16", "float32") or _only_grey(seen) else "srgb"
    found = PictureFormat(channels=channels, depth=depth, colour=colour)
    if config.range in ("auto", "percentiles") or config.view_range == "auto":
        found = _with_ranges(config, found, files)
    else:
        found = replace(found, range=config.range, view_range=config.view_range)
    view = _view(channels, bands) if config.view == "auto" else config.view
    return replace(found, view=view)


def evenly(items: Sequence[T], number: int) -> list[T]:
    """Return at most `number` items, evenly spaced from the first to the last."""
    if len(items) <= number:
        return list(items)
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]


def _read(files: Iterable[Path], at_least: int | None = None) -> Iterable[tuple[Path, FilePicture]]:
    for path in files:
        try:
            yield path, read_picture(path, at_least=at_least)
        except UnreadableImage:  # reported when training reads it
            continue


def _seen(name: str, picture: FilePicture) -> Seen:
    own = managed(picture, None)
    return Seen(name, own.values.shape[2], str(own.values.dtype), own.kind, picture.profile is not None)


def _channels(seen: Sequence[Seen], source: Source) -> int:
    counts = Counter(each.channels for each in seen)
    if counts.keys() <= {1, 3}:
        return max(counts)
    (usual, _), *others = counts.most_common()
    if others:
        odd = next(each for each in seen if each.channels != usual)
        rest = f"{shown(Path(odd.name))} has {odd.channels}, most have {usual}; move it, or set the number of channels"
        raise ValueError(f"{shown(source.folder)}: its pictures differ in channels: {rest}")
    return usual


def _depth(seen: Sequence[Seen]) -> Depth:
    """Return the type that holds the values of most files."""
    (usual, _), *_ = Counter(each.depth for each in seen).most_common()
    depths: dict[str, Depth] = {"uint8": "uint8", "uint16": "uint16", "int16": "int16"}
    return depths.get(usual, "float32")


def _only_grey(seen: Sequence[Seen]) -> bool:
    return all(each.channels == 1 and not each.profiled for each in seen)


def _view(channels: int, bands: bool) -> tuple[int, ...]:
    """Return the channels that are shown: for four bands or more 4, 3, 2, which are red, green and blue on satellites."""
    if channels == 3 or (channels > 3 and not bands):
        return (1, 2, 3)
    return (4, 3, 2) if channels > 3 else (1,)


def _with_ranges(config: DomainConfig, found: PictureFormat, files: Sequence[Path]) -> PictureFormat:
    """Return the format with the range of its values, and with the range that is shown."""
    full = (0.0, 255.0) if found.depth == "uint8" else (0.0, 65535.0)
    if found.depth == "uint8" and config.range == "auto":
        values = shown_values = full
    elif found.depth == "uint16" and found.colour != "stored" and config.range == "auto":
        values = shown_values = full  # colours are relative to white
    else:
        measured = _measure(evenly(files, MEASURED), found.depth, whole=config.range == "auto")
        values = _percentiles(measured, OUTER) if config.range == "percentiles" else (measured.low, measured.high)
        shown_values = _percentiles(measured, INNER)
        if measured.windows:
            shown_values = min(low for low, _ in measured.windows), max(high for _, high in measured.windows)
    if config.range not in ("auto", "percentiles"):
        values = config.range
    if config.view_range != "auto":
        shown_values = config.view_range
    return replace(found, range=values, view_range=shown_values)


def _measure(files: Sequence[Path], depth: Depth, *, whole: bool) -> Measured:
    low, high, some, windows = np.inf, -np.inf, [], []
    for _, picture in _read(files):
        values = picture.values[np.isfinite(picture.values)] if picture.values.dtype.kind == "f" else picture.values
        if picture.missing is not None:
            values = picture.values[~picture.missing]
        values = values.ravel()
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            some.append(values[:: max(1, values.size // VALUES)].astype(np.float32))
    if not some:
        raise ValueError("no picture has a finite value")
    return Measured(low, high if high > low else low + 1, np.concatenate(some), windows)


def _percentiles(measured: Measured, which: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(measured.some, which))
    return (low, high) if high > low else (measured.low, measured.high)
