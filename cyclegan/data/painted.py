"""The built-in demo data set: photographs from scikit-image, and paintings of them, so that true pairs are known."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from cyclegan.data.write import write_image


def build_demo(root: Path, *, size: int = 128, seed: int = 0) -> Path:
    """Write photographs (A) and paintings (B) as a data set with known truth, and return its folder.

    `trainA` and `trainB` contain regions whose sides have at least `size` pixels; no place is in both. `testA` contains
    photographs of exactly `size` x `size` pixels, of places that are in neither; `truthB` and `testB` contain the
    painting of each under the same name. `seed` chooses which side of each photograph is A. A finished folder is
    reused.
    Raises FileExistsError when `root` contains anything else, ImportError when scikit-image is missing.
    """
    about = f"cyclegan demo of size {size} and seed {seed}: photographs from scikit-image, and paintings of them\n"
    note = root / "about.txt"
    if note.is_file() and note.read_text(encoding="utf-8") == about:
        return root
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(
            f"{root} holds other files than the demo of size {size}, seed {seed}; choose another folder"
        )

    part = root.with_name(f"{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    random = np.random.default_rng(seed)
    for name, photo in photographs(width=4 * size).items():
        painting = paint(photo)
        left, held_out, right = columns(size)
        a, b = (left, right) if random.random() < 0.5 else (right, left)
        _write(photo[:, a], part / "trainA" / f"{name}.png")
        _write(painting[:, b], part / "trainB" / f"{name}.png")
        for number, place in enumerate((0.1, 0.5, 0.9), start=1):
            top = round(place * (len(photo) - size))
            square = slice(top, top + size), held_out
            _write(photo[square], part / "testA" / f"{name}-{number}.png")
            _write(painting[square], part / "testB" / f"{name}-{number}.png")
            _write(painting[square], part / "truthB" / f"{name}-{number}.png")
    (part / "about.txt").write_text(about, encoding="utf-8")
    if root.exists():
        root.rmdir()
    return part.rename(root)


def photographs(width: int) -> dict[str, np.ndarray]:
    """Return the colour photographs in the scikit-image package by name, uint8 (H, `width`, 3); nothing is downloaded.

    Raises ImportError when scikit-image is missing.
    """
    try:
        data = import_module("skimage.data")
    except ImportError as error:
        raise ImportError('the demo needs scikit-image: pip install "cyclegan[demo]"') from error
    originals = {
        "astronaut": data.astronaut(),  # NASA, public domain
        "cat": data.chelsea(),  # Stefan van der Walt, CC0
        "coffee": data.coffee(),  # Rachel Michetti, CC0
        "motorcycle": data.stereo_motorcycle()[0],  # Scharstein et al. 2014, Middlebury stereo
        "rocket": data.rocket(),  # SpaceX, CC0
    }
    return {name: _resize(photo, width) for name, photo in originals.items()}


class Columns(NamedTuple):
    """The columns of a photograph: two sides for training, and between them the held-out part."""

    left: slice
    held_out: slice
    right: slice


def columns(size: int) -> Columns:
    """Divide a photograph that is 4 x `size` pixels wide; a gap separates each side from the held-out part."""
    start, stop, gap = size * 3 // 2, size * 5 // 2, size // 8
    return Columns(left=slice(0, start - gap), held_out=slice(start, stop), right=slice(stop + gap, 4 * size))


def paint(photo: np.ndarray) -> np.ndarray:
    """Turn a photograph into an oil painting, both uint8 RGB (H, W, 3); each pixel depends on nearby ones only."""
    image = photo.astype(np.float32) / 255
    for step in (_roughen, _brush, _mix_pigments, _lay_on):
        image = step(image)
    return (image * 255).round().astype(np.uint8)


def _roughen(image: np.ndarray, amount: float = 0.1, scale: float = 4.0) -> np.ndarray:
    """Amplify texture, faint texture most, so that smooth surfaces get brush strokes too."""
    surface = cv2.GaussianBlur(image, (0, 0), scale)
    texture = image - surface
    spread = np.sqrt(cv2.GaussianBlur((texture**2).mean(axis=2), (0, 0), scale))
    roughened: np.ndarray = surface + texture * (1 + amount / (spread + 0.05))[..., None]
    return roughened.clip(0, 1)


def _brush(image: np.ndarray, radius: float = 3.5, sectors: int = 8, sharpness: float = 12.0) -> np.ndarray:
    """Apply the anisotropic Kuwahara filter (Kyprianidis et al. 2009) with a few samples per sector.

    `radius` is in pixels. Each pixel becomes a mean over the sectors of an ellipse around it, in which sectors with
    little variance count most. The ellipse is long where edges are clear, else round.
    """
    angle, clearness = _flow(image)
    long, wide = radius * (1 + 0.8 * clearness), radius / (1 + 0.8 * clearness)
    long_x, long_y = long * np.cos(angle), long * np.sin(angle)
    wide_x, wide_y = wide * -np.sin(angle), wide * np.cos(angle)
    y, x = np.indices(angle.shape, dtype=np.float32)

    means, weights = [], []
    for sector in range(sectors):
        samples = []
        for distance, turn in [(0, 0), (0.25, 0), (0.5, -0.3), (0.5, 0.3), (0.75, -0.35), (0.75, 0.35), (1, 0)]:
            theta = 2 * np.pi * (sector + turn) / sectors
            u, v = np.float32(distance * np.cos(theta)), np.float32(distance * np.sin(theta))
            map_x, map_y = x + u * long_x + v * wide_x, y + u * long_y + v * wide_y
            samples.append(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
        unrest = np.sqrt(np.var(samples, axis=0).sum(axis=2, keepdims=True))
        means.append(np.mean(samples, axis=0))
        weights.append((unrest + 1 / 255) ** -sharpness)
    painted: np.ndarray = np.sum(np.multiply(weights, means), axis=0) / np.sum(weights, axis=0)
    return painted


def _flow(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the direction of edges (radians) and its clearness (0..1), from the smoothed structure tensor."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    dx, dy = cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)
    xx, yy, xy = cv2.split(cv2.GaussianBlur(cv2.merge([dx * dx, dy * dy, dx * dy]), (0, 0), 2.5))
    angle = (np.arctan2(2 * xy, xx - yy) + np.pi) / 2
    return angle, np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6)


def _mix_pigments(image: np.ndarray) -> np.ndarray:
    """Shift dark tones to umber and light tones to gold, and reduce the saturation a little."""
    lightness, a, b = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    tone = lightness / 100
    mixed = cv2.merge([14 + 78 * tone, 0.75 * a + 7 + 4 * tone, 0.7 * b + 10 + 40 * tone])
    pigments: np.ndarray = np.clip(cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB), 0, 1)
    return pigments


def _lay_on(image: np.ndarray, depth: float = 0.35) -> np.ndarray:
    """Imitate thick paint: light from the upper left brightens one edge of each stroke and darkens the other."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.8)
    slope = cv2.filter2D(grey, -1, np.array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]], np.float32))
    lit: np.ndarray = np.clip(image - depth * np.tanh(4 * slope)[..., None], 0, 1)
    return lit


def _resize(photo: np.ndarray, width: int) -> np.ndarray:
    height = round(photo.shape[0] * width / photo.shape[1])
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS))


def _write(pixels: np.ndarray, path: Path) -> None:
    write_image(Image.fromarray(pixels), path)
