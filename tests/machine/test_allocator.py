"""Large blocks stay in the process while they are needed, and go back to the system afterwards."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, gc, sys
from cyclegan.machine.allocator import blocks_kept
from cyclegan.machine.memory_used import own_bytes

def block(mib):
    return ctypes.create_string_buffer(mib * 2**20)  # filled with zeros

def kept():
    before = own_bytes()
    x = block(200)
    x.raw = b"x" * len(x)
    del x
    gc.collect()
    return (own_bytes() - before) // 2**20

with blocks_kept():
    with blocks_kept():
        pass
    inside = kept()
    before = own_bytes()
before -= own_bytes()
print(inside, before // 2**20, kept())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_blocks_are_kept_inside_and_given_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, encoding="utf-8", check=True)
    inside, freed, after = map(int, done.stdout.split())
    assert inside >= 190 and freed >= 190  # the block of 200 MiB was kept, then given back
    assert after < 100
