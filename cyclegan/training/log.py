"""The records of a run: TensorBoard events, sample grids, and progress on the console."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from cyclegan.data.convert import to_image
from cyclegan.data.write import write_image
from cyclegan.training.charts import layout
from cyclegan.util.progress import Progress


class RunLog:
    """The event file and the progress of one run, from `images` seen to `total`. A context manager.

    When records cannot be written, on a full disk for example, one note says so and training continues without them.
    Of several processes, only the one that `writes` keeps records and shows progress.
    """

    def __init__(self, run: Path, *, images: int, total: int, writes: bool = True) -> None:
        self.run, self.images, self.total, self.writes = run, images, total, writes
        self.writer: SummaryWriter | None = None
        self.progress = Progress(run.name, "images", speaks=writes)
        self._since = (time.perf_counter(), images)
        self._complained = False
        self._charted: dict[str, None] = {}

    def __enter__(self) -> RunLog:
        threading.excepthook, self._hook = _without_tensorboard(threading.excepthook), threading.excepthook
        if self.writes:
            self._record(lambda events: None)
        self._since = (time.perf_counter(), self.images)
        self.progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        if self.writer:
            self._record(lambda events: events.close())
        threading.excepthook = self._hook

    def note(self, line: str) -> None:
        """Print a line beside the progress."""
        self.progress.note(line)

    def advance(self, images: int) -> None:
        """Show that this number of images is seen."""
        self.progress.report(images, self.total)

    def needs(self, memory: float | None) -> None:
        """Show the peak memory in GiB; None where it is unknown."""
        if memory:
            self.progress.beside["memory"] = f"{memory:.1f} GiB of memory"

    def numbers(self, numbers: Mapping[str, float], images: int) -> None:
        """Write scalars by tag, and the speed since the last call; the progress shows losses and memory."""
        now, (then, before) = time.perf_counter(), self._since
        speed, self._since = (images - before) / (now - then), (now, images)
        numbers = {**numbers, "training/images_per_second": speed}
        self.scalars(numbers, images)
        losses = {tag.removeprefix("loss/"): number for tag, number in numbers.items() if tag.startswith("loss/")}
        shown = (f"{name} {loss:.2f}" for name, loss in losses.items() if not name.startswith("identity"))
        self.progress.beside["losses"] = ", ".join(shown)
        self.needs(numbers.get("training/memory_gib"))

    def scalars(self, numbers: Mapping[str, float], images: int) -> None:
        """Write scalars by tag, and a layout of the Custom Scalars dashboard that has a chart for every tag so far."""
        if not self._charted.keys() >= numbers.keys():
            self._charted |= dict.fromkeys(numbers)
            shown = layout(self._charted)
            self._record(lambda events: events.add_custom_scalars(shown))
        for tag, number in numbers.items():
            self._record(partial(SummaryWriter.add_scalar, tag=tag, scalar_value=number, global_step=images))

    def samples(self, direction: str, grid: Tensor, images: int) -> None:
        """Write a grid (3, H, W) in [-1, 1] to TensorBoard and to `samples/`, unless it is not finite."""
        if self.picture(f"samples/{direction}", grid, images):
            picture, path = to_image(grid), self.run / "samples" / f"{images:010d}_{direction}.png"
            self._record(lambda events: write_image(picture, path))

    def picture(self, tag: str, picture: Tensor, images: int) -> bool:
        """Write a picture (3, H, W) in [-1, 1] to TensorBoard if it is finite; return whether it is."""
        if not picture.isfinite().all():
            self.note(f"Skipped the picture {tag} at image {images:,}: it has values that are not finite")
            return False
        shown = (picture.float().cpu().clamp(-1, 1) + 1) / 2
        self._record(lambda events: events.add_image(tag, shown, images))
        return True

    def histogram(self, tag: str, values: Tensor, images: int) -> None:
        """Write the distribution of values, unless some are not finite."""
        if values.isfinite().all():
            self._record(lambda events: events.add_histogram(tag, values, images))

    def text(self, name: str, words: str) -> None:
        """Write a text in Markdown."""
        self._record(lambda events: events.add_text(name, words, self.images))

    def settings(self, settings: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """Write a row of TensorBoard's table of hyperparameters; it shows the last value of each metric beside them."""
        columns, *row = hparams(dict(settings), dict.fromkeys(metrics, 0.0))  # type: ignore[no-untyped-call]
        # Without metrics TensorBoard chooses the columns from the scalars that there are.
        for summary in [columns, *row] if metrics else row:
            self._record(partial(_add_summary, summary=summary))

    def graph(self, network: nn.Module, example: Tensor) -> None:
        """Write the graph of a network."""
        with warnings.catch_warnings(action="ignore"):  # TensorBoard traces, and tracing warns about every branch
            self._record(lambda events: events.add_graph(network, example))

    def flush(self) -> None:
        """Write what TensorBoard has buffered to the disk."""
        self._record(SummaryWriter.flush)

    def _record(self, write: Callable[[SummaryWriter], object]) -> None:
        try:
            if self.writer is None:
                self.writer = SummaryWriter(str(self.run), purge_step=None if self._complained else self.images + 1)
            write(self.writer)
        except OSError as error:
            self.writer = None  # a failed writer stays broken; the next record opens a new one
            if not self._complained:
                self.note(f"{self.run}: records cannot be written ({error.strerror or error}); training continues")
            self._complained = True


def _add_summary(events: SummaryWriter, summary: Any) -> None:
    events._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]


def _without_tensorboard(hook: Callable[[threading.ExceptHookArgs], object]) -> Callable[[Any], object]:
    """The hook without the errors of TensorBoard's thread on a full disk, which the log meets and reports itself."""

    def quieter(failed: threading.ExceptHookArgs) -> None:
        ours = type(failed.thread).__module__.startswith("tensorboard") and isinstance(failed.exc_value, OSError)
        if not ours:
            hook(failed)

    return quieter
