"""One step of training, in which the players of a method step in turn, and the state that it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.convert import normalised
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
from cyclegan.training.speed import at_rest, by_hand, checkpoint_activations, set_determinism
from cyclegan.types import Batch, Direction, Images, Remembers


class Learner:
    """Keeps a method, its players' optimizers, the EMA and the number of images seen.

    `epoch` is the number of images in an epoch. Speed options that the recipe leaves at `auto` are off until `use` is
    called with others. If it `resumes`, `restore` must be called before the first step: what a checkpoint has is not
    loaded from elsewhere.
    Raises ValueError for `training.players` that the method does not have, and for a `speed.graph` that is on where
    steps cannot be recorded.
    """

    def __init__(
        self, recipe: Recipe, device: torch.device, *, epoch: int, processes: Processes = ALONE, resumes: bool = False
    ) -> None:  # fmt: skip
        self.recipe, self.device, self.epoch, self.processes, self.images = recipe, device, epoch, processes, 0
        training = recipe.training
        set_determinism(recipe.speed.deterministic)
        torch.manual_seed(training.seed)
        self.method = recipe.build()
        if not (resumes and self.method.saves_backbone):
            self.method.load_backbone()
        self.method.to(device)
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
        has_graphs(recipe.speed, device, processes.count)  # raises when speed.graph is on but not possible
        self._last = StepResult({}, {}, torch.tensor(True))
        self._run: Graphed[StepResult] | Callable[..., StepResult] = self._step
        self.use(Levers(**by_hand(recipe.speed)))

    def use(self, levers: Levers) -> None:
        """Run the networks with these speed options from now on."""
        self.release()
        self.levers, self.autocast = levers, Arithmetic(self.device, levers.precision)
        for network in (self.method, *(self.ema.generators.values() if self.ema else ())):
            set_layout(network, levers.channels_last)
        for optimizer in self.optimizers:
            optimizer.use(levers)
        self.compiler.set(levers.compile)
        self._run = Graphed(self._step, self.method.pools) if levers.graph else self._step

    def release(self) -> None:
        """Free the memory of CUDA graphs, which would otherwise be held until Python collects reference cycles."""
        if isinstance(self._run, Graphed):
            self._run.release()

    @property
    def generators(self) -> Mapping[Direction, Generator]:
        """The generators to translate with: the averaged ones if there is an EMA."""
        return self.ema.generators if self.ema else self.method.generators()

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return lr_at(self.images, self.recipe.training, self.epoch) * self.plateau.factor

    def step(self, pixels: Batch) -> StepResult:
        """Train for one step on `Pixels` (N, C, H, W): every player that is due steps once, or `repeat` times.

        The losses and gradient norms in the result are those of the last step of each player.
        """
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
        """The index of the next step."""
        return self.images // (self.recipe.training.pairs * self.processes.count)

    def _with_last(self, result: StepResult) -> StepResult:
        """Add the last results of players that did not step; copies, because a graph overwrites its results."""
        losses = self._last.losses | {name: loss.clone() for name, loss in result.losses.items()}
        norms = self._last.grad_norms | {name: norm.clone() for name, norm in result.grad_norms.items()}
        self._last = StepResult(losses, norms, result.finite)
        return self._last

    def _step(self, pixels: Batch, *moving: str) -> StepResult:
        """Compute a step on the device only, so that a CUDA graph can record it."""
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
        """Split into batches of `training.batch_size` pairs in [-1, 1], in the current memory layout."""
        layout, pairs = layout_of(self.levers.channels_last), self.recipe.training.batch_size
        a, b = (torch.split(normalised(domain).to(memory_format=layout), pairs) for domain in pixels)
        return [Batch(*both) for both in zip(a, b, strict=True)]

    def _images(self, batch: Batch) -> Images:
        with self.autocast:
            images: Images = self.method(batch)
        return images

    def _differentiate(self, batches: Sequence[Batch], optimizers: Sequence[PlayerOptimizer]) -> list[Gradients]:
        """Return each player's gradients, the mean over batches; only one batch's images are in memory at a time."""
        means: list[Gradients] = []
        for batch in batches:
            images, share = self._images(batch), 1 / len(batches)
            seen = [o.differentiate(batch, images, self.autocast).times(share) for o in optimizers]
            means = [mean.plus(more) for mean, more in zip(means, seen, strict=True)] if means else seen
        return means

    def probe(self, pixels: Batch) -> dict[str, Tensor]:
        """Return losses and gradients by name for a batch (N, C, H, W) of `Pixels` on the device, without stepping.

        Call it within `at_rest`, otherwise the pools store its generated images. In fp16 it adapts the loss scale.
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
        """While open, dropout is off, pools pass images through, and running statistics are not updated.

        No exchange with other processes takes place. Existing CUDA graphs are released.
        """
        self.release()
        dropouts = [module for module in self.method.modules() if isinstance(module, nn.Dropout) and module.training]
        for dropout in dropouts:
            dropout.eval()
        try:
            with at_rest(module for module in self.method.modules() if isinstance(module, Remembers)):
                yield
        finally:
            for dropout in dropouts:
                dropout.train()

    def _seed(self) -> None:
        """Seed the next step from the recipe's seed and the images seen, so that a resumed run repeats it.

        A single process draws for dropout and pool from one stream. Several processes share one pool and draw for it
        from a stream that is the same in all; each has its own stream for dropout.
        """
        if self.shared_random:
            self.shared_random.manual_seed(self._key())
            torch.manual_seed(self._key(1 + self.processes.rank))
        else:
            torch.manual_seed(self._key())

    def _key(self, *whose: int) -> int:
        """Derive a seed from the recipe's seed, the images seen and `whose`."""
        return int(np.random.SeedSequence([self.recipe.training.seed, self.images, *whose]).generate_state(1)[0])

    def begin_alike(self) -> None:
        """Copy networks, pools, averages and optimizer states from the first process to all.

        Different machines may draw different initial weights from the same seed. Raises ValueError when shapes differ.
        """
        averages = self.ema.state_dict().values() if self.ema else ()
        weights = [tensor for state in (self.method.state_dict(), *averages) for tensor in state.values()]
        tensors = [*weights, *(tensor for optimizer in self.optimizers for tensor in optimizer.tensors())]
        self.processes.agree("networks", [(tuple(tensor.shape), tensor.dtype) for tensor in tensors])
        self.processes.copy_first(tensors)

    def checkpoint(self, best: float) -> Checkpoint:
        """Return the whole state as a checkpoint; `best` is the lowest KID of the run."""
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
        """Load a checkpoint, so that training continues exactly as if it had not been interrupted.

        Raises ValueError when the methods differ, or the state does not fit the checkpoint's own recipe.
        """
        if saved.recipe.method != self.recipe.method:
            raise ValueError("trained with a different `method` than the recipe's; use the recipe that it began with")
        try:
            self._load(saved)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:  # torch raises all of these
            raise ValueError(f"its checkpoint does not fit: {' '.join(str(error).split())}") from None

    def _load(self, saved: Checkpoint) -> None:
        self.release()  # a graph would keep using the tensors of the previous state
        self.images = saved.images
        self.plateau.load_state_dict(saved.plateau)
        self.method.load_state_dict(saved.method)
        for optimizer in self.optimizers:
            optimizer.load_state_dict(saved.optimizers[optimizer.player.name])
        if self.ema:
            now = {direction.value: network.state_dict() for direction, network in self.method.generators().items()}
            self.ema.load_state_dict(saved.ema or now)  # an EMA that was off before starts here


def _in_order(optimizers: Sequence[PlayerOptimizer]) -> list[list[PlayerOptimizer]]:
    """Group optimizers, in order: the gradients of one group may all be computed before any of its players steps."""
    groups: list[list[PlayerOptimizer]] = []
    for optimizer in optimizers:
        if groups and not optimizer.player.after_moves:
            groups[-1].append(optimizer)
        else:
            groups.append([optimizer])
    return groups
