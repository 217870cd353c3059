"""Saving a run's checkpoints: the last two and those that the recipe keeps; a full disk costs none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cyclegan.checkpoint import Checkpoint, best_path, checkpoint_path, checkpoints_in, seen_by, write_checkpoint

ALWAYS = 2
"""Checkpoints that are always kept: should the last one be damaged, the one before it is there."""


class Unsaved(OSError):  # noqa: N818  # reads well where it is raised
    """Training ended, and its last state could not be saved."""


class Checkpointer:
    """Keeps the checkpoints of one run; `note` is told when one cannot be written."""

    def __init__(self, run: Path, *, period: int, note: Callable[[str], None]) -> None:
        self.run, self.period, self.note = run, period, note
        self.problem = ""
        """Why the last checkpoint could not be written; empty when it was."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the older ones that nobody asked to keep. When it cannot be, say so."""
        path = checkpoint_path(self.run, checkpoint.images)
        self.problem = _problem(checkpoint, path)
        if self.problem:
            self.note(f"{self.problem}; training goes on and tries again when the next one is due")
            return
        # What lies ahead of it is damaged, or the run would have gone on from there: it counts for nothing.
        for older in [kept for kept in checkpoints_in(self.run) if seen_by(kept) <= checkpoint.images][:-ALWAYS]:
            if not (self.period and seen_by(older) % self.period == 0):
                older.unlink(missing_ok=True)

    def save_best(self, checkpoint: Checkpoint) -> bool:
        """Put a checkpoint in place of the best one; returns whether it is there. When it is not, say so."""
        problem = _problem(checkpoint, best_path(self.run))
        if problem:
            self.note(f"{problem}; training goes on")
        return not problem

    def confirm(self) -> None:
        """Raise Unsaved, with what is left to continue from, when the last checkpoint could not be written."""
        if self.problem:
            left = [str(path) for path in checkpoints_in(self.run)[-1:]] or ["there is none"]
            raise Unsaved(f"{self.problem}; the last good checkpoint: {left[0]}")


def _problem(checkpoint: Checkpoint, path: Path) -> str:
    """Write it; returns why it could not be written, or nothing."""
    try:
        write_checkpoint(checkpoint, path)
    except OSError as error:
        return f"{path} could not be saved: {error.strerror or error}"
    return ""
