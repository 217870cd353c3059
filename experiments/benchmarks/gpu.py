"""Check on a GPU what tests on a CPU cannot, then time training and translating; writes one Markdown table.

    python experiments/benchmarks/gpu.py --out gpu.md

Each stage runs in its own process, so one that fails, hangs or runs out of memory only loses its own rows. A stage for
which too little of `--minutes` is left is skipped, and the table says so. The table is written after each stage.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, fields
from pathlib import Path

from gpu_checks import STAGES, Row, Settings, Stage, failed, last_line, work_together

Launch = Callable[[Stage, Settings, float], list[Row]]
"""Runs a stage with a time limit in seconds; returns its rows."""

Report = Callable[[list[Row], list[Row]], object]
"""Called after each stage with all rows so far, and with the new ones."""


def conduct(
    stages: Sequence[Stage], settings: Settings, minutes: float, launch: Launch, report: Report,
    clock: Callable[[], float] = time.monotonic,
) -> list[Row]:  # fmt: skip
    """Run all stages that fit into `minutes`; returns their rows."""
    rows: list[Row] = []
    end, first = clock() + 60 * minutes, stages[0]
    for stage in stages:
        left = end - clock()
        if any(row.outcome == "failed" for row in rows if row.what == first.what):
            new = [Row(stage.what, "skipped", f"there is no {settings.device} to run it on")]
        elif left < stage.seconds:
            new = [Row(stage.what, "skipped", f"{left:.0f} of {60 * minutes:.0f} s left; give more --minutes")]
        else:
            new = launch(stage, settings, min(left, max(60, 4 * stage.seconds)))
        rows += new
        report(rows, new)
    return rows


def rows_of(stage: Stage, settings: Settings) -> Iterator[Row]:
    """Yield the rows of a stage; an exception becomes a row."""
    try:
        yield from stage.run(settings)
    except Exception as error:
        yield failed(stage.what, error)


def launch(stage: Stage, settings: Settings, limit: float) -> list[Row]:
    """Run a stage in its own process; returns its rows."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "rows.jsonl"
        words = [f"--stage={stage.name}", f"--rows={written}", *settings.words()]
        ended = watched([sys.executable, str(Path(__file__)), *words], limit)
        whole = written.read_text(encoding="utf-8").split("\n")[:-1] if written.exists() else []
    rows = [Row(*json.loads(line)) for line in whole]
    return [*rows, Row(stage.what, "failed", ended)] if ended else rows


def watched(command: Sequence[str], limit: float) -> str:
    """Run a command with a time limit in seconds, then end all that it started; returns how it failed, or nothing."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return f"cut off after {limit:.0f} s"
        finally:
            _end(process)
        said.seek(0)
        return f"ended with {code}: {last_line(said.read())[:300]}" if code else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for ended processes
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def table(rows: Sequence[Row]) -> str:
    """Format the rows as Markdown, with the facts about the machine first."""
    facts = [f"- {row.what}: {row.details}" for row in rows if row.outcome == "is"]
    lines = [
        "| what | outcome | ms a step | a second | times plain | peak GiB | details |",
        "|---|---|" + "---:|" * 4 + "---|",
    ]
    rates = {row.what: row.per_second for row in rows}
    for row in rows:
        if row.outcome == "is":
            continue
        beside = rates.get(row.beside)
        faster = row.per_second / beside if row.per_second and beside else None
        numbers = ["" if n is None else f"{n:.3g}" for n in (row.milliseconds, row.per_second, faster, row.memory)]
        cells = [row.what, f"**{row.outcome}**" if row.outcome in BAD else row.outcome, *numbers, row.details]
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |")
    return "\n".join([*facts, "", *lines]) + "\n"


BAD = ("wrong", "failed")


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when a row is wrong or failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.md"), help="the table")
    parser.add_argument("--minutes", type=float, default=8, help="time limit of all stages together")
    for field, value in zip(fields(Settings), astuple(Settings()), strict=True):
        parser.add_argument(f"--{field.name}", type=type(value), default=value)
    for name in ("stage", "rows", "worker"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    settings = Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})
    if args.worker:
        work_together(settings, Path(args.worker))
        return 0
    if args.stage:
        [stage] = [stage for stage in STAGES if stage.name == args.stage]
        with Path(args.rows).open("w", encoding="utf-8") as file:
            for row in rows_of(stage, settings):
                print(json.dumps(row), file=file, flush=True)
        return 0

    def report(rows: list[Row], new: list[Row]) -> None:
        args.out.write_text(table(rows), encoding="utf-8")
        for row in new:
            print(f"{row.outcome:<9} {row.what} {row.details if row.outcome in (*BAD, 'is') else ''}", flush=True)

    rows = conduct(STAGES, settings, args.minutes, launch, report)
    print(f"\n{table(rows)}\n{args.out}")
    return int(any(row.outcome in BAD for row in rows))


if __name__ == "__main__":
    sys.exit(main())
