"""A progress bar on a terminal; nothing but notes elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cyclegan.streams import lasting_stderr


class Bar(NamedTuple):
    """How to move it, and how to speak beside it."""

    report: Callable[[int, int | None], None]
    """Told what is done so far, and all there will be."""
    note: Callable[[str], None]


@contextlib.contextmanager
def progress_bar(doing: str, *, of_bytes: bool = False) -> Iterator[Bar]:
    """A bar titled `doing`, counting pictures or bytes."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    console = Console(file=lasting_stderr(), stderr=True, highlight=False)
    columns = [*Progress.get_default_columns(), *([DownloadColumn(), TransferSpeedColumn()] if of_bytes else [])]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(doing, total=None)
        yield Bar(
            report=lambda done, total: progress.update(bar, completed=done, total=total),
            note=lambda line: progress.console.print(line, markup=False, emoji=False, soft_wrap=True),
        )
