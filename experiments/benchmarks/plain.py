"""A minimal eager CycleGAN that trains like the authors' code: the baseline of the benchmarks.

It is written from a description of that code and does not use the package, so our code cannot slow it down.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = Callable[[Tensor, Tensor], None]


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        return x + self.body(x)  # type: ignore[no-any-return]  # nn.Module calls are Any


def plain_generator(width: int, blocks: int) -> nn.Sequential:
    """Return the authors' `resnet_9blocks` (with 9 blocks), including its biases before the norms."""
    w = width

    def up(i: int, o: int) -> tuple[nn.Module, ...]:
        convolution = nn.ConvTranspose2d(i, o, 3, stride=2, padding=1, output_padding=1)
        return convolution, nn.InstanceNorm2d(o), nn.ReLU(True)

    return nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w), nn.ReLU(True)),
        *(nn.Conv2d(w, 2 * w, 3, stride=2, padding=1), nn.InstanceNorm2d(2 * w), nn.ReLU(True)),
        *(nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1), nn.InstanceNorm2d(4 * w), nn.ReLU(True)),
        *(Block(4 * w) for _ in range(blocks)),
        *up(4 * w, 2 * w),
        *up(2 * w, w),
        *(nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()),
    )


def plain_discriminator(width: int) -> nn.Sequential:
    """The 70x70 PatchGAN."""
    w = width

    def normalised(i: int, o: int, stride: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(i, o, 4, stride, padding=1), nn.InstanceNorm2d(o), nn.LeakyReLU(0.2, True)

    return nn.Sequential(
        *(nn.Conv2d(3, w, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)),
        *normalised(w, 2 * w, 2),
        *normalised(2 * w, 4 * w, 2),
        *normalised(4 * w, 8 * w, 1),
        nn.Conv2d(8 * w, 1, 4, stride=1, padding=1),
    )


def start_weights(module: nn.Module) -> None:
    """Initialize weights from N(0, 0.02), biases with 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class PlainPool:
    """A history of 50 generated images (Shrivastava et al. 2017)."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def __call__(self, fakes: Tensor) -> Tensor:
        """Return the images (N, C, H, W) that the discriminator sees instead of the new ones."""
        seen = []
        for fake in fakes.detach().unsqueeze(1):
            if len(self.images) < 50:
                self.images.append(fake)
                seen.append(fake)
            elif random.random() < 0.5:
                slot = random.randrange(50)
                seen.append(self.images[slot])
                self.images[slot] = fake
            else:
                seen.append(fake)
        return torch.cat(seen)


def plain(width: int, blocks: int, device: torch.device) -> Step:
    """Return a step like the authors': six generator passes; the generators step first, then the discriminators."""
    a_to_b, b_to_a = (plain_generator(width, blocks).to(device).apply(start_weights) for _ in range(2))
    discriminator_a, discriminator_b = (plain_discriminator(width).to(device).apply(start_weights) for _ in range(2))
    generators, discriminators = nn.ModuleList([a_to_b, b_to_a]), nn.ModuleList([discriminator_a, discriminator_b])
    adam_generators = torch.optim.Adam(generators.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_discriminators = torch.optim.Adam(discriminators.parameters(), lr=2e-4, betas=(0.5, 0.999))
    pool_a, pool_b = PlainPool(), PlainPool()

    def squared(scores: Tensor, target: float) -> Tensor:
        return F.mse_loss(scores, torch.full_like(scores, target))

    def step(a: Tensor, b: Tensor) -> None:
        fake_b, fake_a = a_to_b(a), b_to_a(b)
        cycle_a, cycle_b = b_to_a(fake_b), a_to_b(fake_a)

        discriminators.requires_grad_(False)  # as the authors do, to skip their weight gradients
        loss = (
            squared(discriminator_b(fake_b), 1)
            + squared(discriminator_a(fake_a), 1)
            + 10 * (F.l1_loss(cycle_a, a) + F.l1_loss(cycle_b, b))
            + 5 * (F.l1_loss(a_to_b(b), b) + F.l1_loss(b_to_a(a), a))
        )
        adam_generators.zero_grad()
        torch.autograd.backward(loss)
        adam_generators.step()

        discriminators.requires_grad_(True)
        adam_discriminators.zero_grad()
        for judge, real, fake in ((discriminator_a, a, pool_a(fake_a)), (discriminator_b, b, pool_b(fake_b))):
            torch.autograd.backward(0.5 * (squared(judge(real), 1) + squared(judge(fake), 0)))
        adam_discriminators.step()

    return step
