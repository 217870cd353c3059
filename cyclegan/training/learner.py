"""The game: a method whose players take turns, one step at a time; all that learns, and nothing that is only shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.files import from_bytes
from cyclegan.machine.device import Arithmetic
from cyclegan.machine.levers import Compiler, Levers, layout_of, set_layout
from cyclegan.recipe import Recipe, images_in
from cyclegan.training.distributed import ALONE, Processes
from cyclegan.training.ema import Average
from cyclegan.training.graph import Graphed, has_graphs
from cyclegan.training.nonfinite import Finite
from cyclegan.training.optimizer import Move, Seen, Turn, rate_after
from cyclegan.training.speed import by_hand, checkpoint_activations, set_determinism
from cyclegan.types import Batch, Direction, Images


class Game:
    """Keeps a method, its players' optimizers and the count of images seen; `epoch` is how many make one.

    It plays by the levers that the recipe names, and plainly where it names none, until others are pulled.
    """

    def __init__(self, recipe: Recipe, device: torch.device, *, epoch: int, processes: Processes = ALONE) -> None:
        self.recipe, self.device, self.epoch, self.processes, self.images = recipe, device, epoch, processes, 0
        set_determinism(recipe.speed.deterministic)
        torch.manual_seed(recipe.training.seed)
        self.method = recipe.method.build().to(device)
        self.shared_random = torch.Generator(device) if processes.count > 1 else None
        if self.shared_random:
            self.method.share(processes.gather, self.shared_random)
        self.turns = [Turn(player, recipe.training, processes) for player in self.method.players]
        half_life = recipe.training.average
        self.average = Average(self.method.translators(), images_in(half_life, epoch)) if half_life else None
        networks = [network for turn in self.turns for network in turn.player.networks]
        if recipe.speed.checkpoint_activations:
            checkpoint_activations(networks)
        self.finite, self.compiler = Finite(), Compiler(networks)
        has_graphs(recipe.speed, device, processes.count)  # raises where it is asked for and cannot be
        self.play: Graphed[Move] | Callable[[Batch], Move] = self._play
        self.pull(Levers(**by_hand(recipe.speed)))

    def pull(self, levers: Levers) -> None:
        """Run the networks by these levers from now on."""
        self.release()
        self.levers, self.autocast = levers, Arithmetic(self.device, levers.precision)
        for network in (self.method, *(self.average.translators.values() if self.average else ())):
            set_layout(network, levers.channels_last)
        for turn in self.turns:
            turn.pull(levers)
        self.compiler.set(levers.compile)
        self.play = Graphed(self._play, self.method.pools) if levers.graph else self._play

    def release(self) -> None:
        """Give back the memory of CUDA graphs, which would else wait until Python looks for cycles."""
        if isinstance(self.play, Graphed):
            self.play.release()

    @property
    def translators(self) -> Mapping[Direction, nn.Module]:
        """The networks that translate in the end: averaged, where there is an average."""
        return self.average.translators if self.average else self.method.translators()

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_after(self.images, self.recipe.training, self.epoch)

    def step(self, pixels: Batch) -> Move:
        """One step on (N, 3, H, W) in 0..255: the method makes its images, then every player moves."""
        self._seed()
        for turn in self.turns:
            turn.set_rate(self.rate)
        with self.compiler.calls(pixels):
            move = self.play(Batch(*(domain.to(self.device, non_blocking=True) for domain in pixels)))
        self.finite.saw(self.images, move.finite)
        seen = len(pixels.a) * self.processes.count
        self.images += seen
        if self.average:
            self.average.update(seen, self.images)
        return move

    def _play(self, pixels: Batch) -> Move:
        """The mathematics of a step: on the device alone, so that a CUDA graph can record it."""
        batches = self._batches(pixels)
        if len(batches) > 1:
            moves = [turn.move(seen) for turn, seen in zip(self.turns, self._look(batches), strict=True)]
        else:
            images = self._images(batches[0])
            moves = [turn.move(turn.look(batches[0], images, self.autocast)) for turn in self.turns]
        losses = {name: loss for move in moves for name, loss in move.losses.items()}
        norms = {network: norm for move in moves for network, norm in move.norms.items()}
        return Move(losses, norms, torch.stack([move.finite for move in moves]).all())

    def _batches(self, pixels: Batch) -> list[Batch]:
        """What the networks see at once, `training.batch` pairs in [-1, 1], in the layout of the levers."""
        layout, pairs = layout_of(self.levers.channels_last), self.recipe.training.batch
        a, b = (torch.split(from_bytes(domain).to(memory_format=layout), pairs) for domain in pixels)
        return [Batch(*both) for both in zip(a, b, strict=True)]

    def _images(self, batch: Batch) -> Images:
        with self.autocast:
            images: Images = self.method(batch)
        return images

    def _look(self, batches: Sequence[Batch]) -> list[Seen]:
        """What each player sees before anyone moves, the mean over batches; the images of one are kept at a time."""
        means: list[Seen] = []
        for batch in batches:
            images = self._images(batch)
            seen = [turn.look(batch, images, self.autocast).times(1 / len(batches)) for turn in self.turns]
            means = [mean.plus(more) for mean, more in zip(means, seen, strict=True)] if means else seen
        return means

    def probe(self, pixels: Batch) -> dict[str, Tensor]:
        """Losses and gradients by name, of a batch (N, 3, H, W) in 0..255 on the device; nothing moves.

        Do this `at_rest`, or the pools remember its fakes. In fp16 it helps to find the scale of the loss.
        """
        names = {parameter: name for name, parameter in self.method.named_parameters()}
        found: dict[str, Tensor] = {}
        with self.compiler.calls(pixels):
            looks = self._look(self._batches(pixels))
        for turn, seen in zip(self.turns, looks, strict=True):
            found |= seen.losses
            found |= {names[p]: gradient for p, gradient in zip(turn.parameters, seen.gradients, strict=True)}
            if turn.scale:
                turn.scale.adapt(torch.stack([g.isfinite().all() for g in seen.gradients]).all())
        return found

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """In here nothing that the method remembers changes, nor does that change what it computes; dropout is off.

        No other process is waited for. CUDA graphs from before are released.
        """
        self.release()
        dropouts = [module for module in self.method.modules() if isinstance(module, nn.Dropout) and module.training]
        for pool in self.method.pools:
            pool.rests = True
        for module in dropouts:
            module.eval()
        try:
            yield
        finally:
            for module in dropouts:
                module.train()
            for pool in self.method.pools:
                pool.rests = False

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
        self.release()  # a graph would go on with the memory of the state before
        self.images = saved.images
        self.method.load_state_dict(saved.method)
        for turn in self.turns:
            turn.load_state_dict(saved.optimizers[turn.player.name])
        if self.average:
            now = {direction: network.state_dict() for direction, network in self.method.translators().items()}
            self.average.load_state_dict(saved.average or now)  # an average asked for only now begins here
