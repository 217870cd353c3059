"""Writing scores: `metrics.json` in the run folder, and TensorBoard events."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from cyclegan.metrics.result import Evaluation, read_evaluation
from cyclegan.util.atomic import write_whole

SAME = ("checkpoint", "fake", "real", "data", "pairs", "split", "size", "features_sha256")
"""Keys of a protocol: scores whose protocols agree in all of these replace each other."""


def metrics_path(evaluation: Evaluation, run: Path | None) -> Path:
    """Return the default file for scores; a run's `metrics.json` is only for scores on its own test pictures."""
    protocol, folder = evaluation.protocol, run or Path()
    if run is None or protocol["own_test_pictures"]:
        return folder / "metrics.json"
    parts = "metrics", Path(protocol["data"]).name, protocol["split"], protocol["size"].replace(" ", "")
    return folder / ("-".join(re.sub(r"[^\w.-]+", "_", part)[:60] for part in parts) + ".json")


def write_metrics(evaluation: Evaluation, path: Path) -> Path | None:
    """Write scores atomically, replacing older ones of the same pictures and features.

    Any other file at `path` is renamed first; returns its new path, or None. Raises OSError when the file cannot be
    written.
    """
    aside = None
    if path.is_file() and not _is_of(evaluation.protocol, path):
        numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(1))
        path.rename(aside := next(free for free in numbered if not free.exists()))
    text = json.dumps(asdict(evaluation), indent=1) + "\n"
    write_whole(path, text.encode())
    return aside


def _is_of(protocol: dict[str, Any], path: Path) -> bool:
    """Return whether the scores in a file are of the same pictures and features."""
    try:
        there = read_evaluation(path).protocol
    except (ValueError, OSError):
        return False
    return all(there.get(key) == protocol.get(key) for key in SAME)


def record_test(evaluation: Evaluation, run: Path) -> None:
    """Write the scores of a run's last and best weights as TensorBoard events: `test/kid_AtoB`, `test_best/...`."""
    with SummaryWriter(str(run)) as events:
        for score in evaluation.scores:
            if score.weights:
                group = "test" if score.weights == "last" else "test_best"
                for name, figure in score.figures.items():
                    events.add_scalar(f"{group}/{name}_{score.what}", figure.value, score.images_seen)
