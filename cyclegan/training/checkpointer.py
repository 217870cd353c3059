"""Saving the checkpoints of a run: the last two and those that the recipe keeps; a full disk destroys none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cyclegan.checkpoint import Checkpoint, best_path, checkpoint_path, checkpoints_in, seen_by, write_checkpoint

ALWAYS = 2
"""Number of checkpoints that are always kept: if the last one is damaged, the one before it remains."""


class Unsaved(OSError):
    """Training ended, but its last state could not be saved."""


class Checkpointer:
    """Writes and removes the checkpoints of one run.

    `period`: checkpoints at multiples of this many images are kept; 0 keeps only the last two. `note` is called with a
    line when a checkpoint cannot be written.
    """

    def __init__(self, run: Path, *, period: int, note: Callable[[str], None]) -> None:
        self.run, self.period, self.note = run, period, note
        self.problem = ""
        """Why the last checkpoint could not be written; empty when it was."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the older ones that need not be kept. A failure is noted, not raised."""
        path = checkpoint_path(self.run, checkpoint.images)
        self.problem = _problem(checkpoint, path)
        if self.problem:
            self.note(f"{self.problem}; training continues and saves again when the next checkpoint is due")
            return
        # Checkpoints with more images are damaged (else the run would have resumed from them), so they do not count.
        for older in [kept for kept in checkpoints_in(self.run) if seen_by(kept) <= checkpoint.images][:-ALWAYS]:
            if not (self.period and seen_by(older) % self.period == 0):
                older.unlink(missing_ok=True)

    def save_best(self, checkpoint: Checkpoint) -> bool:
        """Replace best.pt by this checkpoint; returns whether it was written. A failure is noted, not raised."""
        problem = _problem(checkpoint, best_path(self.run))
        if problem:
            self.note(f"{problem}; training continues")
        return not problem

    def confirm(self) -> None:
        """Raise Unsaved, naming the last good checkpoint, when the last checkpoint could not be written."""
        if self.problem:
            left = [str(path) for path in checkpoints_in(self.run)[-1:]] or ["none"]
            raise Unsaved(f"{self.problem}; the last good checkpoint: {left[0]}")


def _problem(checkpoint: Checkpoint, path: Path) -> str:
    """Write the checkpoint; returns why it could not be written, empty on success."""
    try:
        write_checkpoint(checkpoint, path)
    except OSError as error:
        return f"{path} could not be saved: {error.strerror or error}"
    return ""
