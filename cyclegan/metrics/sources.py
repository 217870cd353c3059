"""The addresses and checksums of the trained feature networks, and their download."""

from __future__ import annotations

import errno
import hashlib
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, NamedTuple

from torch.hub import get_dir

from cyclegan.metrics.config import Backbone
from cyclegan.util.atomic import Unwritten, write_whole
from cyclegan.util.download import open_url, sha256_of, why
from cyclegan.util.progress import Progress


class Source(NamedTuple):
    """The address and SHA-256 of a file of weights."""

    url: str
    sha256: str


# The name of each file contains the beginning of its SHA-256; the full values agree in many independent publications.
SOURCES: dict[Backbone, Source] = {
    "inception": Source(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
    "squeezenet1_1": Source(
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    ),
    "vgg16": Source(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "resnet50": Source(
        "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
        "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    ),
    "convnext_tiny": Source(
        "https://download.pytorch.org/models/convnext_tiny-983f1562.pth",
        "983f1562536e84ff750a1576fb08e54de751dbf2e17c0d8a4a13704341fdcd3d",
    ),
}


def place_of(backbone: Backbone) -> Path:
    """Return where the downloaded weights of a network are kept, in torch's cache folder."""
    return Path(get_dir(), "checkpoints", SOURCES[backbone].url.rsplit("/", 1)[1])


def downloaded(backbone: Backbone) -> Path:
    """Return the path of the weights of a network, in torch's cache folder; downloads them if necessary.

    The SHA-256 of the file is verified each time. Raises ConnectionError, with one line, when the download fails.
    """
    source, path = SOURCES[backbone], place_of(backbone)
    if path.is_file() and sha256_of(path) == source.sha256:
        return path
    try:
        write_whole(path, partial(_download, source))
    except (OSError, HTTPException, ValueError) as error:
        cause = error.__cause__ if isinstance(error, Unwritten) and isinstance(error.__cause__, OSError) else error
        told = f"{source.url} could not be fetched ({why(cause)}); pass the file with --features.weights"
        raise ConnectionError(told) from None
    return path


def _download(source: Source, file: BinaryIO) -> None:
    """Download the weights into `file`. Raises ValueError if their SHA-256 is not the expected one."""
    digest = hashlib.sha256()
    with open_url(source.url, only_https=False) as answer:  # the SHA-256 protects the download
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        with Progress(source.url.rpartition("/")[2], "MiB", size=2**20) as progress:
            while piece := answer.read(2**20):
                file.write(piece)
                digest.update(piece)
                progress.report(file.tell(), total)
        if total not in (None, file.tell()):
            raise ConnectionResetError(errno.ECONNRESET, f"connection lost after {file.tell():,} of {total:,} bytes")
    if (found := digest.hexdigest()) != source.sha256:
        raise ValueError(f"it has SHA-256 {found}, expected {source.sha256}")
