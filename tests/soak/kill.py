"""Kill a training at random instants, in the middle of saving too, and resume it: the result must be the same.

    python tests/soak/kill.py --kills 200

Every life is a real process that dies by SIGKILL. A run that has come to its end is compared with one that nobody
disturbed, bit for bit: weights, averages, optimizers, pools and every logged loss. Then the next run begins.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from cyclegan.checkpoint import checkpoints_in
from cyclegan.recipe import write_recipe
from tests.forked import Forks
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import assert_equal, events, everything


class Counts(NamedTuple):
    """What happened to one run."""

    lives: int
    kills: int
    while_saving: int


def result(run: Path) -> dict[str, Any]:
    """Everything that must not depend on the kills."""
    read = events(run)
    losses = {tag: {e.step: e.value for e in read.Scalars(tag)} for tag in read.Tags()["scalars"] if "loss/" in tag}
    return everything(run) | {"losses": losses}


def live(forks: Forks, words: list[str], log: Path, run: Path, goal: float | None) -> int:
    """One life, ended by force at some instant after the run has saved so many images; its exit code."""
    process = forks.start(*words, log=log)
    if goal is not None:
        process.until(lambda: max((int(path.stem) for path in checkpoints_in(run)), default=0) >= goal, pause=0.002)
        time.sleep(random.random() * (0.05 if goal else 0.5))  # a step takes as long; so does a start
        with suppress(ProcessLookupError):
            process.send(signal.SIGKILL)
    return process.wait()


def disturb(forks: Forks, words: list[str], run: Path, log: Path, images: int, kills: int) -> Counts:
    """Live, die and resume until the run is over; at most so many kills, every fourth of them as a life begins."""
    killed = while_saving = done = 0
    for left in range(kills, -1, -1):
        share = random.random() * 2 * max(0.0, 0.9 * images - done) / (left + 1)
        code = live(forks, words, log, run, (done + share if left % 4 else 0) if left else None)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            raise SystemExit(f"a life ended with {code} by itself:\n{log.read_text(encoding='utf-8')}")
        killed += 1
        while_saving += any((run / "checkpoints").glob("*.part"))
        done = max((int(path.stem) for path in checkpoints_in(run)), default=0)
    return Counts(killed + 1, killed, while_saving)


def soak(forks: Forks, root: Path, *, kills: int, images: int) -> str:
    """So many kills, over as many runs as it takes; returns what was seen. Raises AssertionError for another result."""
    log = root / "log"
    for seed, name in enumerate(("trainA", "trainB")):
        write_pictures(root / "data" / name, 5, seed=seed)
    recipe = tiny_recipe(
        root / "data",
        method={"generator": {"kind": "resnet", "width": 4, "blocks": 1, "dropout": 0.5}},
        training={"lr_schedule": {"constant": f"{images} images", "decay": "0 images"}, "ema": "9 images"},
        log={"scalars_every": "1 images", "samples_every": "25 images", "checkpoint_every": "1 images"},
    )
    write_recipe(recipe, root / "recipe.yaml")

    def words(name: str) -> list[str]:
        line = ["train", str(root / "recipe.yaml"), "--out", str(root / name), "--resume"]
        return [*line, "--speed.compile", "off"]

    assert live(forks, words("whole"), log, root / "whole", None) == 0, log.read_text(encoding="utf-8")
    expected, total, runs = result(root / "whole"), Counts(0, 0, 0), 0
    while total.kills < kills:
        log.unlink(missing_ok=True)
        counts = disturb(forks, words("killed"), root / "killed", log, images, min(kills - total.kills, images // 4))
        assert_equal(result(root / "killed"), expected)
        assert not list((root / "killed").rglob("*.part")) and len(checkpoints_in(root / "killed")) == 2
        total, runs = Counts(*(x + y for x, y in zip(total, counts, strict=True))), runs + 1
        print(f"run {runs}: {counts.kills} kills, the same result", flush=True)
        shutil.rmtree(root / "killed")
    return (
        f"{total.kills} kills ({total.while_saving} while saving), {total.lives} lives, {runs} runs of {images} "
        "steps: each ended with the weights, optimizers, averages, pools and losses of the undisturbed run"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all, over as many runs as it takes")
    parser.add_argument("--images", type=int, default=60, help="of a run; one step and one checkpoint each")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    args = parser.parse_args()
    random.seed(args.seed)
    with tempfile.TemporaryDirectory() as folder, Forks() as forks:
        print(soak(forks, Path(folder), kills=args.kills, images=args.images))


if __name__ == "__main__":
    main()
