"""Paints pieces one after the other, from files to files; a failed one does not stop the others."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cyclegan.data.files import UnreadableImage, UnwritableImage
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.frames import frame_count
from cyclegan.data.read import read_picture
from cyclegan.data.write import encoded
from cyclegan.inference.inputs import picture_from
from cyclegan.inference.options import Options
from cyclegan.inference.prepare import Prepared, prepare
from cyclegan.inference.sizes import Sizing
from cyclegan.machine.memory import free_memory, is_out_of_memory, told
from cyclegan.painting.extractor import Extractor
from cyclegan.painting.inputs import shares_of, styles_of
from cyclegan.painting.painting import Painting
from cyclegan.painting.pieces import Piece
from cyclegan.painting.record import Record
from cyclegan.painting.task import Task, state_of
from cyclegan.util.atomic import Unwritten, is_about_its_name, write_whole
from cyclegan.util.locks import Busy, locked
from cyclegan.util.text import reason, shown

SAVE_EVERY, PREVIEW_EVERY = 30.0, 2.0
"""Seconds between two states of a painting, and between two previews."""

RARELY = 20
"""Writing a state or a preview takes at most one part in this many of the time."""

PAUSE = 2.0
"""Seconds between two looks at what other processes paint."""

SMALLER = "a smaller --size"
"""The advice when memory runs out."""

Report = Callable[[float, int, str], None]
Say = Callable[[str], None]


class Outcome(NamedTuple):
    """The result of stylizing pictures."""

    painted: list[Path]
    """Files that were written."""
    skipped: list[Path]
    """Files that were finished already, or by another process meanwhile."""
    failed: list[str]
    """One line for each picture that could not be read, painted, or written in its format."""


class Studio:
    """Paints one piece after the other, and keeps what they share.

    `outcome` is filled; `total` counts the pieces with those that are finished already. `stopped` is asked after each
    step. The others are the arguments of `stylize_directory`.
    """

    def __init__(
        self,
        extractor: Extractor,
        task: Task,
        outcome: Outcome,
        total: int,
        *,
        resume: bool,
        report: Report,
        note: Say,
        clock: Callable[[], float],
        stopped: Callable[[], bool],
    ) -> None:
        self.extractor, self.task, self.outcome, self.total = extractor, task, outcome, total
        self.resume, self.report, self.note, self.clock, self.stopped = resume, report, note, clock, stopped
        self.ended, self.part, self.is_stopped = len(outcome.skipped), 0.0, False
        """How many pieces need no more work, what is done of the one in hand, and whether a signal ended the work."""
        self._shows = task.preview is not None

    def paint_all(self, pieces: Sequence[tuple[Piece, Record]]) -> None:
        """Paint pieces. Those that another process paints are waited for; what it leaves when it dies is taken over.

        Raises Busy without `resume` when another process paints one, and Unwritten when writing fails.
        """
        waiting, busy = deque(pieces), 0
        while waiting:
            if self.stopped():
                self.is_stopped = True
                return
            piece, record = waiting.popleft()
            try:
                with _alone(record):
                    self._paint_if_needed(piece, record)
                busy = 0
                if self.is_stopped:
                    return
                self.ended, self.part = self.ended + 1, 0.0
                self.report(self.ended, self.total, "")
            except Busy:
                if not self.resume:
                    raise
                waiting.append((piece, record))
                busy += 1
            if busy and busy >= len(waiting):
                time.sleep(PAUSE)

    def _paint_if_needed(self, piece: Piece, record: Record) -> None:
        """Paint a piece, unless another process has; what is wrong with it is noted in the outcome."""
        if self.resume and state_of(record, resume=True) == "finished":
            self.outcome.skipped.append(piece.output)
            return
        problem = ""
        try:
            if self._paint(piece, record):
                self.outcome.painted.append(piece.output)
        except (UnreadableImage, UnwritableImage) as error:
            problem = str(error)
        except Unwritten as error:
            if not is_about_its_name(error):
                raise
            problem = str(error)
        except (MemoryError, RuntimeError, ValueError) as error:
            why = told(error, SMALLER) if is_out_of_memory(error) else reason(error)
            problem = f"{piece} cannot be painted: {why}"
        if problem:
            free_memory()  # here, not above: the error's traceback holds what the failed step had made
        if problem and problem not in self.outcome.failed:  # a broken style is told once
            self.outcome.failed.append(problem)

    def _paint(self, piece: Piece, record: Record) -> bool:
        """Paint a piece and write it; returns False if a signal came before, once the state is saved."""
        if (count := frame_count(piece.content.path)) > 1:
            raise ValueError(f"it has {count:,} frames or pages; give single pictures")
        sizing = Sizing(size=self.task.settings.size)
        prepared = prepare(read_picture(piece.content.path), RGB_PICTURES, Options(sizing=sizing))
        painting = self._begun(piece, prepared, record)
        save, show = Sometimes(SAVE_EVERY, self.clock), Sometimes(PREVIEW_EVERY, self.clock)
        while painting.advance():
            self.part = painting.share
            self.report(self.ended + self.part, self.total, painting.told)
            if self.stopped():
                record.save(painting.state_dict())
                self.is_stopped = True
                return False
            save(lambda: self._save(record, painting))
            if self._shows:
                show(lambda: self._show(painting))
        picture, pixels = prepared.picture, painting.pixels()
        about: dict[str, Any] = {"kept": picture.kept, "alpha": picture.alpha, "missing": picture.missing}
        record.finish(encoded(pixels, piece.output, space=RGB_PICTURES.space, options=self.task.output, **about))
        if self._shows:
            self._show(painting)
        return True

    def _begun(self, piece: Piece, prepared: Prepared, record: Record) -> Painting:
        """Return the painting of a piece, as far as it had come if that is known."""
        settings, size = self.task.settings, prepared.size
        styles = styles_of(
            [style.path for style in piece.styles],
            settings,
            size,
            masks=self.task.masks,
            style_masks=self.task.style_masks,
            name=piece.content.name,
            style_names=[style.name for style in piece.styles],
        )
        start = shares_of(picture_from(settings.init)) if isinstance(settings.init, Path) else None
        begin = partial(
            Painting,
            shares_of(prepared.pixels),
            styles,
            settings,
            self.extractor,
            start=start,
            clock=self.clock,
            note=self.note,
        )
        painting = begin()
        try:
            state = record.load() if self.resume else None
            if state is None:
                return painting
            painting.load_state_dict(state)
        except (ValueError, KeyError, TypeError) as error:
            self.note(f"{reason(error)}; painting {shown(piece.output)} from the beginning")
            return begin()
        self.note(f"{shown(piece.output)}: continuing at {painting.share:.0%}")
        return painting

    def _save(self, record: Record, painting: Painting) -> None:
        """Write the state; a disk that does not take it does not stop the painting."""
        try:
            record.save(painting.state_dict())
        except Unwritten as error:
            self.note(f"the state of {shown(record.output)} is not saved: {error}")

    def _show(self, painting: Painting) -> None:
        """Write the preview; when that fails, it is the last one."""
        assert self.task.preview is not None
        try:
            pixels = painting.preview()
            write_whole(self.task.preview, encoded(pixels, self.task.preview, space=RGB_PICTURES.space))
        except (Unwritten, UnwritableImage) as error:
            self.note(f"no more previews: {error}")
            self._shows = False


class Sometimes:
    """Does something at most once in `seconds`, and at most for one part in `RARELY` of the time."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds, self.clock = seconds, clock
        self._next = clock() + seconds

    def __call__(self, work: Callable[[], object]) -> None:
        """Do the work if it is due."""
        if (now := self.clock()) < self._next:
            return
        work()
        then = self.clock()
        self._next = then + max(self.seconds, RARELY * (then - now))


@contextmanager
def _alone(record: Record) -> Iterator[None]:
    """Hold the lock of a painting. Raises Busy when another process does, and Unwritten when it cannot be created."""
    try:
        record.lock.parent.mkdir(parents=True, exist_ok=True)
        lock = locked(record.lock)
        lock.__enter__()
    except Busy:
        raise
    except OSError as error:
        raise Unwritten(record.lock, error) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
