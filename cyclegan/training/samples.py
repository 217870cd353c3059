"""Sample grids: fixed held-out pictures, translated again and again while the networks learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from PIL import ImageOps
from torch import Tensor, nn
from torchvision.utils import make_grid

from cyclegan.images.files import UnreadableImage, find_images, read_image, to_tensor
from cyclegan.types import Direction


class Samples:
    """Keeps the first `number` pictures of testA and testB (of the training folders where there is no test)."""

    def __init__(self, root: Path, number: int, size: Sequence[int], device: torch.device) -> None:
        self.real: dict[Direction, Tensor] = {
            "AtoB": held_out(root, "A", number, size).to(device),
            "BtoA": held_out(root, "B", number, size).to(device),
        }

    @torch.no_grad()
    def grids(
        self, translators: Mapping[Direction, nn.Module], autocast: torch.autocast
    ) -> Iterator[tuple[Direction, Tensor]]:
        """For each direction (3, H', W') in [-1, 1]: rows of real | fake | cycle | identity.

        The last two only where the way back is learned too.
        """
        for direction, network in translators.items():
            real, back = self.real[direction], translators.get("BtoA" if direction == "AtoB" else "AtoB")
            if not len(real):
                continue
            training = network.training
            for each in translators.values():
                each.eval()
            with autocast, torch.compiler.set_stance("force_eager"):  # this shape is not worth compiling for
                fake = network(real)
                columns = [real, fake] + ([back(fake), back(real)] if back else [])
            for each in translators.values():
                each.train(training)
            rows = torch.stack([column.float() for column in columns], dim=1).flatten(0, 1)
            yield direction, make_grid(rows, nrow=len(columns), padding=4, pad_value=1.0)


def held_out(root: Path, domain: str, number: int, size: Sequence[int]) -> Tensor:
    """The first readable pictures of testA or testB, else of the training folder, fitted to `size` (H, W).

    Returns (N, 3, H, W) in [-1, 1], N at most `number`.
    """
    folder = root / f"test{domain}"
    pictures: list[Tensor] = []
    for path in find_images(folder if folder.is_dir() else root / f"train{domain}"):
        if len(pictures) == number:
            break
        try:
            pictures.append(to_tensor(ImageOps.fit(read_image(path), (size[1], size[0]))))
        except UnreadableImage:  # named when training meets it
            continue
    return torch.stack(pictures) if pictures else torch.empty(0, 3, *size)
