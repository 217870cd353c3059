"""The stages of `gpu.py`: what it checks and times, each as rows of its table."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from plain import plain
from step import quartiles, seconds
from torch import Tensor
from translate import measure as measure_translating

from cyclegan.checkpoint import read_checkpoint, write_checkpoint
from cyclegan.machine.agreement import TOLERANCES
from cyclegan.machine.device import choose_device, has_bf16
from cyclegan.recipe import Recipe, SpeedConfig, recipe_from
from cyclegan.training.distributed import ALONE, Processes, open_processes
from cyclegan.training.graph import UNRECORDED, has_graphs
from cyclegan.training.learner import Learner
from cyclegan.training.tuning import tune
from cyclegan.types import Batch, Device, Precision
from cyclegan.util.provenance import provenance

Outcome = Literal["is", "right", "wrong", "measured", "failed", "skipped"]
"""`is` states a fact about the machine; `right` and `wrong` compare with the tolerance in the row."""


class Row(NamedTuple):
    """A row of the table."""

    what: str
    outcome: Outcome
    details: str = ""
    milliseconds: float | None = None
    """Time of a training step."""
    per_second: float | None = None
    """Pairs of pictures in training, pictures in translating."""
    beside: str = ""
    """The row that its speed is compared with."""
    memory: float | None = None
    """Peak memory reserved on the GPU, in GiB."""


@dataclass(frozen=True)
class Settings:
    """Sizes and durations of the measurements."""

    device: Device = "cuda"
    size: int = 256
    width: int = 64
    blocks: int = 9
    batch: int = 1
    seconds: int = 5
    pictures: int = 512
    steps: int = 1_000_000
    """Length of the run that speed options are chosen for."""

    def words(self) -> list[str]:
        """Return the settings as command line options."""
        return [f"--{field.name}={value}" for field, value in zip(fields(self), astuple(self), strict=True)]


class Stage(NamedTuple):
    """A group of rows that are made in one process."""

    name: str
    what: str
    seconds: float
    """How long it takes, roughly, on a mid-range GPU."""
    run: Callable[[Settings], Iterator[Row]]


# What is compared


def recipe_of(settings: Settings, *, small: bool = False, **sections: dict[str, Any]) -> Recipe:
    """Return the recipe of a CycleGAN of these sizes; `small` is for checks with many steps."""
    width, blocks, depth = (min(16, settings.width), min(2, settings.blocks), 1) if small else (
        settings.width, settings.blocks, 3
    )  # fmt: skip
    plain_speed = {
        "device": settings.device,
        "precision": "float32",
        "channels_last": "off",
        "compile": "off",
        "graph": "off",
    }
    method: dict[str, Any] = {
        "kind": "cyclegan",
        "generator": {"kind": "resnet", "width": width, "blocks": blocks},
        "discriminator": {"kind": "patchgan", "width": width, "depth": depth},
        "pool": 3 if small else 50,
    }
    return recipe_from(
        {
            "method": method | sections.get("method", {}),
            "training": {"batch_size": settings.batch} | sections.get("training", {}),
            "speed": plain_speed | sections.get("speed", {}),
        },
        "gpu.py",
    )


def learner_of(recipe: Recipe, processes: Processes = ALONE) -> Learner:
    """Return a learner with the speed options of the recipe."""
    return Learner(recipe, choose_device(recipe.speed.device), epoch=100, processes=processes)


def batch_of(settings: Settings, sides: Sequence[int], seed: int, number: int) -> Batch:
    """Return `number` random pictures of each domain, uint8 on the device; `sides` are those of A and B."""
    random = torch.Generator().manual_seed(seed)
    pictures = (torch.randint(256, (number, 3, side, side), generator=random, dtype=torch.uint8) for side in sides)
    return Batch(*(each.to(settings.device) for each in pictures))


def judged(what: str, difference: float, tolerance: float, details: str = "") -> Row:
    """Return a row: `right` if the difference (0: equal bit for bit) is within the tolerance; NaN is `wrong`."""
    told = "bit for bit" if difference == 0 else f"largest difference {difference:.2g}, tolerance {tolerance:.2g}"
    return Row(what, "right" if difference <= tolerance else "wrong", f"{told}; {details}".removesuffix("; "))


def apart(one: Any, two: Any) -> float:
    """Return the largest relative difference between corresponding tensors; infinite for NaN."""
    if isinstance(one, dict):
        return max((apart(one[name], two[name]) for name in one), default=0.0)
    if isinstance(one, list | tuple):
        return max((apart(x, y) for x, y in zip(one, two, strict=True)), default=0.0)
    if isinstance(one, Tensor) and one.numel():
        scale = torch.maximum(one.double().abs().max(), two.double().abs().max()).clamp(min=1e-30)
        share = float((one.double() - two.double()).abs().max() / scale)
        return share if share == share else float("inf")
    return 0.0


def length(vector: Tensor) -> float:
    """Return the norm of a vector."""
    return float(vector.norm())


def gradients_of(learner: Learner) -> list[Tensor]:
    """Return the gradient of each player as one vector."""
    return [
        torch.cat([gradient.flatten().double().cpu() for gradient in optimizer.gradients])
        for optimizer in learner.optimizers
    ]


def state_of(learner: Learner) -> Any:
    """Return the whole state of a learner: networks, pools, averages and optimizers."""
    average = learner.ema.state_dict() if learner.ema else {}
    optimizers = [[*optimizer.state_dict()["state"].values()] for optimizer in learner.optimizers]
    return [learner.method.state_dict(), average, optimizers]


# Checks

CHANGING: dict[str, dict[str, Any]] = {
    "training": {
        "lr_schedule": {"constant": "2 images", "decay": "40 images"},
        "ema": "10 images",
        "grad_clip": 0.5,
        "lr": 1e-3,
    },
    "speed": {"deterministic": True},
}
"""Settings that change from step to step, besides dropout and pools; and deterministic kernels."""

STEPS = (0, 0, 0, 0, 0, 1, 2, 0, 1, 2, 1, 2, 1, 1, 2, 0)
"""Indices of the sizes of the compared steps: each recurs after its own graph and those of others were recorded."""


def check_graph(settings: Settings) -> Iterator[Row]:
    """Compare steps of several sizes with and without CUDA graphs; deterministic kernels must give the same bits."""
    what = f"CUDA graphs against eager, float32: {len(STEPS)} steps of 3 sizes, dropout, pools, decay, clip, average"
    if not has_graphs(SpeedConfig(), choose_device(settings.device)):
        yield Row(what, "skipped", f"no graphs on {settings.device}")
        return
    on, off = (learner_of(_changing(settings, graph)) for graph in ("on", "off"))
    losses = 0.0
    for number, batch in enumerate(_batches(settings)):
        losses = max(losses, apart(on.step(batch).losses, off.step(batch).losses))
        if number == 0:
            yield judged("first step, before any graph", losses, 0.0)
    yield judged(f"{what}: losses", losses, 0.0)
    yield judged("the same: weights, pools, optimizers, average", apart(state_of(on), state_of(off)), 0.0)


def check_resume(settings: Settings) -> Iterator[Row]:
    """Compare a run that was resumed from a checkpoint file with one that was not interrupted."""
    graph = "on" if has_graphs(SpeedConfig(), choose_device(settings.device)) else "off"
    whole, first, second = (learner_of(_changing(settings, graph)) for _ in range(3))
    for number, batch in enumerate(_batches(settings)):
        whole.step(batch)
        if number < len(STEPS) // 2:
            first.step(batch)
            continue
        if number == len(STEPS) // 2:
            with tempfile.TemporaryDirectory() as folder:
                write_checkpoint(first.checkpoint(1.0), Path(folder) / "saved.pt")
                second.restore(read_checkpoint(Path(folder) / "saved.pt"))
        second.step(batch)
    what = f"resume after {len(STEPS) // 2} of {len(STEPS)} steps, graph: {graph}"
    yield judged(what, apart(state_of(second), state_of(whole)), 0.0)


def _changing(settings: Settings, graph: str) -> Recipe:
    generator = {"kind": "resnet", "width": min(16, settings.width), "blocks": min(2, settings.blocks), "dropout": 0.5}
    speed = CHANGING["speed"] | {"graph": graph}
    return recipe_of(settings, small=True, method={"generator": generator}, training=CHANGING["training"], speed=speed)


def _batches(settings: Settings) -> Iterator[Batch]:
    small, large = settings.size // 4, settings.size // 4 + 8
    sizes = (small, small), (small, large), (large, small)
    return (batch_of(settings, sizes[size], number, settings.batch) for number, size in enumerate(STEPS))


PRECISIONS: tuple[Precision, ...] = ("tf32", "fp16", "bf16")


def check_precisions(settings: Settings) -> Iterator[Row]:
    """Compare losses and gradients of the first step in each precision, from the same weights and pictures."""
    expected = None
    for precision in ("float32", *PRECISIONS):
        what = f"{precision} against float32: losses and gradients of a step"
        if missing := missing_here(precision, settings):
            yield Row(what, "skipped", missing)
            continue
        try:
            seen = _first_step(settings, precision)
        except Exception as error:
            yield failed(what, error)
            continue
        if expected is None:
            expected = seen
            continue
        losses = max(
            abs(ours - theirs) / max(abs(theirs), 1e-6) for ours, theirs in zip(seen[0], expected[0], strict=True)
        )
        for name, ours, theirs in zip(("generators", "discriminators"), seen[1], expected[1], strict=True):
            details = f"cosine {float(ours @ theirs / ours.norm() / theirs.norm()):.4f}"
            what = f"{precision} against float32: gradient of the {name}"
            yield judged(what, length(ours - theirs) / length(theirs), TOLERANCES[precision].tensor, details)
        yield judged(f"{precision} against float32: losses", losses, TOLERANCES[precision].loss)


def _first_step(settings: Settings, precision: Precision) -> tuple[list[float], list[Tensor]]:
    """Return the losses and each player's gradient, after enough steps for the fp16 loss scale to fall."""
    learner = learner_of(recipe_of(settings, speed={"precision": precision}, training={"lr": 1e-12}))
    batch = batch_of(settings, (settings.size, settings.size), 0, settings.batch)
    for _ in range(20):
        move = learner.step(batch)
        if all(gradient.isfinite().all() for gradient in gradients_of(learner)):
            break
    losses = [float(loss) for loss in move.losses.values()]
    return losses, gradients_of(learner)


