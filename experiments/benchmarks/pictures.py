"""Measure how fast and how exactly pictures are read, converted and written.

    python experiments/benchmarks/pictures.py

Parts: a GeoTIFF of four bands by tifffile and, if it is installed, by rasterio; colours from Display P3 to sRGB against
the formula in float64; a JPEG of 12 megapixels, whole and reduced; values through an identity generator. Times are CPU
time, the lowest of several.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from torch import nn

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.codecs.samples import as_values
from cyclegan.data.colour import managed
from cyclegan.data.convert import convert, values_of
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.inference.translator import Translator

SIDE, BANDS, TILE = 2048, 4, 256
WIDE = np.array([[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786361, 1.0982736]])
"""Linear sRGB of linear Display P3."""

FORMATS = {
    "uint8 colour": PictureFormat(),
    "uint16, 0 to 4095": PictureFormat(channels=1, depth="uint16", range=(0, 4095), colour="stored", view=(1,)),
    "int16, -1024 to 3071": PictureFormat(channels=1, depth="int16", range=(-1024, 3071), colour="stored", view=(1,)),
    "uint16 colour": PictureFormat(depth="uint16", range=(0, 65535)),
    "float32, -0.5 to 1.5": PictureFormat(channels=2, depth="float32", range=(-0.5, 1.5), colour="stored", view=(1,)),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7, help="repetitions of which the lowest time counts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        for part in (tiff, imports, colours, jpeg, round_trips):
            for line in part(Path(made), args.times):
                print(line, flush=True)


def smooth(height: int, width: int, channels: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return a smooth random picture with a little noise, in [0, 1]."""
    random = np.random.default_rng(seed)
    coarse = random.random((height // 32, width // 32, channels)).astype(np.float32)
    bands = [
        Image.fromarray(band).resize((width, height), Image.Resampling.BICUBIC) for band in np.moveaxis(coarse, 2, 0)
    ]
    noisy = np.stack([np.asarray(band) for band in bands], axis=2) + random.normal(0, 0.002, (height, width, channels))
    clipped: npt.NDArray[np.float32] = noisy.clip(0, 1).astype(np.float32)
    return clipped


def milliseconds(call: Callable[[], object], times: int) -> float:
    """Return the lowest CPU time of several calls."""
    taken = []
    for _ in range(times):
        begin = spent()
        call()
        taken.append(spent() - begin)
    return min(taken) * 1000


def spent() -> float:
    """Return the CPU time of this process and of those that it started and that ended, in seconds."""
    return time.process_time() + sum(os.times()[2:4])


def tiff(folder: Path, times: int) -> Iterator[str]:
    """Write and read a tiled GeoTIFF, compressed by deflate."""
    values = (smooth(SIDE, SIDE, BANDS) * 10_000).astype(np.uint16)
    ours, theirs = folder / "tifffile.tif", folder / "rasterio.tif"
    tags = [(33550, 12, 3, (10.0, 10.0, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 4.6e6, 0.0), True)]
    options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "contig", "tile": (TILE, TILE)}
    options |= {"compression": "zlib", "predictor": True, "metadata": None, "extratags": tags, "maxworkers": 1}
    yield f"GeoTIFF, {SIDE} x {SIDE} x {BANDS} uint16, tiles of {TILE}, deflate, one thread"
    write = milliseconds(lambda: tifffile.imwrite(ours, values, **options), times)
    read = milliseconds(lambda: tifffile.imread(ours, maxworkers=1), times)
    yield f"  tifffile          write {write:6.0f} ms, read {read:5.0f} ms, {ours.stat().st_size / 1e6:5.1f} MB"
    whole = milliseconds(lambda: read_picture(ours), times)
    yield f"  read_picture                      read {whole:5.0f} ms, with what the file says"
    if importlib.util.find_spec("rasterio") is None:
        yield "  rasterio          not installed"
        return
    yield _by_rasterio(values, theirs, times)


def _by_rasterio(values: npt.NDArray[np.uint16], path: Path, times: int) -> str:
    rasterio = importlib.import_module("rasterio")
    place = rasterio.Affine(10, 0, 5e5, 0, -10, 4.6e6)
    about = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": BANDS, "dtype": "uint16", "transform": place}
    about |= {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate", "predictor": 2}
    bands = np.ascontiguousarray(np.moveaxis(values, 2, 0))

    def write() -> None:
        with rasterio.open(path, "w", interleave="pixel", **about) as file:
            file.write(bands)

    def read() -> Any:
        with rasterio.open(path) as file:
            return file.read()

    writing, reading = milliseconds(write, times), milliseconds(read, times)
    last = milliseconds(lambda: np.ascontiguousarray(np.moveaxis(read(), 0, 2)), times)
    told = f"write {writing:6.0f} ms, read {reading:5.0f} ms, {path.stat().st_size / 1e6:5.1f} MB"
    return f"  rasterio          {told}; {last:.0f} ms with the channels last"


def imports(folder: Path, times: int) -> Iterator[str]:
    """Time imports in processes of their own."""
    yield "python -c 'import ...', CPU time of the whole process"
    for names in ("numpy", "tifffile, imagecodecs", "rasterio", "pillow_heif", "pydicom"):
        if all(importlib.util.find_spec(name) for name in names.split(", ")):
            command = [sys.executable, "-c", f"import {names}"]
            taken = milliseconds(partial(subprocess.run, command, check=True), times)
            yield f"  {names:<24}{taken / 1000:5.2f} s"


def exact(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return colours in Display P3, in [0, 1], as sRGB by the formula."""
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ WIDE.T
    linear = linear.clip(0, 1)
    encoded: npt.NDArray[np.float64] = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return encoded


def colours(folder: Path, times: int) -> Iterator[str]:
    """Convert a picture from Display P3 to sRGB, and compare with the formula."""
    random = np.random.default_rng(0).random((512, 512, 3))
    yield "Display P3 to sRGB, 512 x 512 pixels of random colours; largest and mean error, of 255"
    p3, srgb = profile_of("display_p3"), profile_of("srgb")
    for kind, white in ((np.uint8, 255), (np.uint16, 65535)):
        values = as_values((random * white).round().astype(kind))
        picture = FilePicture(values=values, kind="rgb", profile=p3)
        taken = milliseconds(partial(managed, picture, "srgb"), times)
        error = _error(managed(picture, "srgb").values, values)
        yield f"  {np.dtype(kind).name:<7} as it is read            {error}, {taken:5.1f} ms"

    def usual() -> Any:
        return imagecodecs.cms_transform(values, p3, srgb, colorspace="rgb", outcolorspace="rgb", intent=1)

    yield f"  uint16  by LittleCMS's default    {_error(usual(), values)}, {milliseconds(usual, times):5.1f} ms"


def _error(found: npt.NDArray[Any], values: npt.NDArray[Any]) -> str:
    white = np.iinfo(values.dtype).max
    error = np.abs(found / white - exact(values / white)) * 255
    return f"{error.max():5.2f} {error.mean():5.2f}"


def jpeg(folder: Path, times: int) -> Iterator[str]:
    """Decode a large JPEG, whole and as large as needed."""
    Image.fromarray((smooth(3008, 4000, 3) * 255).astype(np.uint8)).save(path := folder / "x.jpg", quality=92)
    yield f"JPEG of 4000 x 3008 pixels, {path.stat().st_size / 1e6:.1f} MB"
    for at_least in (None, 576, 286):
        height, width, _ = read_picture(path, at_least=at_least).values.shape
        taken = milliseconds(partial(read_picture, path, at_least=at_least), times)
        yield f"  at_least={at_least!s:<5} {width} x {height}: {taken:6.0f} ms"


def round_trips(folder: Path, times: int) -> Iterator[str]:
    """Convert values to what a network sees and back."""
    yield "largest error of values through an identity generator, in units of the files"
    for name, of in FORMATS.items():
        low, high = of.range
        values = (smooth(64, 64, of.channels) * (high - low) + low).astype(of.depth)
        translator = Translator(nn.Identity(), of, of, device="cpu", precision="float32")
        pixels = convert(FilePicture(values=values, kind="rgb" if of.space else "bands"), of).pixels
        made = translator.translate_pixels(pixels[None])[0]
        error = np.abs(values_of(made.numpy(), of).astype(np.float64) - values).max()
        yield f"  {name:<22}{error:.2g}"


if __name__ == "__main__":
    main()
