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

FOREIGN = "not known to be finished"
CHANGED = "changed since they were written"
ANOTHER_MODEL = "made by another model or direction"
OTHER_OPTIONS = "made with another --size, --precision, --quality or --strip"
ANOTHER_SOURCE = "whose source has changed"

SUPERFLUOUS = 1000
"""The file is rewritten when it has this many outdated lines more than current ones."""


@dataclass(frozen=True, kw_only=True)
class How:
    """Everything besides the source that determines an output."""

    model: str
    """SHA-256 of the generator's config and weights."""
    size: int | None
    """Pixels of the shorter side; None for the size of the source."""
    precision: str
    """The precision that was asked for, or "auto"."""
    written: str = ""
    """The options of the files besides their suffix: quality, strip."""


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
    """Keeps the record of the directory `out`; a context manager. No other process may write to it while it is open.

    A line is written before its output is moved into place, so every finished output has one, however the process ends.
    A damaged line only affects its own output. Raises ValueError when the manifest is not a regular file, and Unwritten
    when it cannot be written.
    """

    def __init__(self, out: Path, how: How) -> None:
        self.out, self.how, self.path = out, how, out / NAME
        self.done: dict[str, Done] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Manifest:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise ValueError(f"{shown(self.path)}: not a file that cyclegan wrote; remove it")
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        for line in lines:
            with suppress(ValueError, RecursionError):
                name, done = _parsed(line)
                self.done[name] = done
        if len(lines) > 2 * len(self.done) + SUPERFLUOUS:
            write_whole(self.path, b"".join(_line(name, done) for name, done in self.done.items()))
        try:
            self._file = self.path.open("ab", buffering=0)
            if lines and lines[-1]:  # the last process was killed in the middle of a line
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

    def doubt(self, name: Path, source: Path) -> str:
        """Return why the output of this name below `out` must be made again; empty if it need not.

        Raises FileNotFoundError when the output does not exist.
        """
        output = FileState.of((self.out / name).lstat())
        done = self.done.get(name.as_posix())
        if done is None:
            return FOREIGN
        if done.output != output:
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
    fields |= {"model": how.model, "size": how.size, "precision": how.precision, "written": how.written}
    return json.dumps(fields).encode() + b"\n"


def _parsed(line: bytes) -> tuple[str, Done]:
    """Parse a line into the name and the record of an output; raises ValueError for an invalid line."""
    fields: Any = json.loads(line)
    match fields:
        case {
            "output": str(name), "bytes": int(size), "time": int(time), "source_bytes": int(source_bytes),
            "source_time": int(source_time), "model": str(model), "size": int() | None as shorter,
            "precision": str(precision),
        }:  # fmt: skip
            written = fields.get("written", "")
            how = How(model=model, size=shorter, precision=precision, written=written)
            return name, Done(FileState(size, time), FileState(source_bytes, source_time), how)
    raise ValueError("not a line of a manifest")