def check_processes(settings: Settings) -> Iterator[Row]:
    """Compare the gradient of two processes with a pair of pictures each with that of one process with both pairs."""
    on_gpus = settings.device == "cuda" and torch.cuda.device_count() > 1
    device: Device = "cuda" if on_gpus else "cpu"
    what = f"two processes against one with twice the batch, {'NCCL on two GPUs' if on_gpus else 'gloo on the CPU'}"
    settings = Settings(device, settings.size, settings.width, settings.blocks)
    with tempfile.TemporaryDirectory() as folder:
        together = start_together(settings, Path(folder) / "gradients.pt")
    alone = gradients_of_a_step(settings, ALONE, pairs=2)
    differences = [length(x - y) / length(y) for x, y in zip(together, alone, strict=True)]
    yield judged(f"{what}: gradients of both players", max(differences), 1e-4)


TOGETHER = 100
"""Time limit of the two processes in seconds, less than that of their stage."""


def start_together(settings: Settings, path: Path) -> list[Tensor]:
    """Run two processes with torchrun; returns the gradients that they save. Raises RuntimeError if they fail."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(Path(__file__).with_name("gpu.py")), f"--worker={path}", *settings.words()]
    hidden = {} if settings.device == "cuda" else {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    local = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}  # the host name may not resolve
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, encoding="utf-8", env=local | os.environ | hidden
    ) as torchrun:
        try:
            _, told = torchrun.communicate(timeout=TOGETHER)
        except subprocess.TimeoutExpired:
            torchrun.terminate()  # it ends both; if it were killed, they would continue
            raise RuntimeError(f"torchrun and its two processes took more than {TOGETHER} s") from None
    if torchrun.returncode:
        raise RuntimeError(f"torchrun ended with {torchrun.returncode}: {last_line(told)}")
    gradients: list[Tensor] = torch.load(path, weights_only=True)
    return gradients


def work_together(settings: Settings, path: Path) -> None:
    """Compute the gradients in one of torchrun's processes; the first one saves them."""
    with open_processes() as processes:
        gradients = gradients_of_a_step(settings, processes, pairs=1)
        if processes.first:
            torch.save(gradients, path)


