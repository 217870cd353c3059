"""The demo: learn to paint from the built-in photographs, then compare with the painter's own hand."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from PIL import Image

from cyclegan.images.config import DataConfig
from cyclegan.images.demo import build_demo
from cyclegan.images.files import find_images, read_image, to_tensor
from cyclegan.inference.translator import Translator
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.paired import closeness
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import JournalConfig, Recipe, SpeedConfig, TrainingConfig
from cyclegan.report.gallery import write_gallery
from cyclegan.report.sheet import write_sheet
from cyclegan.training.trainer import train

SIZE = 96
"""Pixels of the pictures that the demo translates."""


def demo_recipe(data: Path) -> Recipe:
    """Small networks on small crops, so that two CPU cores take some thousand steps in three minutes.

    Differs from the reference where minutes ask for it. The generators begin as a copy of the picture (`skip`) and grow
    without a checkerboard (`resize`); the discriminators judge small patches, colours included, for the paintings' are
    others (`norm: none`, and no identity loss, which would hold on to the old ones); less cycle loss, because a brush
    wipes details away; the average steadies the result. Compiling would take as long as it saves.
    """
    return Recipe(
        data=DataConfig(
            root=data, transforms=({"RandomCrop": {"height": 64, "width": 64}}, {"HorizontalFlip": {"p": 0.5}})
        ),
        method=CycleganConfig(
            generator=ResnetConfig(width=24, blocks=3, upsample="resize", skip=True),
            discriminator=PatchganConfig(width=32, depth=2, norm="none"),
            cycle=3.0,
            identity=0.0,
        ),
        training=TrainingConfig(constant="1700 images", decay="1100 images", rate=4e-4, average="200 images"),
        speed=SpeedConfig(compile="off"),
        journal=JournalConfig(samples_every="500 images", checkpoint_every="1000 images", log_every="20 images"),
    )


def run_demo(out: Path) -> str:
    """Build the pictures, train, translate the held-out photographs, write sheet and gallery; returns what to tell.

    Starts anew each time. Raises ImportError, in one line, when scikit-image is not installed.
    """
    data = build_demo(out / "data", size=SIZE)
    run = out / f"run-{time.strftime('%Y%m%d-%H%M%S')}"
    began = time.perf_counter()
    train(demo_recipe(data), run)
    took = time.perf_counter() - began

    translator = Translator.load(run, "AtoB")
    names = [path.name for path in find_images(data / "testA")]
    photos = [read_image(data / "testA" / name) for name in names]
    truths = [read_image(data / "truthB" / name) for name in names]
    translated = [translator.translate(photo) for photo in photos]
    before, after = closeness(_batch(photos), _batch(truths)), closeness(_batch(translated), _batch(truths))

    rows = list(zip(photos, translated, truths, strict=True))
    sheet = write_sheet(rows, ["photo", "translated", "painted truth"], out / "sheet.png")
    facts = {
        "training": f"{took:.0f} s",
        "photo against truth": f"SSIM {before.ssim:.3f}, PSNR {before.psnr:.1f} dB",
        "translation against truth": f"SSIM {after.ssim:.3f}, PSNR {after.psnr:.1f} dB",
    }
    labelled = [(Path(name).stem, *row) for name, row in zip(names, rows, strict=True)]
    page = write_gallery(labelled, title="Photographs, painted by a network", told=facts, path=out / "gallery.html")
    told = [f"{name + ':':<27}{fact}" for name, fact in facts.items()]
    return "\n".join(
        [*told, f"contact sheet: {sheet}", f"gallery:       {page}", f"TensorBoard:   tensorboard --logdir {run}"]
    )


def _batch(pictures: list[Image.Image]) -> torch.Tensor:
    return torch.stack([to_tensor(picture) for picture in pictures])
