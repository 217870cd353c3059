"""Everything in a process that belongs to the program that uses us, as far as we know how to look at it."""

from __future__ import annotations

import gc
import hashlib
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageFile

Snapshot = dict[str, Any]


def snapshot() -> Snapshot:
    """By name; equal where nothing has changed."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return {
        "random numbers of torch": _digest(torch.get_rng_state().numpy().tobytes()),
        "random numbers of numpy": _digest(repr(np.random.get_state()).encode()),
        "random numbers of python": _digest(repr(random.getstate()).encode()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "only warn": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill memory": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "cudnn": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
        "float32": (torch.get_float32_matmul_precision(), matmul.allow_tf32, getattr(matmul, "fp32_precision", None)),
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads(), cv2.getNumThreads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "warnings": (list(warnings.filters), warnings.showwarning),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "hooks": (threading.excepthook, sys.excepthook, sys.unraisablehook),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "folder": os.getcwd(),  # noqa: PTH109
        "locale": locale.setlocale(locale.LC_ALL),
        "garbage": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "pillow": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES),
        "numpy": np.geterr(),
    }


def changed(before: Snapshot) -> dict[str, tuple[Any, Any]]:
    """What is not as it was: before and now."""
    now = snapshot()
    return {name: (what, now[name]) for name, what in before.items() if now[name] != what}


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()[:12]
