"""cyclegan export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.types import Direction


@dataclass(frozen=True)
class Export:
    """Write one generator as a .safetensors file that needs nothing else."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint or reference generator (.pth)."""
    out: Positional[Path]
    """File to write, NAME.safetensors."""
    direction: Direction | None = None
    """Which way; by default AtoB, or the only one that the file knows."""

    def run(self) -> int:
        """Write the file."""
        if self.out.suffix != ".safetensors":
            raise ValueError(f"{self.out}: the name must end in .safetensors")

        from cyclegan.inference.export import write_generator
        from cyclegan.inference.translator import load_generator

        network, direction = load_generator(self.checkpoint, self.direction)
        write_generator(network, direction, self.out)
        print(f"{self.out}: translates {direction}")
        return 0
