"""CycleGAN's training step once more, as plain functions on lists of tensors, to compare the package with.

It shares no line with `cyclegan` and is checked against outputs of the authors' code in test_plain_reference.py.
Convolutions followed by instance norm carry no bias, because the norm subtracts it again. Number type, width and depth
are those of the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.5, 0.999, 1e-8
CYCLE, IDENTITY = 10.0, 5.0
POOL_SIZE = 50


# Networks


def norm(x: Tensor) -> Tensor:
    return F.instance_norm(x, eps=1e-5)


def reflect(x: Tensor, pixels: int) -> Tensor:
    return F.pad(x, (pixels, pixels, pixels, pixels), mode="reflect")


def generator(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """`weights`: convolutions from first to last (two for each residual block), then the last one's bias."""
    first, down_1, down_2, *blocks, up_1, up_2, last, last_bias = weights
    x = F.relu(norm(F.conv2d(reflect(x, 3), first)))
    x = F.relu(norm(F.conv2d(x, down_1, stride=2, padding=1)))
    x = F.relu(norm(F.conv2d(x, down_2, stride=2, padding=1)))
    for one, two in zip(blocks[0::2], blocks[1::2], strict=True):
        y = F.relu(norm(F.conv2d(reflect(x, 1), one)))
        x = x + norm(F.conv2d(reflect(y, 1), two))
    x = F.relu(norm(F.conv_transpose2d(x, up_1, stride=2, padding=1, output_padding=1)))
    x = F.relu(norm(F.conv_transpose2d(x, up_2, stride=2, padding=1, output_padding=1)))
    return torch.tanh(F.conv2d(reflect(x, 3), last, last_bias))


def discriminator(parameters: Sequence[Tensor], x: Tensor) -> Tensor:
    """`parameters`: first convolution and its bias, the normalised convolutions, last convolution and its bias."""
    first, first_bias, *halving, keeping, last, last_bias = parameters
    x = F.leaky_relu(F.conv2d(x, first, first_bias, stride=2, padding=1), 0.2)
    for weight in halving:
        x = F.leaky_relu(norm(F.conv2d(x, weight, stride=2, padding=1)), 0.2)
    x = F.leaky_relu(norm(F.conv2d(x, keeping, stride=1, padding=1)), 0.2)
    return F.conv2d(x, last, last_bias, stride=1, padding=1)


# Losses, optimizer, pool


def squared(scores: Tensor, target: float) -> Tensor:
    return (scores - target).square().mean()


def absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().mean()


@dataclass
class Adam:
    """First and second moments of one player's parameters, and the number of its moves so far (Kingma & Ba 2015)."""

    parameters: list[Tensor]
    moves: int = 0

    def __post_init__(self) -> None:
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    def move(self, loss: Tensor, lr: float) -> None:
        gradients = torch.autograd.grad(loss, self.parameters)
        self.moves += 1
        with torch.no_grad():
            for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
                m.copy_(BETA_1 * m + (1 - BETA_1) * g)
                v.copy_(BETA_2 * v + (1 - BETA_2) * g * g)
                m_hat = m / (1 - BETA_1**self.moves)
                v_hat = v / (1 - BETA_2**self.moves)
                p.copy_(p - lr * m_hat / (v_hat.sqrt() + EPSILON))


def from_pool(pool: list[Tensor], fakes: Tensor, slots: Sequence[int | None]) -> Tensor:
    """Return what the discriminator gets instead of `fakes`; updates `pool`.

    `slots`, one for each image, stand in for chance once the pool is full: a number takes that stored image out and
    puts the new one there; None lets the new one pass. While the pool is filling, the new image is stored and passes.
    """
    seen = []
    for fake, slot in zip(fakes, slots, strict=True):
        if len(pool) < POOL_SIZE:
            pool.append(fake)
            seen.append(fake)
        elif slot is None:
            seen.append(fake)
        else:
            seen.append(pool[slot])
            pool[slot] = fake
    return torch.stack(seen)


# The training step


@dataclass
class State:
    """Everything that a step changes. The parameters are copied at the beginning and then updated in place."""

    a_to_b: list[Tensor]
    b_to_a: list[Tensor]
    discriminator_a: list[Tensor]
    """Judges images of domain A."""
    discriminator_b: list[Tensor]
    """Judges images of domain B."""
    pool_a: list[Tensor] = field(default_factory=list)
    pool_b: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.a_to_b, self.b_to_a = own(self.a_to_b), own(self.b_to_a)
        self.discriminator_a, self.discriminator_b = own(self.discriminator_a), own(self.discriminator_b)
        self.generators = Adam([*self.a_to_b, *self.b_to_a])
        self.discriminators = Adam([*self.discriminator_a, *self.discriminator_b])


def own(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [p.detach().clone().requires_grad_() for p in parameters]


def step(
    state: State,
    a: Tensor,
    b: Tensor,
    lr: float,
    slots_a: Sequence[int | None] = (),
    slots_b: Sequence[int | None] = (),
) -> dict[str, Tensor]:
    """One move of both generators, then one of both discriminators; returns the losses, weighted as they are summed.

    Without `slots` a full pool lets every new fake pass (see `from_pool`).
    """
    fake_b, fake_a = generator(state.a_to_b, a), generator(state.b_to_a, b)
    generators = {
        "gan_a": squared(discriminator(state.discriminator_a, fake_a), 1),
        "gan_b": squared(discriminator(state.discriminator_b, fake_b), 1),
        "cycle_a": CYCLE * absolute(generator(state.b_to_a, fake_b), a),
        "cycle_b": CYCLE * absolute(generator(state.a_to_b, fake_a), b),
        "identity_a": IDENTITY * absolute(generator(state.b_to_a, a), a),
        "identity_b": IDENTITY * absolute(generator(state.a_to_b, b), b),
    }
    state.generators.move(torch.stack(list(generators.values())).sum(), lr)

    old_a = from_pool(state.pool_a, fake_a.detach(), slots_a or [None] * len(a))
    old_b = from_pool(state.pool_b, fake_b.detach(), slots_b or [None] * len(b))
    real_a, real_b = discriminator(state.discriminator_a, a), discriminator(state.discriminator_b, b)
    false_a, false_b = discriminator(state.discriminator_a, old_a), discriminator(state.discriminator_b, old_b)
    discriminators = {
        "discriminator_a": 0.5 * (squared(real_a, 1) + squared(false_a, 0)),
        "discriminator_b": 0.5 * (squared(real_b, 1) + squared(false_b, 0)),
    }
    state.discriminators.move(torch.stack(list(discriminators.values())).sum(), lr)
    return {name: loss.detach() for name, loss in (generators | discriminators).items()}
