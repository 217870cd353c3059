"""cyclegan explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from cyclegan.types import Device, Direction
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Explain:
    """Show what a model does inside with a picture, on a page."""

    model: Positional[Path]
    """Run folder, checkpoint, generator file (.safetensors, .pth, a folder of .pth), or user/name on the hub. Only runs
    and checkpoints have a discriminator to show."""
    picture: Positional[Path]
    """Picture to translate; any file that `translate` reads."""
    out: Path = Path("explain.html")
    """HTML file to write."""
    direction: Annotated[Direction | None, arg(help_behavior_hint="(default: AtoB, or the model's only one)")] = None
    """Direction of the translation."""
    size: Annotated[int | None, arg(help_behavior_hint="(default: the training's, or at most 512)")] = None
    """Resize the picture to this length of the shorter side, in pixels."""
    style: Annotated[tuple[Path, ...], arg(metavar="PICTURE", help_behavior_hint="(default: none)")] = ()
    """Pictures whose styles are shown, for a model with styles; the first one is the style of the translation."""
    seed: int = 0
    """Seed of random styles, for a model that has them."""
    device: Device = "auto"
    """Device to run on. `auto` picks CUDA, then MPS, then the CPU."""

    def run(self) -> int:
        """Write the page, and print where it is."""
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")

        from cyclegan.report.explain.explain import explain
        from cyclegan.report.explain.page import write_explanation

        with Progress("explaining", "steps") as progress:
            explanation = explain(
                self.model,
                self.picture,
                direction=self.direction,
                size=self.size,
                styles=self.style,
                seed=self.seed,
                device=self.device,
                report=progress.report,
            )
        print(shown(write_explanation(explanation, self.out)))
        return 0
