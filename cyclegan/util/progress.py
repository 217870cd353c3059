"""Report the progress of long work: a bar on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from cyclegan.util.streams import lasting_stderr
from cyclegan.util.text import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

SOON, MINUTE, LONG = 10.0, 60.0, 900.0
"""Seconds between two lines: the least for quick work, the least for other work, and the most."""

WINDOW = 300.0
"""Seconds over which the speed is averaged."""

UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


class Progress:
    """A context manager that reports how much work is done, its speed, and the time left.

    On a terminal it shows a bar. Elsewhere it writes lines of plain ASCII for a log file. The first line comes after
    ten seconds. Then there is a line at each percent, but at most one a minute and at least one every 15 minutes; short
    work has a line at each 10 percent, but at most one every ten seconds. A day of training has about a hundred lines,
    three minutes have ten, a few seconds have none. If there were lines, the last one gives the total time.

    `unit` is the plural of what is counted, and `size` is how much of `report`'s numbers make one unit. With
    `speaks=False`, only notes are written. `clock` returns seconds.
    """

    def __init__(
        self, doing: str, unit: str = "pictures", *, size: int = 1, speaks: bool = True,
        stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.doing, self.unit, self.size, self.speaks, self.clock = doing, unit, size, speaks, clock
        self.beside: dict[str, str] = {}
        """Text that is added to each report, by name, such as the current losses."""
        self._stream = stream or lasting_stderr()  # None if the process has no stderr
        self._bar: Bar | None = None
        self._began, self._lines, self._done = clock(), 0, 0
        self._total: int | None = None
        self._told: tuple[float, int] | None = None  # time and progress at the last line, or at the first report
        self._marks: deque[tuple[float, int]] = deque()  # the same at several points of the last minutes

    def __enter__(self) -> Progress:
        self._began = self.clock()
        if self.speaks and self._stream and self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _bar(self._stream, self.doing)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None
        elif self._lines and kind is None:
            self._say(f"{self._count()} in {duration(self.clock() - self._began)}")

    def note(self, line: str) -> None:
        """Print a line beside the progress."""
        if self._bar:
            self._bar.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
        else:
            self._write(line)

    def report(self, done: int, total: int | None) -> None:
        """Set how much is done, and the total (None if unknown). Speed is measured from the first report on."""
        now, self._done, self._total = self.clock(), done, total
        self._told = self._told or (now, done)
        if not self._marks or now - self._marks[-1][0] >= WINDOW / 100:
            self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[1][0] >= WINDOW:
            self._marks.popleft()
        if self._bar:
            told = f"{self._count()}{self._pace(now)}"
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, told=told)
        elif self.speaks and self._due(now, *self._told):
            self._told, self._lines = (now, done), self._lines + 1
            self._say(f"{self._count()}{self._pace(now)}")

    def _due(self, now: float, then: float, before: int) -> bool:
        waited = now - then
        if self._done == self._total:  # the last line, on exit, reports the end
            return False
        first = waited >= SOON and not self._lines
        quick = waited >= SOON and self._share(10) > self._share(10, before)
        slow = waited >= MINUTE and (self._total is None or self._share(100) > self._share(100, before))
        return first or quick or slow or waited >= LONG

    def _share(self, parts: int, done: int | None = None) -> int:
        """Return how many of `parts` equal parts are done."""
        return (self._done if done is None else done) * parts // self._total if self._total else 0

    def _count(self) -> str:
        done, total = self._done // self.size, None if self._total is None else self._total // self.size
        if total is None:
            return f"{done:,} {self.unit}"
        return f"{done:,} of {total:,} {self.unit} ({self._share(100)} %)"

    def _pace(self, now: float) -> str:
        then, before = self._marks[0]
        told = []
        if now > then and self._done > before:
            speed = (self._done - before) / (now - then)
            told.append(f"{_short(speed / self.size)} {self.unit}/s")
            told += [f"{duration((self._total - self._done) / speed)} left"] if self._total is not None else []
        return "".join(f", {part}" for part in [*told, *self.beside.values()])

    def _say(self, line: str) -> None:
        self._write(one_line(f"{self.doing}: {line}", 1000).encode("ascii", "backslashreplace").decode())

    def _write(self, line: str) -> None:
        if self._stream:
            self._stream.write(f"{line}\n")
            self._stream.flush()


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: 45 s, 3 min 20 s, 2 h 14 min, 3 d 4 h."""
    whole = round(seconds)
    for (unit, size), (smaller, part) in pairwise(UNITS):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _bar(stream: TextIO, doing: str) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    rest = Column(ratio=1, no_wrap=True)  # on a narrow terminal the end of the text is cut off
    told = TextColumn("{task.fields[told]}", markup=False, table_column=rest)
    columns = TextColumn("{task.description}", markup=False), BarColumn(bar_width=10), told
    bar = Progress(*columns, console=Console(file=stream, highlight=False), expand=True)
    bar.add_task(doing, total=None, told="")
    return bar
