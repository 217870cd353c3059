"""Files with the random weights of a network, for timings, which do not depend on what a network has learned."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision.models


def untrained(network: str, folder: Path) -> Path:
    """Write the random weights of a classifier of torchvision to a file in a folder, and return its path."""
    path = folder / f"{network}.pth"
    torch.save(torchvision.models.get_model(network, weights=None).state_dict(), path)
    return path
