"""The differences between the recipe of a checkpoint and that of the resumed run, described key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from cyclegan.checkpoint import Checkpoint
from cyclegan.recipe import LrScheduleConfig, Recipe
from cyclegan.training.lr_schedule import lr_at
from cyclegan.util.text import key_of, one_line

SCHEDULE = ("training.lr", *(f"training.lr_schedule.{key.name}" for key in fields(LrScheduleConfig)))
"""Keys that determine the learning rate, together with the length of an epoch."""

DRAWN_BY = ("data.validation", "training.seed", "log.evaluate_every")
"""Keys that determined, when the run began, which pictures are held out."""


def changes_told(saved: Checkpoint, recipe: Recipe, epoch: int) -> list[str]:
    """Return a line for each key that differs between the checkpoint's recipe and `recipe`, with its effect.

    `epoch` is the current number of images in an epoch. A jump of the learning rate is reported in the line of the last
    changed key of the schedule.
    """
    rate = _rate_told(saved, recipe, epoch)
    changed = {key: f"{key}: {_said(before)} -> {_said(now)}" for key, before, now in different(saved.recipe, recipe)}
    schedule = [key for key in changed if key in SCHEDULE]
    if rate and schedule:
        changed[schedule[-1]] += f"; {rate}"
    for key in changed:
        if key in DRAWN_BY and any(saved.held_out.values()):
            changed[key] += "; the held-out pictures stay those drawn when the run began"
        if key.startswith("features."):
            changed[key] += "; earlier scores no longer count for best.pt"
    told = list(changed.values())
    return told if schedule or not rate else [*told, f"{rate}, because the length of an epoch has changed"]


def different(before: Recipe, now: Recipe) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key whose values differ, such as `training.lr_schedule.decay`, with both values as plain data."""
    yield from _different(before.to_dict(), now.to_dict())


def _different(before: Any, now: Any, *above: str | int) -> Iterator[tuple[str, Any, Any]]:
    match before, now:
        case dict(), dict() if before.keys() == now.keys():
            for name in before:
                yield from _different(before[name], now[name], *above, name)
        case list(), list() if len(before) == len(now):
            for i, parts in enumerate(zip(before, now, strict=True)):
                yield from _different(*parts, *above, i)
        case _ if before != now:
            yield key_of(above), before, now


def _rate_told(saved: Checkpoint, recipe: Recipe, epoch: int) -> str:
    """Describe the jump of the learning rate that a changed schedule causes here; empty if it causes none."""
    training, images, step = recipe.training, saved.images, saved.processes * saved.recipe.training.batch_size
    before = lr_at(max(0, images - step), saved.recipe.training, saved.epoch)
    expected, after = lr_at(images, saved.recipe.training, saved.epoch), lr_at(images, training, epoch)
    ended = images >= training.lr_schedule.length(epoch)
    if ended or after in (before, expected):
        return ""
    return f"the learning rate goes from {before:.2g} to {after:.2g} here, after {images:,} images"


def _said(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value), 100)
