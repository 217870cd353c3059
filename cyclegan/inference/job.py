"""The processes that translate into one directory together, on one machine or several that share the disk."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from cyclegan.inference.manifest import FOLDER, FileState, How, merge, parts_in, shorten
from cyclegan.util.atomic import Unwritten
from cyclegan.util.locks import Busy, is_free, locked, try_lock
from cyclegan.util.text import one_line, shown

LOCK = ".cyclegan-translate.lock"
"""The hidden lock file that a process holds while it joins or leaves, which takes an instant."""

CLAIMS = "claims"
"""The folder of the claims of blocks of pictures, in that of the processes."""

BEAT, DEAD = 15.0, 150.0
"""Seconds between the signs of life of a process, and after which one of another machine is taken for dead."""

SAME = 2 * 10**9
"""Nanoseconds by which two machines may see the time of one file differently."""

PATIENCE = 60.0
"""Seconds for which a process waits until others have joined or left."""


class Sample(NamedTuple):
    """One of the sources, so that processes can tell whether they translate the same pictures."""

    name: str
    state: FileState


class Work(NamedTuple):
    """What a process is to do."""

    how: How
    samples: list[Sample]
    """Some of its sources."""
    folder: Path
    """Where the sources are."""
    resume: bool
    """Whether outputs that are finished already are kept."""


class Job:
    """The membership of this process in the work on a directory; a context manager.

    A process that comes while others translate the same pictures with the same options joins them, and takes over
    their `resume`. One that differs is refused. What killed processes left is removed.
    A process shows that it lives by a lock on a file of its own, which the system releases when it dies; to other
    machines, by writing to that file, whose time the server of the disk sets: no clocks are compared.

    Raises Busy when processes work on the directory that do something else, and Unwritten when it cannot be written.
    """

    def __init__(self, out: Path, work: Work) -> None:
        self.out, self.work, self.folder = out, work, out / FOLDER
        self.name = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.resume = work.resume
        """Whether finished outputs are kept: what the first process said."""
        self.left = frozenset[str]()
        """The keys of the blocks that processes had claimed which were all killed."""
        self.joined = False
        """Whether others were at work already."""
        self.shorten = False
        """Whether the last process is to rewrite the manifest without outdated lines; set by who has read it."""
        self.has_locks = True
        """Whether the file system has locks."""
        self.part, self._member = self.folder / f"{self.name}.jsonl", self.folder / f"{self.name}.member"
        self._ended = threading.Event()
        self._file = -1

    def __enter__(self) -> Job:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise FileExistsError(f"{shown(self.out)}: is a file; choose a directory for the translations") from None
        except OSError as error:
            raise Unwritten(self.out, error) from error
        try:
            with self._alone() as self.has_locks:
                self._join()
        except Unwritten:
            raise
        except OSError as error:
            raise Unwritten(self.folder, error) from error
        self._heart = threading.Thread(target=self._live, daemon=True)
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join()
        try:
            with self._alone():
                self._leave()
        except OSError as problem:  # what is left says what was done
            if error is None:
                raise problem if isinstance(problem, Unwritten) else Unwritten(self.out, problem) from problem
        finally:
            os.close(self._file) if self._file >= 0 else None

    @property
    def began(self) -> int:
        """When the first of these processes began, in nanoseconds of the clock of the disk."""
        return (self.folder / "began").stat().st_mtime_ns

    def lives(self, name: str) -> bool:
        """Return whether a process is at work."""
        member = self.folder / f"{name}.member"
        try:
            told = _told(member)
            free = is_free(member) if told.get("machine") == _machine() else None
            return self.age(member) < DEAD if free is None else not free
        except FileNotFoundError:  # it has left
            return False

    def age(self, path: Path) -> float:
        """Return how many seconds ago a file was written, by the clock of the disk. Raises FileNotFoundError."""
        written = path.stat().st_mtime_ns
        self._beat()
        return (self._member.stat().st_mtime_ns - written) / 1e9

    def others(self) -> list[str]:
        """Return the names of the other processes that are at work."""
        names = [path.stem for path in self.folder.glob("*.member") if path != self._member]
        return sorted(name for name in names if self.lives(name))

    def told_others(self) -> str:
        """Return who else is at work: `process 12 on a, process 7 on b`."""
        told = list[str]()
        for name in self.others():
            with suppress(FileNotFoundError):
                about = _told(self.folder / f"{name}.member")
                told.append(one_line(f"process {about.get('process')} on {about.get('host')}"))
        return ", ".join(told)

    def _join(self) -> None:
        others = list[str]()
        if self.folder.is_dir():
            self._create()
            others = self.others()
        if others:
            first = _told(self.folder / f"{others[0]}.member")
            if reason := _differs(first, self.work):
                self._remove()
                who = one_line(f"process {first.get('process')} on {first.get('host')}")
                advice = "wait until it ends, or choose another directory"
                raise Busy(f"{shown(self.out)}: in use by {who}, which translates {reason}; {advice}")
            self.resume, self.joined = bool(first.get("resume")), True
            return
        self._remove()
        for part in parts_in(self.out):
            merge(self.out, part)
        if self.folder.is_dir():
            self.left = frozenset(path.stem for path in (self.folder / CLAIMS).glob("*"))
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        (self.folder / "began").touch()
        self._create()

    def _leave(self) -> None:
        if self.part.exists():
            merge(self.out, self.part)
        others = self.others()
        self._remove()
        if not others:
            for part in parts_in(self.out):
                merge(self.out, part)
            if self.shorten:
                shorten(self.out)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self) -> None:
        """Write the file that says who we are, and lock it."""
        told = {"host": socket.gethostname(), "process": os.getpid(), "machine": _machine(), "resume": self.resume}
        told |= asdict(self.work.how) | {"samples": [[name, *state] for name, state in self.work.samples]}
        self._file = os.open(self._member, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # without locks, it is the time of the file that counts
            try_lock(self._file)
        os.write(self._file, json.dumps(told).encode() + b"\n")
        os.fsync(self._file)

    def _remove(self) -> None:
        if self._file >= 0:
            os.close(self._file)  # before it is removed, which Windows wants
            self._file = -1
            with suppress(OSError):
                self._member.unlink()

    def _live(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):  # a disk that is full or gone is reported by those who write pictures
                self._beat()

    def _beat(self) -> None:
        """Write to our file, so that the disk sets its time."""
        os.lseek(self._file, -1, os.SEEK_END)
        os.write(self._file, b"\n")
        os.fsync(self._file)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock of joining and leaving; yields whether the file system has locks."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                lock = locked(self.out / LOCK)
                held = lock.__enter__()
                break
            except Busy:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        try:
            yield held
        finally:
            lock.__exit__(None, None, None)


def samples_of(folder: Path, names: Sequence[str]) -> list[Sample]:
    """Return the state of some of the sources; those that do not exist are left out."""
    samples = list[Sample]()
    for name in names:
        with suppress(OSError):
            samples.append(Sample(name, FileState.of((folder / name).stat())))
    return samples


def _differs(first: dict[str, Any], work: Work) -> str:
    """Return what another process does that we do not; empty if nothing."""
    if any(first.get(name) != value for name, value in asdict(work.how).items()):
        return "with another model or other options"
    for name, size, at in first.get("samples", ()):
        with suppress(OSError):
            here = FileState.of((work.folder / name).stat())
            if here.bytes != size or abs(here.time - at) > SAME:
                return "other pictures"
            continue
        if work.samples and first["samples"]:
            return "other pictures"
    return ""


def _told(member: Path) -> dict[str, Any]:
    """Return what a process says about itself; empty if that is damaged. Raises FileNotFoundError."""
    try:
        told = json.loads(member.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _host() -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in socket.gethostname())[:40]


@cache
def _machine() -> str:
    """Return what the processes have in common that share locks for certain: the running system of this machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()} {uuid.getnode()}"
