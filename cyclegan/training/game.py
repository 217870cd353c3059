"""The game: a method whose players take turns, one step at a time; all that learns, and nothing that is only shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from cyclegan.checkpoint import Checkpoint
from cyclegan.images.files import from_bytes
from cyclegan.machine import autocast
from cyclegan.recipe import Recipe, images_in
from cyclegan.training.average import Average
from cyclegan.training.finite import Finite
from cyclegan.training.processes import ALONE, Processes
from cyclegan.training.speed import (
    Graphed,
    checkpoint_activations,
    compile_networks,
    has_graphs,
    memory_format,
    set_determinism,
)
from cyclegan.training.turn import Move, Turn, rate_after
from cyclegan.types import Batch, Direction


class Game:
    """Keeps a method, its players' optimizers and the count of images seen; `epoch` is how many make one."""

    def __init__(self, recipe: Recipe, device: torch.device, *, epoch: int, processes: Processes = ALONE) -> None:
        self.recipe, self.device, self.epoch, self.processes, self.images = recipe, device, epoch, processes, 0
        set_determinism(recipe.speed.deterministic)
        self.autocast = autocast(device, recipe.speed.precision)
        torch.manual_seed(recipe.training.seed)
        self.method = recipe.method.build().to(device).to(memory_format=memory_format(device))
        self.shared_random = torch.Generator(device) if processes.count > 1 else None
        if self.shared_random:
            self.method.share(processes.gather, self.shared_random)
        self.turns = [Turn(player, recipe.training, processes) for player in self.method.players]
        half_life = recipe.training.average
        self.average = Average(self.method.translators(), images_in(half_life, epoch)) if half_life else None
        self.play = Graphed(self._play) if has_graphs(recipe.speed, device, processes.count) else self._play
        self.finite = Finite()

    @property
    def translators(self) -> Mapping[Direction, nn.Module]:
        """The networks that translate in the end: averaged, where there is an average."""
        return self.average.translators if self.average else self.method.translators()

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_after(self.images, self.recipe.training, self.epoch)

    def speed_up(self, steps: int) -> str:
        """Pull the levers that the recipe names, for so many steps; returns what that means for the first of them."""
        networks = [network for turn in self.turns for network in turn.player.networks]
        if self.recipe.speed.checkpoint_activations:
            checkpoint_activations(networks)
        return compile_networks(networks, self.recipe.speed, steps, self.device)

    def step(self, pixels: Batch) -> Move:
        """One batch, (N, 3, H, W) in 0..255: the method makes its images, then every player moves."""
        self._seed()
        for turn in self.turns:
            turn.set_rate(self.rate)
        move = self.play(Batch(*(domain.to(self.device, non_blocking=True) for domain in pixels)))
        self.finite.saw(self.images, move.finite)
        seen = len(pixels.a) * self.processes.count
        self.images += seen
        if self.average:
            self.average.update(seen, self.images)
        return move

    def _play(self, pixels: Batch) -> Move:
        """The mathematics of a step: on the device alone, so that a CUDA graph can record it."""
        batch = Batch(*(from_bytes(domain).to(memory_format=memory_format(self.device)) for domain in pixels))
        with self.autocast:
            images = self.method(batch)
        moves = [turn.move(batch, images, self.autocast) for turn in self.turns]
        losses = {name: loss for move in moves for name, loss in move.losses.items()}
        norms = {network: norm for move in moves for network, norm in move.norms.items()}
        return Move(losses, norms, torch.stack([move.finite for move in moves]).all())

    def _seed(self) -> None:
        """Seed the next step by what it is, so that resume repeats it.

        One process draws dropout and pool from one stream. Several keep one pool, and draw for it from a stream that is
        the same in all of them; each has another for its dropout.
        """
        if self.shared_random:
            self.shared_random.manual_seed(self._key())
            torch.manual_seed(self._key(1 + self.processes.rank))
        else:
            torch.manual_seed(self._key())

    def _key(self, *whose: int) -> int:
        """A function of the recipe's seed, of the images seen, and of who asks."""
        return int(np.random.SeedSequence([self.recipe.training.seed, self.images, *whose]).generate_state(1)[0])

    def begin_alike(self) -> None:
        """Take over all that the first process knows: networks, pools, averages and optimizers.

        Other machines may draw other initial weights from one seed. Raises ValueError where the shapes differ.
        """
        averages = self.average.state_dict().values() if self.average else ()
        weights = [tensor for state in (self.method.state_dict(), *averages) for tensor in state.values()]
        tensors = [*weights, *(tensor for turn in self.turns for tensor in turn.tensors())]
        self.processes.agree("networks", [(tuple(tensor.shape), tensor.dtype) for tensor in tensors])
        self.processes.copy_first(tensors)

    def checkpoint(self, best: float) -> Checkpoint:
        """All of the state, and the lowest KID of the run."""
        return Checkpoint(
            recipe=self.recipe,
            images=self.images,
            epoch=self.epoch,
            processes=self.processes.count,
            best=best,
            method=self.method.state_dict(),
            average=self.average.state_dict() if self.average else {},
            optimizers={turn.player.name: turn.state_dict() for turn in self.turns},
        )

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint as if nothing had happened.

        Raises ValueError, in one line, when the methods differ, or the checkpoint holds something else than it says.
        """
        if saved.recipe.method != self.recipe.method:
            raise ValueError("trained with another `method` than the recipe's; give the recipe it began with")
        try:
            self._load(saved)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:  # torch raises them all
            raise ValueError(f"its checkpoint does not fit: {' '.join(str(error).split())}") from None

    def _load(self, saved: Checkpoint) -> None:
        self.images = saved.images
        self.method.load_state_dict(saved.method)
        for turn in self.turns:
            turn.load_state_dict(saved.optimizers[turn.player.name])
        if self.average:
            now = {direction: network.state_dict() for direction, network in self.method.translators().items()}
            self.average.load_state_dict(saved.average or now)  # an average asked for only now begins here
