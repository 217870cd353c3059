"""Files that torch.save wrote, or anyone made to look like it: read without running anything in them."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch

from cyclegan.util.text import reason


def load_pickled(path: Path, *, check: bool = False) -> Any:
    """The tensors and plain data in a file, on the CPU; `check` looks at every part's CRC-32, which torch does not.

    Files written before torch 1.6 have none.
    Raises ValueError with the reason, one line without the path, for anything else.
    """
    try:
        if is_zipfile(path):
            _look_inside(path, check)
        with warnings.catch_warnings(action="ignore"):  # torch thinks aloud about files that it did not write
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch would advise to load it unsafely
        raise ValueError("it is damaged, or holds more than tensors and plain data") from None
    except Exception as error:  # a forged file leads torch's reader almost anywhere
        raise ValueError(reason(error)) from None


def _look_inside(path: Path, check: bool) -> None:
    with ZipFile(path) as packed:
        if any(part.compress_type != ZIP_STORED for part in packed.infolist()):
            raise ValueError("it is compressed, which torch never does")
        if check and (damaged := packed.testzip()):
            raise ValueError(f"the checksum of {damaged} is wrong")
