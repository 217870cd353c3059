"""One step of training: a method whose players move in turn, and all that they have learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.files import from_bytes
from cyclegan.machine.compiler import Compiler, layout_of, set_layout
from cyclegan.machine.device import Arithmetic
from cyclegan.machine.levers import Levers
from cyclegan.networks.base import Generator
from cyclegan.recipe import Recipe, images_in
from cyclegan.training.distributed import ALONE, Processes
from cyclegan.training.ema import Ema
from cyclegan.training.graph import Graphed, has_graphs
from cyclegan.training.lr_schedule import Plateau, lr_at, lr_factor
from cyclegan.training.nonfinite import NonfiniteSteps
from cyclegan.training.optimizer import Gradients, PlayerOptimizer, StepResult
from cyclegan.training.speed import by_hand, checkpoint_activations, set_determinism
from cyclegan.types import Batch, Direction, Images


class Learner:
    """Keeps a method, its players' optimizers and the count of images seen; `epoch` is how many make one.

    It runs by the levers that the recipe names, and plainly where it names none, until it is told to use others.
    Raises ValueError for `training.players` that the method does not have.
    """

    def __init__(self, recipe: Recipe, device: torch.device, *, epoch: int, processes: Processes = ALONE) -> None:
        self.recipe, self.device, self.epoch, self.processes, self.images = recipe, device, epoch, processes, 0
        training = recipe.training
        set_determinism(recipe.speed.deterministic)
        torch.manual_seed(training.seed)
        self.method = recipe.method.build().to(device)
        self.shared_random = torch.Generator(device) if processes.count > 1 else None
        if self.shared_random:
            self.method.share(processes.gather, self.shared_random)
        players = {player.name: player for player in self.method.players}
        if unknown := training.players.keys() - players.keys():
            raise ValueError(f"training.players: the players are {' and '.join(players)}, not {min(unknown)}")
        self.optimizers = [PlayerOptimizer(player, training, processes) for player in players.values()]
        self.plateau = Plateau(training.lr_schedule)
        self.ema = Ema(self.method.generators(), images_in(training.ema, epoch)) if training.ema else None
        networks = [network for player in players.values() for network in player.networks.values()]
        if recipe.speed.checkpoint_activations:
            checkpoint_activations(networks)
        self.nonfinite, self.compiler = NonfiniteSteps(), Compiler(networks)
        has_graphs(recipe.speed, device, processes.count)  # raises where it is asked for and cannot be
        self._last = StepResult({}, {}, torch.tensor(True))
        self._run: Graphed[StepResult] | Callable[..., StepResult] = self._step
        self.use(Levers(**by_hand(recipe.speed)))

    def use(self, levers: Levers) -> None:
        """Run the networks by these levers from now on."""
        self.release()
        self.levers, self.autocast = levers, Arithmetic(self.device, levers.precision)
        for network in (self.method, *(self.ema.generators.values() if self.ema else ())):
            set_layout(network, levers.channels_last)
        for optimizer in self.optimizers:
            optimizer.use(levers)
        self.compiler.set(levers.compile)
        self._run = Graphed(self._step, self.method.pools) if levers.graph else self._step

    def release(self) -> None:
        """Give back the memory of CUDA graphs, which would else wait until Python looks for cycles."""
        if isinstance(self._run, Graphed):
            self._run.release()

    @property
    def generators(self) -> Mapping[Direction, Generator]:
        """The networks that translate in the end: averaged, where there is an EMA."""
        return self.ema.generators if self.ema else self.method.generators()

    @property
    def lr(self) -> float:
        """The run's learning rate in the next step."""
        return lr_at(self.images, self.recipe.training, self.epoch) * self.plateau.factor

    def step(self, pixels: Batch) -> StepResult:
        """One step on (N, 3, H, W) in 0..255: the method makes its images, then every player moves that is due."""
        self._seed()
        factor = lr_factor(self.images, self.recipe.training.lr_schedule, self.epoch) * self.plateau.factor
        for optimizer in self.optimizers:
            optimizer.scale_lr(factor)
        moving = [optimizer for optimizer in self.optimizers if self._number % optimizer.every == 0]
        with self.compiler.calls(pixels):
            batch = Batch(*(domain.to(self.device, non_blocking=True) for domain in pixels))
            result = self._run(batch, *(optimizer.player.name for optimizer in moving))
        self.nonfinite.record(self.images, result.finite)
        seen = len(pixels.a) * self.processes.count
        self.images += seen
        if self.ema:
            self.ema.update(seen, self.images)
        if any(optimizer.every > 1 for optimizer in self.optimizers):
            result = self._with_last(result)
        return result

    @property
    def _number(self) -> int:
        """Of the next step."""
        return self.images // (self.recipe.training.pairs * self.processes.count)

    def _with_last(self, result: StepResult) -> StepResult:
        """The result beside the last ones of players that did not move, copied, for a graph writes them again."""
        losses = self._last.losses | {name: loss.clone() for name, loss in result.losses.items()}
        norms = self._last.grad_norms | {name: norm.clone() for name, norm in result.grad_norms.items()}
        self._last = StepResult(losses, norms, result.finite)
        return self._last

    def _step(self, pixels: Batch, *moving: str) -> StepResult:
        """The mathematics of a step: on the device alone, so that a CUDA graph can record it."""
        batches = self._batches(pixels)
        optimizers = [optimizer for optimizer in self.optimizers if optimizer.player.name in moving]
        results: list[StepResult] = []
        for together in _in_order(optimizers):
            for times in range(max(optimizer.repeat for optimizer in together)):
                due = [optimizer for optimizer in together if times < optimizer.repeat]
                if len(batches) > 1:
                    results += [o.step(seen) for o, seen in zip(due, self._differentiate(batches, due), strict=True)]
                    continue
                if times or not results:
                    images = self._images(batches[0])
                results += [o.step(o.differentiate(batches[0], images, self.autocast)) for o in due]
        finite = [torch.ones((), dtype=torch.bool, device=self.device), *(result.finite for result in results)]
        losses = {name: loss for result in results for name, loss in result.losses.items()}
        norms = {network: norm for result in results for network, norm in result.grad_norms.items()}
        return StepResult(losses, norms, torch.stack(finite).all())

    def _batches(self, pixels: Batch) -> list[Batch]:
        """What the networks see at once, `training.batch_size` pairs in [-1, 1], in the layout of the levers."""
        layout, pairs = layout_of(self.levers.channels_last), self.recipe.training.batch_size
        a, b = (torch.split(from_bytes(domain).to(memory_format=layout), pairs) for domain in pixels)
        return [Batch(*both) for both in zip(a, b, strict=True)]

    def _images(self, batch: Batch) -> Images:
        with self.autocast:
            images: Images = self.method(batch)
        return images

    def _differentiate(self, batches: Sequence[Batch], optimizers: Sequence[PlayerOptimizer]) -> list[Gradients]:
        """What players see before they move, the mean over batches; the images of one are kept at a time."""
        means: list[Gradients] = []
        for batch in batches:
            images, share = self._images(batch), 1 / len(batches)
            seen = [o.differentiate(batch, images, self.autocast).times(share) for o in optimizers]
            means = [mean.plus(more) for mean, more in zip(means, seen, strict=True)] if means else seen
        return means

    def probe(self, pixels: Batch) -> dict[str, Tensor]:
        """Losses and gradients by name, of a batch (N, 3, H, W) in 0..255 on the device; nothing moves.

        Do this `at_rest`, or the pools remember its fakes. In fp16 it helps to find the scale of the loss.
        """
        names = {parameter: name for name, parameter in self.method.named_parameters()}
        found: dict[str, Tensor] = {}
        with self.compiler.calls(pixels):
            each = self._differentiate(self._batches(pixels), self.optimizers)
        for optimizer, seen in zip(self.optimizers, each, strict=True):
            found |= seen.losses
            found |= {names[p]: gradient for p, gradient in zip(optimizer.parameters, seen.gradients, strict=True)}
            if optimizer.scale:
                optimizer.scale.adapt(torch.stack([g.isfinite().all() for g in seen.gradients]).all())
        return found

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """In here nothing that the method remembers changes, nor does that change what it computes; dropout is off.

        No other process is waited for. CUDA graphs from before are released.
        """
        self.release()
        dropouts = [module for module in self.method.modules() if isinstance(module, nn.Dropout) and module.training]
        norms = {module: module.momentum for module in self.method.modules() if isinstance(module, nn.BatchNorm2d)}
        for norm in norms:
            norm.momentum = 0.0
        for pool in self.method.pools:
            pool.rests = True
        for module in dropouts:
            module.eval()
        try:
            yield
        finally:
            for module in dropouts:
                module.train()
            for norm, momentum in norms.items():
                norm.momentum = momentum
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
        averages = self.ema.state_dict().values() if self.ema else ()
        weights = [tensor for state in (self.method.state_dict(), *averages) for tensor in state.values()]
        tensors = [*weights, *(tensor for optimizer in self.optimizers for tensor in optimizer.tensors())]
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
            ema=self.ema.state_dict() if self.ema else {},
            plateau=self.plateau.state_dict(),
            optimizers={optimizer.player.name: optimizer.state_dict() for optimizer in self.optimizers},
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
        self.plateau.load_state_dict(saved.plateau)
        self.method.load_state_dict(saved.method)
        for optimizer in self.optimizers:
            optimizer.load_state_dict(saved.optimizers[optimizer.player.name])
        if self.ema:
            now = {direction.value: network.state_dict() for direction, network in self.method.generators().items()}
            self.ema.load_state_dict(saved.ema or now)  # an EMA asked for only now begins here


def _in_order(optimizers: Sequence[PlayerOptimizer]) -> list[list[PlayerOptimizer]]:
    """Those in one list may be differentiated before any of them moves."""
    groups: list[list[PlayerOptimizer]] = []
    for optimizer in optimizers:
        if groups and not optimizer.player.after_moves:
            groups[-1].append(optimizer)
        else:
            groups.append([optimizer])
    return groups
