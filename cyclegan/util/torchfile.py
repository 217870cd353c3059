"""Load files written by `torch.save`, trusted or not, without running code in them."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch

from cyclegan.util.text import reason


def load_pickled(path: Path, *, check: bool = False) -> Any:
    """Load the tensors and plain data of a file onto the CPU.

    `check` verifies the CRC-32 of every part, which torch does not do; files written before torch 1.6 have none.
    Raises ValueError for any other file; the message is the reason, one line without the path.
    """
    try:
        if is_zipfile(path):
            _look_inside(path, check)
        with warnings.catch_warnings(action="ignore"):  # torch warns about files that it did not write
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own message advises to load the file unsafely
        raise ValueError("it is damaged, or contains more than tensors and plain data") from None
    except Exception as error:  # a forged file can make torch raise almost anything
        raise ValueError(reason(error)) from None


def _look_inside(path: Path, check: bool) -> None:
    with ZipFile(path) as packed:
        if any(part.compress_type != ZIP_STORED for part in packed.infolist()):
            raise ValueError("it is compressed, which torch never does")
        if check and (damaged := packed.testzip()):
            raise ValueError(f"the checksum of {damaged} is wrong")
