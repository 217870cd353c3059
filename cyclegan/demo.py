"""The demo: learn to paint from the built-in photographs, then compare with the painter's own hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from cyclegan.data.config import DataConfig
from cyclegan.data.files import find_images, read_image, to_tensor
from cyclegan.data.painted import build_demo
from cyclegan.data.sheet import write_sheet
from cyclegan.inference.translator import Translator
from cyclegan.machine.device import choose_device
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.paired import ssim_and_psnr
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import LogConfig, LrScheduleConfig, Recipe, SpeedConfig, TrainingConfig
from cyclegan.report.gallery import write_gallery
from cyclegan.training.learner import Learner
from cyclegan.training.trainer import train
from cyclegan.types import Batch
from cyclegan.util.progress import duration
from cyclegan.util.untouched import untouched

SIZE = 96
"""Pixels of the pictures that the demo translates."""

CROP = 64
"""Pixels of what it learns from."""

MOST, FEWEST = 2800, 1000
"""Images to learn from: more than the most change little, of fewer than the fewest streaks cross what is dark."""

SECONDS = 190.0
"""That training may take, so that the demo ends within four minutes; a machine that is too slow for the fewest images
takes longer."""

WARM_UP, TIMED, PATIENCE = 3, 20, 10.0
"""Steps before the machine is as fast as it gets, steps that tell how fast, and seconds after which fewer do."""


def demo_recipe(data: Path, images: int = MOST) -> Recipe:
    """Small networks on small crops, so that two CPU cores take some thousand steps in three minutes.

    Differs from the reference where minutes ask for it. The generators begin as a copy of the picture (`skip`) and grow
    without a checkerboard (`resize`); the discriminators judge small patches, colours included, for the paintings' are
    others (`norm: none`, and no identity loss, which would hold on to the old ones); less cycle loss, because a brush
    wipes details away; the EMA steadies the result. Compiling would take as long as it saves. With fewer `images`
    everything comes sooner.
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


@untouched()
def steps_per_second(recipe: Recipe, clock: Callable[[], float] = time.perf_counter) -> float:
    """How fast this machine trains by the recipe, told by a few steps on noise; nothing of them is kept."""
    learner = Learner(recipe, choose_device(recipe.speed.device), epoch=MOST)
    noise = Batch(*torch.randint(0, 256, (2, 1, 3, CROP, CROP), dtype=torch.uint8))
    for _ in range(WARM_UP):
        learner.step(noise)
    steps, began = 0, clock()
    while steps < TIMED and clock() - began < PATIENCE:
        learner.step(noise).finite.item()  # so that the device has done it
        steps += 1
    return steps / (clock() - began)


def images_to_learn(speed: float) -> int:
    """How many fit into the time at so many steps a second, in hundreds."""
    return min(MOST, max(FEWEST, int(speed * SECONDS) // 100 * 100))


def run_demo(out: Path, note: Callable[[str], None] = lambda line: None) -> str:
    """Build the pictures, train, translate the held-out photographs, write sheet and gallery; returns what to tell.

    Trains as long as fits into about four minutes on this machine, and tells `note` what that makes. Starts anew each
    time. Raises ImportError, in one line, when scikit-image is not installed.
    """
    data = build_demo(out / "data", size=SIZE)
    run = out / f"run-{time.strftime('%Y%m%d-%H%M%S')}"
    speed = steps_per_second(demo_recipe(data))
    images = images_to_learn(speed)
    note(f"{speed:.3g} steps/s here: training on {images:,} images, about {duration(images / speed)}")
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
    """Means over the pictures."""
    ssim, psnr = ssim_and_psnr(_batch(pictures), _batch(truths)).mean(dim=0).tolist()
    return f"SSIM {ssim:.3f}, PSNR {psnr:.1f} dB"


def _batch(pictures: list[Image.Image]) -> torch.Tensor:
    return torch.stack([to_tensor(picture) for picture in pictures])
