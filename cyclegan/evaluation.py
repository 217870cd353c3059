"""How good a translation is: scored against real pictures, by a protocol that is written beside the figures."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor

import cyclegan
from cyclegan.atomic import write_whole
from cyclegan.images.files import UnreadableImage, find_images, from_bytes, read_image, to_bytes, to_tensor
from cyclegan.inference.translator import Translator
from cyclegan.machine import choose_device
from cyclegan.metrics.distances import RESAMPLES, Distances, Estimate, distances
from cyclegan.metrics.features import Features
from cyclegan.metrics.paired import Closeness, closeness
from cyclegan.types import Device, Direction
from cyclegan.words import shown

BATCH = 16

log = logging.getLogger(__name__)


class Score(NamedTuple):
    """Of one set of pictures against the real ones of its domain."""

    what: str
    """`AtoB`, `A untranslated`, or the folder."""
    images: int
    """Pictures scored."""
    real: int
    """Pictures that they were compared with."""
    distances: Distances
    cycle: Closeness | None = None
    """How close translating there and back comes to the picture; None where only one way is known."""


def score_folders(fake: Path, real: Path, features: Features, *, size: int | None, device: Device) -> list[Score]:
    """Any two folders, so that other people's outputs are scored alike.

    Raises FileNotFoundError for an empty folder, ValueError for too few pictures or, without `size`, mixed sizes.
    """
    place = choose_device(device)
    features.to(place)
    sets = [_read_all(folder, size).to(place) for folder in (fake, real)]
    seen = [features.of(torch.split(pictures, BATCH)) for pictures in sets]
    return [Score(shown(fake), len(seen[0]), len(seen[1]), distances(*seen))]


def score_translators(
    translators: dict[Direction, Translator],
    data: Path,
    features: Features,
    *,
    split: str = "test",
    size: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[Score]:
    """Every direction on the pictures of a split, beside those pictures as they were; raises as `score_folders` does.

    Translations are rounded to 8 bits, as a PNG would be. `report` is told (done, total) in pictures.
    """
    device = next(iter(translators.values())).device
    features.to(device)
    real = {domain: _read_all(data / f"{split}{domain}", size).to(device) for domain in "AB"}
    seen = {domain: features.of(torch.split(pictures, BATCH)) for domain, pictures in real.items()}
    scores, done, total = [], 0, sum(len(real[direction[0]]) for direction in translators)
    for direction, translator in translators.items():
        source, target = direction[0], direction[-1]
        back = translators.get("BtoA" if direction == "AtoB" else "AtoB")
        fakes, cycles = [], []
        for pictures in torch.split(real[source], 1):
            fakes.append(from_bytes(translator.translate_bytes(to_bytes(pictures))).to(device))
            if back:
                cycles.append(back.translate_batch(fakes[-1]).cpu())
            report(done := done + 1, total)
        fake = features.of(torch.split(torch.cat(fakes), BATCH))
        cycle = closeness(torch.cat(cycles), real[source].cpu()) if cycles else None
        counts = (len(fake), len(seen[target]))
        scores.append(Score(direction, *counts, distances(fake, seen[target]), cycle))
        scores.append(Score(f"{source} untranslated", *counts, distances(seen[source], seen[target])))
    return scores


def as_data(scores: list[Score], features: Features, *, size: int | None, about: dict[str, str]) -> dict[str, Any]:
    """Scores and the protocol that made them, as plain data for JSON."""
    return {
        "protocol": {
            **about,
            "features": features.name,
            "features_sha256": features.sha256,
            "size": size or "as the files are",
            "resampling": "fitted to a square by Pillow's bicubic filter" if size else "none",
            "pictures": "8 bits, as decoded or as translated; nothing is compressed in between",
            "interval": f"95 %, bootstrap of {RESAMPLES}",
            "versions": {name: version(name) for name in ("torch", "torchvision", "torch-fidelity", "kornia", "pillow")}
            | {"cyclegan": cyclegan.__version__, "python": platform.python_version()},
        },
        "scores": {
            score.what: {
                "images": score.images,
                "real": score.real,
                **{k: v if isinstance(v, float) else v._asdict() for k, v in score.distances._asdict().items()},
                **({"cycle": score.cycle._asdict()} if score.cycle else {}),
            }
            for score in scores
        },
    }


def write_metrics(data: dict[str, Any], path: Path) -> None:
    """Write `metrics.json`, whole or not at all."""
    write_whole(path, lambda part: part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8"))


def as_table(scores: list[Score], features: Features) -> str:
    """The scores for a person, with the name of the network that saw the pictures."""
    rows: list[tuple[str, ...]] = [("", "images", "FID", "KID", "std", "precision", "recall", "cycle SSIM, PSNR")]
    for what, images, real, d, cycle in scores:
        shares = (_with_interval(share, ".2f") for share in (d.precision, d.recall))
        there_and_back = f"{cycle.ssim:.3f}, {cycle.psnr:.1f} dB" if cycle else ""
        distance = (_with_interval(d.fid, ".1f"), _with_interval(d.kid, ".4g"), f"{d.kid_std:.3g}")
        rows.append((what, f"{images} : {real}", *distance, *shares, there_and_back))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"features: {features.name}; 95 % intervals in brackets", *lines])


def _with_interval(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def _read_all(folder: Path, size: int | None) -> Tensor:
    """The pictures of a folder that can be read, (N, 3, H, W) in [-1, 1]."""
    pictures = [to_tensor(image) for image in _images(folder, size)]
    shapes = {tuple(picture.shape[1:]) for picture in pictures}
    if not pictures:
        raise ValueError(f"{shown(folder)}: no picture in it can be read")
    if len(shapes) > 1:
        raise ValueError(f"{shown(folder)}: pictures of {len(shapes)} sizes; give --size 256 to fit them to one")
    return torch.stack(pictures)


def _images(folder: Path, size: int | None) -> Iterator[Image.Image]:
    for path in find_images(folder):
        try:
            image = read_image(path)
        except UnreadableImage as error:
            log.warning("left out: %s", error)
            continue
        yield ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC) if size else image
