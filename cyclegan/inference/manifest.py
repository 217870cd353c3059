"""What was finished in a directory of translations, so that `--resume` trusts nothing else."""

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
"""A hidden file in the directory: one line of JSON for each output."""

FOREIGN = "not known to be finished"
CHANGED = "changed since"
ANOTHER_MODEL = "by another model or direction"
OTHER_OPTIONS = "with another --size or --precision"
ANOTHER_SOURCE = "of a source that changed"

SUPERFLUOUS = 1000
"""Lines that say nothing any more, and more than those that do, before the file is written anew."""


@dataclass(frozen=True, kw_only=True)
class How:
    """All that decides what becomes of a picture."""

    model: str
    """SHA-256 of the generator, its config and its weights."""
    size: int | None
    """Pixels of the shorter side; None for the picture's own size."""
    precision: str


class FileState(NamedTuple):
    """By which a file is known to be the same."""

    bytes: int
    time: int
    """Of its last change, in nanoseconds."""

    @classmethod
    def of(cls, about: os.stat_result) -> FileState:
        """What the system says of a file."""
        return cls(about.st_size, about.st_mtime_ns)


class Done(NamedTuple):
    """An output that was finished."""

    output: FileState
    source: FileState
    how: How


class Manifest:
    """Keeps the record of the directory `out`; a context manager. Nobody else may write to it meanwhile.

    A line is written before its output takes its place, so that no output that is there lacks one, however the process
    ends. One that is damaged loses its own output, nothing else. Raises ValueError for a manifest that is no file, and
    Unwritten when it cannot be written.
    """

    def __init__(self, out: Path, how: How) -> None:
        self.out, self.how, self.path = out, how, out / NAME
        self.done: dict[str, Done] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Manifest:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise ValueError(f"{shown(self.path)}: is no file of ours; remove it")
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        for line in lines:
            with suppress(ValueError, RecursionError):
                name, done = _parsed(line)
                self.done[name] = done
        if len(lines) > 2 * len(self.done) + SUPERFLUOUS:
            write_whole(self.path, b"".join(_line(name, done) for name, done in self.done.items()))
        try:
            self._file = self.path.open("ab", buffering=0)
            if lines and lines[-1]:  # it was killed in the middle of a line
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
        """Why the output of this name below `out` has to be made again; empty when it need not.

        Raises FileNotFoundError when it is not there.
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
        """Record an output that is about to take its place; any thread may. Raises Unwritten."""
        line = _line(name.as_posix(), Done(output, source, self.how)) if source else b""
        try:
            with self._lock:
                while line:  # a disk that is nearly full takes a part of it
                    line = line[self._file.write(line) or 0 :]
        except OSError as error:
            raise Unwritten(self.path, error) from error


def state_of(path: Path) -> FileState | None:
    """That of a file, a link followed; None where there is none."""
    try:
        return FileState.of(path.stat())
    except OSError:
        return None


def _line(name: str, done: Done) -> bytes:
    how = done.how
    fields = {"output": name, "bytes": done.output.bytes, "time": done.output.time}
    fields |= {"source_bytes": done.source.bytes, "source_time": done.source.time}
    fields |= {"model": how.model, "size": how.size, "precision": how.precision}
    return json.dumps(fields).encode() + b"\n"


def _parsed(line: bytes) -> tuple[str, Done]:
    """The name of an output and what is known of it; raises ValueError for another line."""
    fields: Any = json.loads(line)
    match fields:
        case {
            "output": str(name), "bytes": int(size), "time": int(time), "source_bytes": int(source_bytes),
            "source_time": int(source_time), "model": str(model), "size": int() | None as shorter,
            "precision": str(precision),
        }:  # fmt: skip
            how = How(model=model, size=shorter, precision=precision)
            return name, Done(FileState(size, time), FileState(source_bytes, source_time), how)
    raise ValueError("no line of ours")
