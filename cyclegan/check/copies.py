"""Copies of pictures, exact and near, within a folder and between folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.check.facts import Facts

NEAR = 4
"""Most bits of 64 in which the perceptual hashes of near copies differ."""

CHUNKS = ((0, 11), (11, 11), (22, 11), (33, 11), (44, 10), (54, 10))
"""First bit and number of bits of parts of a hash. Of six, at least two are equal if at most four bits differ."""

BUCKET = 200
"""Number of following hashes that each hash in a bucket is compared with. Only huge buckets have more."""

Hashes: TypeAlias = npt.NDArray[np.uint64]


class Picture(NamedTuple):
    """A row of a folder."""

    folder: int
    row: int


@dataclass(frozen=True, kw_only=True)
class Copies:
    """The pictures of one folder that have a copy in another folder, or in the same."""

    first: str
    second: str
    """The folder whose pictures are counted; the same as `first` for copies within a folder."""
    near: bool
    """Whether they only look alike."""
    pictures: int
    """Number of pictures of `second` that have a copy in `first`; within a folder, of those that could be removed."""
    pairs: tuple[tuple[Picture, Picture], ...]
    """One pair for each of them, up to a limit."""


def find_copies(folders: Sequence[Facts], *, near: bool, pairs: int = 100) -> list[Copies]:
    """Return the exact copies in and between folders, and with `near` also pictures that look alike.

    Exact copies have equal values. Near copies are compared by perceptual hashes, which differ in at most `NEAR` bits;
    flat pictures all look alike and are left out. `pairs` limits the number of pairs that are kept of each kind.
    """
    where, exact, looks = _table(folders)
    found = _between(folders, where, _groups(exact), False, pairs)
    if near:
        _, firsts = np.unique(exact, return_index=True)  # of exact copies, the first stands for all
        firsts = np.sort(firsts[~_flat(folders, where[firsts])])
        alike = [firsts[group] for group in _groups(_alike(looks[firsts]))]
        found += _between(folders, where, alike, True, pairs)
    return found


def near_pairs(hashes: Hashes) -> npt.NDArray[np.int64]:
    """Return the pairs (N, 2) of indices of different hashes that differ in at most `NEAR` bits.

    Only hashes that have two chunks in common are compared, so that a million take seconds.
    """
    found = [_in_buckets(hashes, _key(hashes, one, other)) for one, other in combinations(CHUNKS, 2)]
    ones, others = np.concatenate(found).T
    return np.stack(np.divmod(np.unique(ones * len(hashes) + others), len(hashes)), axis=1)  # quicker than unique rows


def _key(hashes: Hashes, one: tuple[int, int], other: tuple[int, int]) -> Hashes:
    """Return two chunks of each hash as one number."""
    first, second = (hashes >> np.uint64(at) & np.uint64(2**bits - 1) for at, bits in (one, other))
    return first << np.uint64(other[1]) | second


def _in_buckets(hashes: Hashes, keys: Hashes) -> npt.NDArray[np.int64]:
    """Return the near pairs among hashes with equal keys."""
    order = np.argsort(keys, kind="stable")
    keys, found = keys[order], [np.zeros((0, 2), np.int64)]
    for step in range(1, min(BUCKET, len(keys) - 1) + 1):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        if not len(same):
            break
        one, other = order[same], order[same + step]
        close = np.bitwise_count(hashes[one] ^ hashes[other]) <= NEAR
        found.append(np.sort(np.stack([one[close], other[close]], axis=1), axis=1))
    return np.concatenate(found)


def _alike(looks: Hashes) -> npt.NDArray[Any]:
    """Return a label for each picture; those that look alike, directly or through others, have the same one."""
    hashes, index = np.unique(looks, return_inverse=True)
    labels = np.arange(len(hashes))
    for one, other in near_pairs(hashes):
        labels[_root(labels, other)] = _root(labels, one)
    return np.array([_root(labels, i) for i in range(len(hashes))], np.int64)[index]


def _root(labels: npt.NDArray[np.int64], index: int) -> int:
    """Follow the links of a group to its end, and shorten the way."""
    while labels[index] != index:
        labels[index] = labels[labels[index]]
        index = int(labels[index])
    return index


def _groups(labels: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the indices of each group of two or more equal labels, in order of their first index."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order][:1] + 1))
    ends = np.r_[starts[1:], len(order)]
    several = np.flatnonzero(ends - starts > 1)
    yield from sorted((order[starts[i] : ends[i]] for i in several), key=lambda group: int(group[0]))


def _between(
    folders: Sequence[Facts], where: npt.NDArray[np.int64], groups: Any, near: bool, limit: int
) -> list[Copies]:
    """Count the copies of each folder in each earlier one and in itself."""
    numbers, pairs = dict[tuple[int, int], int](), dict[tuple[int, int], list[tuple[Picture, Picture]]]()
    for group in groups:
        members = [Picture(int(folder), int(row)) for folder, row in where[group]]
        firsts: dict[int, Picture] = {}
        for member in members:
            for folder, first in firsts.items():
                key = folder, member.folder
                numbers[key] = numbers.get(key, 0) + 1
                if len(kept := pairs.setdefault(key, [])) < limit:
                    kept.append((first, member))
            firsts.setdefault(member.folder, member)
    name = [facts.place.name for facts in folders]
    return [
        Copies(first=name[first], second=name[second], near=near, pictures=number, pairs=tuple(pairs[first, second]))
        for (first, second), number in sorted(numbers.items())
    ]


def _table(folders: Sequence[Facts]) -> tuple[npt.NDArray[np.int64], Hashes, Hashes]:
    """Return folder and row (N, 2), the hash of the values and the perceptual hash of all pictures."""
    rows = [np.flatnonzero(facts.readable) for facts in folders]
    where = np.concatenate([np.stack([np.full(len(each), i), each], axis=1) for i, each in enumerate(rows)])
    exact = np.concatenate([facts.pictures["pixels"] for facts in folders])
    looks = np.concatenate([facts.pictures["look"] for facts in folders])
    return where, exact, looks


def _flat(folders: Sequence[Facts], where: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    flat = np.zeros(len(where), bool)
    for i, facts in enumerate(folders):
        own = where[:, 0] == i
        flat[own] = facts.flat[where[own, 1]]
    return flat
