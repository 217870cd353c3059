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


def live(forks: Forks, words: list[str], log: Path, seconds: float | None) -> tuple[int, float]:
    """One life, ended by force after so many seconds; its exit code and how long it lasted."""
    began = time.monotonic()
    process = forks.start(*words, log=log)
    while process.alive():
        if seconds is not None and time.monotonic() - began > seconds:
            process.send(signal.SIGKILL)
            break
        time.sleep(0.002)
    return process.wait(), time.monotonic() - began


def disturb(forks: Forks, words: list[str], run: Path, log: Path, longest: float, kills: int) -> Counts:
    """Live, die and resume until the run is over; at most so many kills."""
    lives = killed = while_saving = 0
    while True:
        code, _ = live(forks, words, log, random.uniform(0, longest) if killed < kills else None)
        lives += 1
        if code == 0:
            return Counts(lives, killed, while_saving)
        if code != -signal.SIGKILL:
            raise SystemExit(f"a life ended with {code} by itself:\n{log.read_text(encoding='utf-8')}")
        killed += 1
        while_saving += any((run / "checkpoints").glob("*.part"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all, over as many runs as it takes")
    parser.add_argument("--images", type=int, default=60, help="of a run; one step and one checkpoint each")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    args = parser.parse_args()
    random.seed(args.seed)

    with tempfile.TemporaryDirectory() as folder, Forks() as forks:
        root, log = Path(folder), Path(folder, "log")
        for seed, name in enumerate(("trainA", "trainB")):
            write_pictures(root / "data" / name, 5, seed=seed)
        recipe = tiny_recipe(
            root / "data",
            method={"generator": {"width": 4, "blocks": 1, "dropout": 0.5}},
            training={"constant": f"{args.images} images", "decay": "0 images", "average": "9 images"},
            journal={"log_every": "1 images", "samples_every": "25 images", "checkpoint_every": "1 images"},
        )
        write_recipe(recipe, root / "recipe.yaml")

        def words(name: str) -> list[str]:
            line = ["train", str(root / "recipe.yaml"), "--out", str(root / name), "--resume"]
            return [*line, "--speed.compile", "off"]

        for name in ("first", "whole"):  # the first one takes longer
            code, lasted = live(forks, words(name), log, None)
            assert code == 0, log.read_text(encoding="utf-8")
        expected, total, runs = result(root / "whole"), Counts(0, 0, 0), 0
        while total.kills < args.kills:
            log.unlink(missing_ok=True)
            counts = disturb(forks, words("killed"), root / "killed", log, lasted / 2, args.kills - total.kills)
            assert_equal(result(root / "killed"), expected)
            assert not list((root / "killed").rglob("*.part")) and len(checkpoints_in(root / "killed")) == 2
            total, runs = Counts(*(x + y for x, y in zip(total, counts, strict=True))), runs + 1
            print(f"run {runs}: {counts.kills} kills, the same result", flush=True)
            shutil.rmtree(root / "killed")
    print(
        f"{total.kills} kills ({total.while_saving} while saving), {total.lives} lives, {runs} runs of {args.images} "
        "steps: each ended with the weights, optimizers, averages, pools and losses of the undisturbed run"
    )


if __name__ == "__main__":
    main()
