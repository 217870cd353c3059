"""Trained weights of feature networks: where they come from, their download, and files that hold them."""

from __future__ import annotations

import errno
import hashlib
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from safetensors.torch import load_file
from torch.hub import get_dir

from cyclegan.util.atomic import Unwritten, write_whole
from cyclegan.util.download import open_url, sha256_of, why
from cyclegan.util.progress import Progress
from cyclegan.util.text import reason
from cyclegan.util.torchfile import load_pickled


class Source(NamedTuple):
    """The address and SHA-256 of a file of weights."""

    url: str
    sha256: str
    """In hexadecimal: the whole, or as much of its beginning as is known."""

    @property
    def file_name(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


class Weights(NamedTuple):
    """The trained weights of a feature network."""

    state: dict[str, Any]
    sha256: str
    """SHA-256 of their file in hexadecimal."""
    standard: bool
    """Whether the file is the standard one, so that figures can be compared with published ones."""


# The name of each file contains the beginning of its SHA-256; the full values agree in many independent publications.
SOURCES: dict[str, Source] = {
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


def source_of(name: str) -> Source:
    """Return the source of the standard weights of a network: one of `SOURCES`, or any classifier of torchvision.

    Those of a classifier are torchvision's first ones for ImageNet; 8 digits of their SHA-256 are known.

    Raises ValueError for another name.
    """
    if name in SOURCES:
        return SOURCES[name]
    import torchvision.models as models

    if name not in models.list_models(module=models):
        raise ValueError(f"{name}: no classifier of torchvision; take vgg19, vgg16, squeezenet1_1 or resnet50")
    url: str = next(iter(models.get_model_weights(name))).url
    return Source(url, url.rpartition("-")[2].removesuffix(".pth"))


def place_of(source: Source) -> Path:
    """Return where downloaded weights are kept, in torch's cache folder."""
    return Path(get_dir(), "checkpoints", source.file_name)


def read_weights(name: str, path: Path | None, option: str) -> Weights:
    """Return the weights of a network from a file (`.pth`, `.safetensors`), or else download them once.

    `option` is what the user passes a file with, for the message when the download fails.

    Raises FileNotFoundError when the file is missing, ValueError when it cannot be read, and ConnectionError when the
    download fails; each message is one line.
    """
    source = source_of(name)
    weights = read_file(path or downloaded(source, option))
    return weights._replace(standard=weights.sha256.startswith(source.sha256))


def read_file(path: Path) -> Weights:
    """Return the weights in a file (`.pth`, `.safetensors`), of which nothing is known.

    Raises FileNotFoundError when the file is missing, and ValueError when it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    sha256 = sha256_of(path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else load_pickled(path)
    except Exception as error:  # safetensors raises almost anything on a forged file
        raise ValueError(f"{path}: cannot be read as weights: {reason(error)}") from None
    return Weights(state, sha256, standard=False)


def downloaded(source: Source, option: str) -> Path:
    """Return the path of weights in torch's cache folder; downloads them if necessary.

    The SHA-256 of the file is verified each time. Raises ConnectionError, with one line that names the `option` for a
    file, when the download fails.
    """
    path = place_of(source)
    if path.is_file() and sha256_of(path).startswith(source.sha256):
        return path
    try:
        write_whole(path, partial(_download, source))
    except (OSError, HTTPException, ValueError) as error:
        cause = error.__cause__ if isinstance(error, Unwritten) and isinstance(error.__cause__, OSError) else error
        told = f"{source.url} could not be fetched ({why(cause)}); pass the file with {option}"
        raise ConnectionError(told) from None
    return path


def _download(source: Source, file: BinaryIO) -> None:
    """Download the weights into `file`. Raises ValueError if their SHA-256 is not the expected one."""
    digest = hashlib.sha256()
    with open_url(source.url, only_https=False) as answer:  # the SHA-256 protects the download
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        with Progress(source.file_name, "MiB", size=2**20) as progress:
            while piece := answer.read(2**20):
                file.write(piece)
                digest.update(piece)
                progress.report(file.tell(), total)
        if total not in (None, file.tell()):
            raise ConnectionResetError(errno.ECONNRESET, f"connection lost after {file.tell():,} of {total:,} bytes")
    if not (found := digest.hexdigest()).startswith(source.sha256):
        raise ValueError(f"it has SHA-256 {found}, expected {source.sha256}")