def gradients_of_a_step(settings: Settings, processes: Processes, pairs: int) -> list[Tensor]:
    """Return each player's gradient for this process's share of two pairs of pictures, averaged over the processes."""
    torch.backends.cudnn.allow_tf32 = False  # its rounding exceeds the tolerance
    learner = learner_of(recipe_of(settings, small=True, training={"batch_size": pairs}), processes)
    both = batch_of(settings, (settings.size // 4, settings.size // 4), 0, 2)
    learner.step(Batch(*(domain[processes.rank * pairs :][:pairs] for domain in both)))
    return gradients_of(learner)


# Speed

PLAIN = "training, plain: eager, torch's own precision"

TRAINING: dict[str, dict[str, Any]] = {
    "training, eager float32": {},
    "training, float32, graph": {"graph": "on"},
    "training, tf32, channels_last, graph": {"precision": "tf32", "channels_last": "on", "graph": "on"},
    "training, bf16, channels_last, graph": {"precision": "bf16", "channels_last": "on", "graph": "on"},
    "training, fp16, channels_last, graph": {"precision": "fp16", "channels_last": "on", "graph": "on"},
}
"""Speed options of each row. Compiling is only measured in the options that the trainer chooses."""


def time_plain(settings: Settings) -> Iterator[Row]:
    """Time steps of the plain program."""
    step = plain(settings.width, settings.blocks, choose_device(settings.device))
    batch = batch_of(settings, (settings.size, settings.size), 0, settings.batch)
    a, b = (domain.float() / 127.5 - 1 for domain in batch)
    torch.backends.cudnn.benchmark = True
    yield timed(PLAIN, lambda: step(a, b), settings)


def time_training(settings: Settings, what: str) -> Iterator[Row]:
    """Time our steps, as the trainer runs them."""
    speed = TRAINING[what]
    missing = missing_here(speed.get("precision", "float32"), settings)
    if "graph" in speed and not has_graphs(SpeedConfig(), choose_device(settings.device)):
        missing = f"no graphs on {settings.device}"
    if missing:
        yield Row(what, "skipped", missing)
        return
    learner = learner_of(recipe_of(settings, speed=speed))
    batch = batch_of(settings, (settings.size, settings.size), 0, settings.batch)
    yield timed(what, lambda: learner.step(batch), settings)._replace(beside=PLAIN)


def time_choosing(settings: Settings) -> Iterator[Row]:
    """Time steps with the speed options that the trainer chooses for a long run."""
    learner = learner_of(recipe_of(settings, speed=dict.fromkeys(("precision", "compile", "graph"), "auto")))
    batch = batch_of(settings, (settings.size, settings.size), 0, settings.batch)
    with tempfile.TemporaryDirectory() as folder:
        told = tune(learner, batch, settings.steps, Path(folder))
    row = timed("training, with the speed options that the trainer chooses", lambda: learner.step(batch), settings)
    yield row._replace(beside=PLAIN, details=f"{told}; {row.details}")


def timed(what: str, step: Callable[[], object], settings: Settings) -> Row:
    """Time a step after warming up, in bursts, for the time in the settings."""
    device = choose_device(settings.device)
    begin = time.perf_counter()
    for _ in range(UNRECORDED + 2):
        step()
    warm = seconds(lambda: None, 1, device) + time.perf_counter() - begin
    each: list[float] = []
    begin = time.perf_counter()
    while len(each) < 3 or time.perf_counter() - begin < settings.seconds:
        each.append(seconds(step, 10 if device.type == "cuda" else 1, device))
    low, middle, high = (1000 * number for number in quartiles(each))
    memory = torch.cuda.max_memory_reserved() / 2**30 if device.type == "cuda" else None
    details = f"quartiles {low:.3g} to {high:.3g} ms; {warm:.0f} s until warm"
    return Row(what, "measured", details, middle, 1000 * settings.batch / middle, memory=memory)


def time_translating(settings: Settings) -> Iterator[Row]:
    """Time the translation of a directory of JPEGs, with reading and writing, by the plain loop and by ours."""
    plain_one = "translating, plain: one picture after the other, eager float32"
    for number, precision in enumerate(("float32", *PRECISIONS)):
        what = f"translating, {precision}"
        if missing := missing_here(precision, settings):
            yield Row(what, "skipped", missing)
            continue
        device = choose_device(settings.device)
        options = {"number": settings.pictures, "size": settings.size, "width": settings.width, "turns": 2}
        args = argparse.Namespace(**options, blocks=settings.blocks, device=device, precision=precision)
        try:
            with tempfile.TemporaryDirectory() as folder:
                result = measure_translating(args, Path(folder))
        except Exception as error:
            yield failed(what, error)
            continue
        rate, difference = result["pictures_per_second"], result["difference"]
        if number == 0:
            yield Row(plain_one, "measured", f"{settings.pictures} JPEGs", per_second=rate["plain"])
        details = f"differs from plain by at most {difference['largest']} of 255, {difference['mean']:.2g} on average"
        yield Row(what, "measured", details, per_second=rate["ours"], beside=plain_one)


# The machine


def missing_here(precision: Precision, settings: Settings) -> str:
    """Return why a precision is not available here; empty if it is."""
    if precision == "tf32" and settings.device != "cuda":
        return "only cuda has tf32"
    lacks = precision == "bf16" and not has_bf16(choose_device(settings.device))
    return "this machine has no bf16 in hardware" if lacks else ""


def look_at_the_machine(settings: Settings) -> Iterator[Row]:
    """Return the facts about the machine and the settings."""
    device = choose_device(settings.device)
    facts = provenance(device)
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        facts["device"] += (
            f" x {torch.cuda.device_count()}, {about.total_memory / 2**30:.0f} GiB, "
            f"compute capability {about.major}.{about.minor}"
        )
        facts["driver"] = _driver()
        facts["CUDA, cuDNN of torch"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
        facts["convolutions of the plain program"] = "TF32" if torch.backends.cudnn.allow_tf32 else "float32"
    facts["sizes"] = " ".join(settings.words())
    return (Row(name, "is", fact) for name, fact in facts.items())


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, encoding="utf-8", timeout=20, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown to nvidia-smi"


def failed(what: str, error: BaseException) -> Row:
    """Return the row for an exception."""
    return Row(what, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def last_line(text: str) -> str:
    """Return the last line that is not empty."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")


STAGES: tuple[Stage, ...] = (
    Stage("machine", "the machine", 10, look_at_the_machine),
    Stage("graph", "CUDA graphs against eager", 30, check_graph),
    Stage("resume", "resume under graphs", 30, check_resume),
    Stage("precisions", "precisions against float32", 30, check_precisions),
    Stage("processes", "two processes against one", 30, check_processes),
    Stage("plain", PLAIN, 15, time_plain),
    *(Stage(what.replace(" ", ""), what, 20, partial(time_training, what=what)) for what in TRAINING),
    Stage("translating", "translating", 60, time_translating),
    Stage("choosing", "training, with the speed options that the trainer chooses", 120, time_choosing),
)
"""The stages in order: checks come before timings, and the slowest stages last."""
