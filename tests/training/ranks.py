"""Programs of the processes in test_distributed.py that check more than `cyclegan train` can."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.recipe import read_recipe
from cyclegan.training.distributed import open_processes
from cyclegan.training.learner import Learner
from cyclegan.training.trainer import Trainer


def tensors_in(state: Any) -> list[Tensor]:
    """All of them, in the order in which they are kept."""
    match state:
        case Tensor():
            return [state]
        case dict():
            return [tensor for part in state.values() for tensor in tensors_in(part)]
    return []


def known_to(learner: Learner) -> list[Tensor]:
    """The whole state of a process: networks and pools, averages, optimizers."""
    state = learner.checkpoint(0)
    return tensors_in({"method": state.method, "ema": state.ema, "optimizers": state.optimizers})


def train_and_keep_all(words: Sequence[str]) -> None:
    """Train RECIPE into RUN, then write this process's state and dropout masks beside the run.

    Of the masks 0 and 1, or -1 for unknown. "built" and "restored" give the others than the first other numbers once
    they are built or restored.
    """
    recipe, run, *how = words
    with open_processes() as processes:

        def disturbed(name: str) -> None:
            real = getattr(Learner, name)

            def otherwise(learner: Learner, *words: Any, **named: Any) -> None:
                real(learner, *words, **named)
                for tensor in known_to(learner):
                    tensor += processes.rank

            setattr(Learner, name, otherwise)

        if "built" in how:
            disturbed("__init__")
        if "restored" in how:
            disturbed("restore")
        trainer = Trainer(read_recipe(Path(recipe)), Path(run), resume="resume" in how, processes=processes)
        masks: list[Tensor] = []

        def keep_mask(dropout: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            if dropout.training:
                masks.append(torch.where(inputs[0] == 0, -1, (output != 0).int()))

        for module in trainer.learner.method.modules():
            if isinstance(module, nn.Dropout):
                module.register_forward_hook(keep_mask)
        trainer.train()
        torch.save({"known": known_to(trainer.learner), "masks": masks}, f"{run}.{processes.rank}")


def fail_for_another_reason(words: Sequence[str]) -> None:
    """The first process fails by itself; the other waits for it."""
    with open_processes() as processes:
        if processes.first:
            raise RuntimeError(*words)
        processes.largest(1)


def tell_places(words: Sequence[str]) -> None:
    """Print how many processes are on this machine, when the environment does not say it."""
    del os.environ["LOCAL_RANK"], os.environ["LOCAL_WORLD_SIZE"]
    with open_processes() as processes:
        sys.stdout.write(f"{processes.rank} of {processes.count}, {processes.on_this_machine} here\n")
