"""A run that is stopped and resumed equals an uninterrupted run."""

from pathlib import Path

import torch

from cyclegan.checkpoint import Checkpoint, read_newest
from cyclegan.recipe import Recipe
from cyclegan.training.trainer import Trainer, train


def resumed_bit_for_bit(recipe: Recipe, folder: Path) -> Checkpoint:
    """Train eight steps at once, and again in two halves; returns the last checkpoint, which is the same for both."""
    train(recipe, folder / "whole")
    trainer = Trainer(recipe, folder / "halves")
    for batch in trainer.loader.batches(0, 5):
        trainer.learner.step(batch)
    trainer._save()
    train(recipe, folder / "halves", resume=True)
    whole, halves = (read_newest(folder / name) for name in ("whole", "halves"))
    assert whole.method.keys() == halves.method.keys()
    assert [name for name in whole.method if not torch.equal(whole.method[name], halves.method[name])] == []
    return whole
