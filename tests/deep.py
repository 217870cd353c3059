"""Pictures of more than 8 bits or three channels, and the formats that they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from cyclegan.data.format import PictureFormat

GEO = {33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0)}
"""Tags that place a picture on the Earth: metres a pixel, and where its first pixel is."""


def waves(seed: int, low: float, high: float, channels: int = 1, size: int = 40) -> np.ndarray:
    """A smooth random picture (H, W, C) with values from `low` to `high`, both included."""
    coarse = np.random.default_rng(seed).random((5, 5, channels)).astype(np.float32)
    fine = [np.asarray(Image.fromarray(band).resize((size, size))) for band in np.moveaxis(coarse, 2, 0)]
    field: np.ndarray = np.stack(fine, axis=2)
    spread: np.ndarray = low + (field - field.min()) / (field.max() - field.min()) * (high - low)
    return spread


def write_slices(folder: Path, number: int, high: int = 4095, seed: int = 0) -> None:
    """Grey slices of 12 bits, in PNG files of 16 bits."""
    folder.mkdir(parents=True)
    for i in range(number):
        values = waves(seed + i, 0, high).round().astype(np.uint16)
        Image.fromarray(values[..., 0]).save(folder / f"{i}.png")


def write_tiles(folder: Path, number: int, high: int = 9000, seed: int = 0) -> None:
    """Tiles of four bands, in GeoTIFF."""
    folder.mkdir(parents=True)
    tags = [(code, 12, len(numbers), numbers, True) for code, numbers in GEO.items()]
    for i in range(number):
        values = waves(seed + i, 200, high, channels=4).round().astype(np.uint16)
        tifffile.imwrite(folder / f"{i}.tif", values, photometric="minisblack", planarconfig="contig", extratags=tags)


def write_grey(folder: Path, number: int, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    for i in range(number):
        Image.fromarray(waves(seed + i, 0, 255)[..., 0].astype(np.uint8)).save(folder / f"{i}.png")


FORMATS = {
    "8 bits": PictureFormat(),
    "grey of 12 bits in 16": PictureFormat(channels=1, depth="uint16", range=(0, 4095), colour="stored", view=(1,)),
    "Hounsfield units": PictureFormat(channels=1, depth="int16", range=(-1024, 3071), colour="stored", view=(1,)),
    "seven bands": PictureFormat(channels=7, depth="uint16", range=(0, 10_000), colour="stored", view=(4, 3, 2)),
    "colour of 16 bits": PictureFormat(depth="uint16", range=(0, 65_535)),
    "floats": PictureFormat(channels=2, depth="float32", range=(-0.5, 1.5), colour="stored", view=(1,)),
}
