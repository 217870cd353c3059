"""Limit the process to the memory that is free, so that too large a picture raises an error instead of a kill."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GROUPS, ZFS = Path("/sys/fs/cgroup"), Path("/proc/spl/kstat/zfs/arcstats")

LEAST = 2**28
"""Bytes that the process may always allocate; without any it could not end properly."""

UNKNOWN = 2**32
"""Bytes that are assumed to be free where the system does not say."""


@contextmanager
def only_what_is_there() -> Iterator[None]:
    """A context in which Linux gives this process no more memory than is free; on other systems nothing changes.

    Linux lets a process allocate more memory than there is, and kills it when it uses that memory (overcommit). With
    this limit, such an allocation fails, and Python or torch raises an error.
    """
    room = _room() if sys.platform == "linux" else None
    if sys.platform == "win32" or room is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = 1024 * _fields(Path("/proc/self/status"))["VmData:"] + max(room, LEAST)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if soft == resource.RLIM_INFINITY else min(limit, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free_bytes() -> int:
    """Return the free bytes of the machine, or of this container or job if it has fewer; 4 GiB if they are unknown."""
    room = _room() if sys.platform == "linux" else None
    return UNKNOWN if room is None else min(room, _within_limit())


def _within_limit() -> int:
    """Return the bytes that this process may still allocate, see `only_what_is_there`."""
    if sys.platform != "linux":
        return sys.maxsize
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(0, limit - 1024 * _fields(Path("/proc/self/status"))["VmData:"])


def _room() -> int | None:
    """Return the free bytes of the machine, or of this container or job if it has fewer; None if they are unknown."""
    try:
        machine = _fields(Path("/proc/meminfo"))
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        left = 1024 * (machine["MemAvailable:"] + machine["SwapFree:"]) + _cached_by_zfs()
        return min(left, *_rooms(groups, GROUPS))
    except (OSError, KeyError):
        return None


def _cached_by_zfs() -> int:
    """Return the bytes that ZFS uses as a cache and frees on demand; Linux does not count them as available."""
    with suppress(OSError):
        if found := re.search(r"^size +\d+ +(\d+)$", ZFS.read_text(encoding="ascii"), re.M):
            return int(found[1])
    return 0


def _rooms(groups: list[str], root: Path) -> Iterator[int]:
    """Yield the free bytes of each control group (version 1 or 2) around this process; cached files count as free."""
    yield sys.maxsize
    for line in groups:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            top, most, used = root, "memory.max", "memory.current"
        elif kinds == "memory":
            top, most, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        for place in (group, *group.parents):
            with suppress(OSError, ValueError):  # a container sees only its own group; "max" is not a number
                limit = int((place / most).read_text(encoding="ascii"))
                stat = _fields(place / "memory.stat")
                cached = stat.get("active_file", 0) + stat.get("inactive_file", 0)
                yield max(0, limit - int((place / used).read_text(encoding="ascii")) + cached)


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers in a file of lines `name number ...`, by name."""
    words = (line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}
