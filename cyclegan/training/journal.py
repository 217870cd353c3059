"""What a run writes down: TensorBoard events, sample grids, and a progress bar or plain lines on the console."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from cyclegan.images.files import to_image, write_image


class Journal:
    """Keeps the event file and the bar of one run, from `images` seen to `total`. A context manager.

    The bar shows only on a terminal; elsewhere there are just the notes, so that logs stay readable.
    """

    def __init__(self, run: Path, *, images: int, total: int) -> None:
        self.run, self.images = run, images
        console = Console(stderr=True, highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("images  {task.fields[speed]:.1f}/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.bar = self.progress.add_task(run.name, total=total, completed=images, speed=0.0, losses="")

    def __enter__(self) -> Journal:
        self.writer = SummaryWriter(str(self.run), purge_step=self.images + 1)
        self._since = (time.perf_counter(), self.images)
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
        self.writer.close()

    def note(self, line: str) -> None:
        """A line for the person who watches."""
        self.progress.console.print(line, markup=False, soft_wrap=True)

    def advance(self, images: int) -> None:
        """Move the bar."""
        self.progress.update(self.bar, completed=images)

    def losses(self, losses: Mapping[str, Tensor], rate: float, images: int) -> None:
        """Losses, learning rate and images per second as scalars; this is where the host waits for the device."""
        numbers = {name: loss.item() for name, loss in losses.items()}
        now, (then, before) = time.perf_counter(), self._since
        speed, self._since = (images - before) / (now - then), (now, images)
        for name, number in numbers.items():
            self.writer.add_scalar(f"loss/{name}", number, images)
        self.writer.add_scalar("training/rate", rate, images)
        self.writer.add_scalar("training/images_per_second", speed, images)
        shown = "  ".join(f"{name} {number:.2f}" for name, number in numbers.items() if not name.startswith("identity"))
        self.progress.update(self.bar, speed=speed, losses=shown)

    def samples(self, direction: str, grid: Tensor, images: int) -> None:
        """A grid (3, H, W) in [-1, 1] to TensorBoard and to `samples/`."""
        picture = to_image(grid)
        write_image(picture, self.run / "samples" / f"{images:010d}_{direction}.png")
        self.writer.add_image(f"samples/{direction}", (grid.float().cpu().clamp(-1, 1) + 1) / 2, images)

    def text(self, name: str, words: str) -> None:
        """Words, such as the recipe, to TensorBoard."""
        self.writer.add_text(name, words)
