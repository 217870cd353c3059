"""The record of finished outputs in a directory of translations, which `--resume` relies on."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from cyclegan.util.atomic import Unwritten, sync, write_whole
from cyclegan.util.text import shown

NAME = ".cyclegan-translate.jsonl"
"""The name of the manifest, a hidden file in the directory: one line of JSON for each output."""

FOLDER = ".cyclegan-translate"
"""The hidden folder of the processes that translate into the directory now; the last one removes it."""

FOREIGN = "not known to be finished"
CHANGED = "changed since they were written"
ANOTHER_MODEL = "made by another model or direction"
OTHER_OPTIONS = "made with other options"
ANOTHER_SOURCE = "whose source has changed"

SUPERFLUOUS = 1000
"""The manifest is rewritten when it has this many outdated lines more than current ones."""


@dataclass(frozen=True, kw_only=True)
class How:
    """Everything besides the source that determines an output."""

    model: str
    """SHA-256 of the generator's config and weights."""
    precision: str
    """The precision that was asked for, or "auto"."""
    written: str = ""
    """The other options, see `Options.__str__`."""


class FileState(NamedTuple):
    """The size and time of a file, used to detect that it has changed."""

    bytes: int
    """Its size."""
    time: int
    """Time of its last modification, in nanoseconds."""

    @classmethod
    def of(cls, about: os.stat_result) -> FileState:
        """Return the state of a file from its `os.stat_result`."""
        return cls(about.st_size, about.st_mtime_ns)


class Done(NamedTuple):
    """A finished output."""

    output: FileState
    source: FileState
    how: How


class Manifest:
    """The record of the directory `out`: what every process has finished there. A context manager, to write to it.

    It is read from the manifest and from the parts in `out/.cyclegan-translate`. Each process writes a part of its own,
    `part`, so that lines never mix on a network disk; without one, it writes to the manifest, as only one process may.
    A line is written before its output is moved into place, so every finished output has one, however the process ends.
    A damaged line only affects its own output. Raises ValueError when the manifest is not a regular file, and Unwritten
    when it cannot be written.
    """

    def __init__(self, out: Path, how: How, part: Path | None = None) -> None:
        self.out, self.how, self.path = out, how, part or out / NAME
        self.done: dict[str, Done] = {}
        """The last record of each output."""
        self._earlier: dict[str, list[Done]] = {}
        self.is_long = False
        """Whether most of its lines are outdated."""
        self._lock = threading.Lock()

    def __enter__(self) -> Manifest:
        self.read()
        try:
            self._file = self.path.open("ab", buffering=0)
            if _is_cut(self.path):  # the last process was killed in the middle of a line
                self._file.write(b"\n")
        except OSError as error:
            raise Unwritten(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            try:
                sync(self._file.fileno())
            except OSError as problem:
                if error is None:
                    raise Unwritten(self.path, problem) from problem

    def read(self) -> None:
        """Read the records again, with those that other processes have written since."""
        self.done, self._earlier, number = {}, {}, 0
        for path in (self.out / NAME, *parts_in(self.out)):
            for line in _lines(path):
                with suppress(ValueError, RecursionError):
                    self._know(*_parsed(line))
                number += 1
        self.is_long = number > 2 * len(self.done) + SUPERFLUOUS

    def doubt(self, name: str | Path, source: Path) -> str:
        """Return why the output of this name below `out` must be made again; empty if it need not.

        Raises FileNotFoundError when the output does not exist.
        """
        output, name = FileState.of((self.out / name).lstat()), Path(name).as_posix()
        last = self.done.get(name)
        if last is None:
            return FOREIGN
        # A process that was killed between its line and its file leaves the file of an earlier line.
        done = next((done for done in (last, *reversed(self._earlier.get(name, ()))) if done.output == output), None)
        if done is None:
            return CHANGED
        if done.how.model != self.how.model:
            return ANOTHER_MODEL
        if done.how != self.how:
            return OTHER_OPTIONS
        return "" if done.source == state_of(source) else ANOTHER_SOURCE

    def add(self, name: Path, output: FileState, source: FileState | None) -> None:
        """Record an output that is about to be moved into place; thread-safe. Raises Unwritten when it cannot."""
        line = _line(name.as_posix(), Done(output, source, self.how)) if source else b""
        try:
            with self._lock:
                while line:  # a nearly full disk may accept only a part
                    line = line[self._file.write(line) or 0 :]
        except OSError as error:
            raise Unwritten(self.path, error) from error

    def _know(self, name: str, done: Done) -> None:
        before = self.done.get(name)
        if before is not None and before.output != done.output:
            self._earlier.setdefault(name, []).append(before)
        self.done[name] = done


def parts_in(out: Path) -> list[Path]:
    """Return the parts of the manifest of a directory that processes write, or have left when they were killed."""
    return sorted((out / FOLDER).glob("*.jsonl"))


def merge(out: Path, part: Path) -> None:
    """Append a part to the manifest of a directory and remove it; only one process may do so at a time.

    Raises Unwritten when it cannot be written; then the part stays.
    """
    path = out / NAME
    _check(path)
    try:
        if written := part.read_bytes():
            begin = b"\n" if _is_cut(path) else b""  # a process that was killed may have left half a line in either
            end = b"" if written.endswith(b"\n") else b"\n"
            with path.open("ab") as file:
                file.write(begin + written + end)
                file.flush()
                sync(file.fileno())
        part.unlink()
    except OSError as error:
        raise Unwritten(path, error) from error


def _is_cut(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def shorten(out: Path) -> None:
    """Rewrite the manifest of a directory without its outdated lines; only one process may do so at a time."""
    lines = dict[str, bytes]()
    for line in _lines(out / NAME):
        with suppress(ValueError, RecursionError):
            lines[_parsed(line)[0]] = line + b"\n"
    write_whole(out / NAME, b"".join(lines.values()))


def _check(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"{shown(path)}: not a file that cyclegan wrote; remove it")


def _lines(path: Path) -> list[bytes]:
    _check(path)
    try:
        return path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []


def state_of(path: Path) -> FileState | None:
    """Return the state of a file, following links; None if it does not exist."""
    try:
        return FileState.of(path.stat())
    except OSError:
        return None


def _line(name: str, done: Done) -> bytes:
    how = done.how
    fields = {"output": name, "bytes": done.output.bytes, "time": done.output.time}
    fields |= {"source_bytes": done.source.bytes, "source_time": done.source.time}
    fields |= {"model": how.model, "precision": how.precision, "written": how.written}
    return json.dumps(fields).encode() + b"\n"


def _parsed(line: bytes) -> tuple[str, Done]:
    """Parse a line into the name and the record of an output; raises ValueError for an invalid line."""
    fields: Any = json.loads(line)
    match fields:
        case {
            "output": str(name), "bytes": int(size), "time": int(time), "source_bytes": int(source_bytes),
            "source_time": int(source_time), "model": str(model), "precision": str(precision),
        }:  # fmt: skip
            shorter = fields.get("size")  # of earlier versions
            options = f"size {shorter} {fields.get('written', '')}" if shorter else str(fields.get("written", ""))
            how = How(model=model, precision=precision, written=options.strip())
            return name, Done(FileState(size, time), FileState(source_bytes, source_time), how)
    raise ValueError("not a line of a manifest")
