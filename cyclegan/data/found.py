"""Find the format of a domain's pictures from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cyclegan.data.colour import managed
from cyclegan.data.config import DomainConfig
from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import Depth, PictureFormat
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.util.evenly import evenly
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


class Seen(NamedTuple):
    """Facts about one file."""

    name: str
    channels: int
    depth: str
    """The type of its values: uint8, uint16, int16, int32, float32."""
    kind: str
    begins_with_rgb: bool
    profiled: bool
    """Whether it has a colour profile."""


class Measured(NamedTuple):
    """The values of some files."""

    low: float
    high: float
    some: npt.NDArray[np.float32]
    """About `VALUES` values of each file."""
    window: tuple[float, float] | None
    """What the files say should be shown as black and white, as DICOM does; None unless all say so."""

    def percentiles(self, which: tuple[float, float]) -> tuple[float, float]:
        """Return two percentiles of the values, or all of their range if the two are equal."""
        low, high = (float(f"{value:.6g}") for value in np.percentile(self.some, which))
        return (low, high) if high > low else (self.low, self.high)


def find_format(config: DomainConfig, source: Source, files: Sequence[Path]) -> PictureFormat:
    """Return the format that a config describes; what it leaves at `auto` is found from the files.

    Raises ValueError when the files do not have one number of channels, and when no file can be read.
    """
    if not {"auto", "percentiles"} & {value for value in vars(config).values() if isinstance(value, str)}:
        return config.format
    seen = [_seen(source.name(path), picture) for path, picture in _read(evenly(files, LOOKED_AT), SIDE)]
    if not seen:
        raise ValueError(f"{shown(source.folder)}: no picture in it can be read")
    channels = _channels(seen, source) if config.channels == "auto" else config.channels
    depth = _depth(seen) if config.depth == "auto" else config.depth
    bands = channels not in (1, 3) or any(each.kind == "bands" for each in seen)
    colour = config.colour
    if colour == "auto":
        plain = bands or depth in ("int16", "float32") or _only_grey(seen)
        colour = "stored" if plain else "srgb"
    rgb = all(each.begins_with_rgb for each in seen)
    view = shown_channels(channels, rgb) if config.view == "auto" else config.view
    found = PictureFormat(channels=channels, depth=depth, colour=colour, view=view)
    return _with_ranges(config, found, files)


def _read(files: Iterable[Path], at_least: int | None = None) -> Iterable[tuple[Path, FilePicture]]:
    for path in files:
        try:
            yield path, read_picture(path, at_least=at_least)
        except UnreadableImage:  # reported when training reads it
            continue


def _seen(name: str, picture: FilePicture) -> Seen:
    own = managed(picture, None)
    return Seen(
        name, own.values.shape[2], str(own.values.dtype), own.kind, own.begins_with_rgb, picture.profile is not None
    )


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


def shown_channels(channels: int, begins_with_rgb: bool) -> tuple[int, ...]:
    """Return the channels that are shown: of four bands or more 4, 3, 2, on satellites often red, green and blue."""
    if channels == 3 or (channels > 3 and begins_with_rgb):
        return (1, 2, 3)
    return (4, 3, 2) if channels > 3 else (1,)


def _with_ranges(config: DomainConfig, found: PictureFormat, files: Sequence[Path]) -> PictureFormat:
    """Return the format with the range of its values, and with the range that is shown."""
    whole, shown_range = config.range, config.view_range
    if whole == "auto" and (found.depth == "uint8" or (found.depth == "uint16" and found.space)):
        whole = (0.0, float(np.iinfo(found.depth).max))  # colours are relative to white, the largest value
        shown_range = whole if shown_range == "auto" else shown_range
    if isinstance(whole, str) or isinstance(shown_range, str):
        measured = _measure(evenly(files, MEASURED))
        if isinstance(whole, str):
            whole = measured.percentiles(OUTER) if whole == "percentiles" else (measured.low, measured.high)
        if isinstance(shown_range, str):
            shown_range = measured.window or measured.percentiles(INNER)
    return replace(found, range=whole, view_range=shown_range)


def _measure(files: Sequence[Path]) -> Measured:
    """Measure the values of some files. Raises ValueError when they have none."""
    ends, windows, some = (
        list[tuple[float, float]](),
        list[tuple[float, float] | None](),
        list[npt.NDArray[np.float32]](),
    )
    for _, picture in _read(files):
        values = picture.values if picture.missing is None else picture.values[~picture.missing]
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        if values.size:
            ends.append((float(values.min()), float(values.max())))
            windows.append(picture.window)
            some.append(values.ravel()[:: max(1, values.size // VALUES)].astype(np.float32))
    if not some:
        raise ValueError("no picture has a finite value")
    said = [window for window in windows if window]
    low, high = _hull(ends)
    return Measured(low, high, np.concatenate(some), _hull(said) if len(said) == len(windows) else None)


def _hull(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the range that holds all others, of a length above 0."""
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    return low, high if high > low else low + 1
