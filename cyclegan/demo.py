"""The demo: learn to turn the built-in photographs into paintings, then compare with the true paintings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from cyclegan.data.config import DataConfig
from cyclegan.data.convert import to_tensor
from cyclegan.data.files import find_images
from cyclegan.data.painted import build_demo
from cyclegan.data.read import read_image
from cyclegan.data.sheet import write_sheet
from cyclegan.inference.translator import Translator
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.paired import ssim_and_psnr
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import LogConfig, LrScheduleConfig, Recipe, SpeedConfig, TrainingConfig
from cyclegan.report.gallery import write_gallery
from cyclegan.training.pace import steps_per_second
from cyclegan.training.trainer import train
from cyclegan.util.progress import duration

SIZE = 96
"""Side, in pixels, of the pictures that the demo translates."""

CROP = 64
"""Side, in pixels, of the crops that it trains on."""

MOST, FEWEST = 2800, 1000
"""Limits of the images to train on: more improve little, and fewer leave streaks in dark areas."""

SECONDS = 190.0
"""Seconds for training, so that the demo takes under four minutes, unless the machine is too slow for `FEWEST`."""


def demo_recipe(data: Path, images: int = MOST) -> Recipe:
    """Return the demo's recipe: small networks on small crops, for a few thousand steps in three minutes on two cores.

    It differs from the reference implementation where a short training needs it. The generators start as a copy of the
    picture (`skip`) and upsample without a checkerboard pattern (`resize`). The discriminators see small patches with
    their colours (`norm: none`), and there is no identity loss, which would keep the colours of photographs. The cycle
    loss has less weight, because a painting has less detail than its photograph. The EMA makes the result steadier.
    Compiling would take as long as it saves. All schedules scale with `images`.
    """
    return Recipe(
        data=DataConfig(
            root=data, transforms=({"RandomCrop": {"height": CROP, "width": CROP}}, {"HorizontalFlip": {"p": 0.5}})
        ),
        method=CycleganConfig(
            generator=ResnetConfig(width=24, blocks=3, upsample="resize", skip=True),
            discriminator=PatchganConfig(width=32, depth=2, norm="none"),
            cycle=3.0,
            identity=0.0,
        ),
        training=TrainingConfig(
            lr=4e-4,
            lr_schedule=LrScheduleConfig(
                constant=f"{images * 17 // 28} images", decay=f"{images - images * 17 // 28} images"
            ),
            ema=f"{images // 14} images",
        ),
        speed=SpeedConfig(compile="off"),
        log=LogConfig(samples_every="500 images", checkpoint_every="1000 images", scalars_every="20 images"),
    )


def images_to_learn(speed: float) -> int:
    """Return how many images fit into `SECONDS` at this speed in steps per second, in hundreds, within the limits."""
    return min(MOST, max(FEWEST, int(speed * SECONDS) // 100 * 100))


def run_demo(out: Path, note: Callable[[str], None] = lambda line: None) -> str:
    """Build the data, train, translate the test photographs, and write a contact sheet and a gallery into `out`.

    Trains for as many images as fit into about four minutes on this machine; `note` is called with a line about it.
    Each call starts a new run. Returns the results and the paths of the files, as text.

    Raises ImportError when scikit-image is not installed, and what `train` raises.
    """
    data = build_demo(out / "data", size=SIZE)
    run = out / f"run-{time.strftime('%Y%m%d-%H%M%S')}"
    speed = steps_per_second(demo_recipe(data), (CROP, CROP))
    images = images_to_learn(speed)
    note(f"{speed:.3g} steps/s on this machine: training on {images:,} images, about {duration(images / speed)}")
    began = time.perf_counter()
    train(demo_recipe(data, images), run)
    took = time.perf_counter() - began

    translator = Translator.load(run, "AtoB")
    names = [path.name for path in find_images(data / "testA")]
    photos = [read_image(data / "testA" / name) for name in names]
    truths = [read_image(data / "truthB" / name) for name in names]
    translated = [translator.translate(photo) for photo in photos]

    rows = list(zip(photos, translated, truths, strict=True))
    sheet = write_sheet(rows, ["photo", "translated", "painted truth"], out / "sheet.png")
    facts = {
        "training": f"{took:.0f} s",
        "photo against truth": _closeness(photos, truths),
        "translation against truth": _closeness(translated, truths),
    }
    labelled = [(Path(name).stem, *row) for name, row in zip(names, rows, strict=True)]
    page = write_gallery(labelled, title="Photographs, painted by a network", told=facts, path=out / "gallery.html")
    told = [f"{name + ':':<27}{fact}" for name, fact in facts.items()]
    return "\n".join(
        [*told, f"contact sheet: {sheet}", f"gallery:       {page}", f"TensorBoard:   tensorboard --logdir {run}"]
    )


def _closeness(pictures: list[Image.Image], truths: list[Image.Image]) -> str:
    """Return mean SSIM and PSNR over the pictures, as text."""
    ssim, psnr = ssim_and_psnr(_batch(pictures), _batch(truths)).mean(dim=0).tolist()
    return f"SSIM {ssim:.3f}, PSNR {psnr:.1f} dB"


def _batch(pictures: list[Image.Image]) -> torch.Tensor:
    return torch.stack([to_tensor(picture) for picture in pictures])
