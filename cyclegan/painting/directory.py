"""Stylizing pictures in files, with states and previews; failures are listed, not fatal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cyclegan.painting.extractor import Extractor
from cyclegan.painting.pieces import pieces_of
from cyclegan.painting.record import Record
from cyclegan.painting.studio import Outcome, Report, Say, Studio
from cyclegan.painting.task import Planned, Task, planned, refusal, state_of
from cyclegan.util.atomic import Unwritten
from cyclegan.util.signals import Stopped, StopSignals
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched


class Unfinished(OSError):
    """Writing failed, for example on a full disk; `outcome` lists what was done before, all of it complete."""

    def __init__(self, outcome: Outcome, total: int, problem: OSError) -> None:
        super().__init__(problem.errno, problem.strerror)
        done = len(outcome.painted) + len(outcome.skipped)
        self.outcome, self.line = outcome, f"{problem}; {done:,} of {total:,} are painted; continue with --resume"

    def __str__(self) -> str:
        return self.line


@untouched()
def stylize_directory(
    extractor: Extractor,
    content: Path,
    styles: Sequence[Path],
    out: Path,
    task: Task | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    report: Report = lambda done, total, told: None,
    note: Say = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Stylize a picture, or each picture in a folder of contents, with one style or several; see `pieces_of`.

    Each painting has the size of its content, its format, and what still holds of its metadata. A picture that cannot
    be read or painted is listed in `Outcome.failed`; the others are painted. The state of an unfinished painting is
    kept in a hidden folder beside its file, written every half minute and when a signal comes.

    `resume` keeps paintings that were finished by the same network, with the same settings, from the same pictures, and
    continues unfinished ones exactly where they were. With it, several processes may paint in one directory: each takes
    what no other works on, also what a killed one has left. Files that were not painted here, or that were changed, are
    only replaced with `overwrite`.

    `report` is called after each step with what is done (2.5 of `total` paintings), and what is painted in a few words;
    `note` with a line for the user. `clock` returns seconds.

    Raises what `pieces_of` raises; ValueError when files would be overwritten, and for masks or weights of another
    number than the styles; `Busy` without `resume` when another process paints the same; `Unfinished` when writing
    fails; `Stopped` after a signal, once all is saved.
    """
    task = task or Task()
    pieces = pieces_of(content, styles, out, task.output)
    task.check(pieces)
    records = {piece: Record(piece.output, task.made(piece, extractor.told)) for piece in pieces}
    states = {piece: state_of(record, resume=resume) for piece, record in records.items()}
    foreign = [piece.output for piece, state in states.items() if state == "overwrite"]
    if foreign and not overwrite:
        raise ValueError(refusal(foreign))
    finished = [piece.output for piece, state in states.items() if state == "finished"]
    outcome = Outcome([], finished, [])
    with StopSignals() as stop:
        studio = Studio(
            extractor,
            task,
            outcome,
            len(pieces),
            resume=resume,
            report=report,
            note=note,
            clock=clock,
            stopped=lambda: bool(stop.received),
        )
        try:
            studio.paint_all([(piece, record) for piece, record in records.items() if states[piece] != "finished"])
        except Unwritten as error:
            raise Unfinished(outcome, len(pieces), error) from error
    if studio.is_stopped:
        done = f"stopped after {studio.ended + studio.part:.2f} of {len(pieces):,} paintings"
        kept = f"finished ones and the state of the last are in {shown(out)}"
        raise Stopped(f"{done}; {kept}", stop.received)
    return outcome


@untouched()
def dry_run(
    extractor: Extractor, content: Path, styles: Sequence[Path], out: Path, task: Task, *, resume: bool = False
) -> list[Planned]:
    """Return what `stylize_directory` would do with these arguments; nothing is changed, and `out` is not created.

    Raises like it, but for files that would be overwritten.
    """
    pieces = pieces_of(content, styles, out, task.output)
    task.check(pieces)
    records = [Record(piece.output, task.made(piece, extractor.told)) for piece in pieces]
    return [
        planned(piece, state_of(record, resume=resume), task.settings)
        for piece, record in zip(pieces, records, strict=True)
    ]
