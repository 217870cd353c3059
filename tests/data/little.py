"""Run a program in a process whose memory is limited, files that are mapped apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BEGIN = """
import resource, sys
from pathlib import Path

folder = Path(sys.argv[1])

def limit(megabytes):
    '''Allow only so many more megabytes of what Linux calls data: what a process allocates, not shared files.'''
    import imagecodecs
    imagecodecs.cms_transform, imagecodecs.jpeg8_decode, imagecodecs.png_decode, imagecodecs.zlib_decode
    status = Path("/proc/self/status").read_text(encoding="ascii")
    now = 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmData")))
    resource.setrlimit(resource.RLIMIT_DATA, (now + megabytes * 2**20,) * 2)
"""


def in_little_memory(program: str, folder: Path) -> None:
    """Run a program that knows `folder` and `limit(megabytes)`; an error there is one here."""
    done = subprocess.run([sys.executable, "-c", BEGIN + program, str(folder)], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
