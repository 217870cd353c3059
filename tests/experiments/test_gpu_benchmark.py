"""The GPU benchmark's table says what is right, wrong, failed and left out; its checks run here on a CPU, tiny."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import cyclegan.training.learner
from cyclegan.recipe import SpeedConfig
from cyclegan.training.distributed import ALONE
from cyclegan.training.learner import Learner
from cyclegan.training.optimizer import StepResult
from cyclegan.types import Batch
from tests.training.fake_graph import FakeCuda, fake_cuda

BENCHMARKS = Path(__file__).parents[2] / "experiments" / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # where `python experiments/benchmarks/gpu.py` finds them too

import gpu  # noqa: E402
import gpu_checks  # noqa: E402
from gpu_checks import STAGES, Outcome, Row, Settings, Stage  # noqa: E402

TINY = Settings("cpu", size=48, width=2, blocks=1, seconds=0, pictures=2)


def stage(name: str, rows: Callable[[], Iterator[Row]], seconds: float = 10) -> Stage:
    return Stage(name, f"what {name} is about", seconds, lambda settings: rows())


def outcomes(check: Callable[[Settings], Iterator[Row]]) -> list[Outcome]:
    return [row.outcome for row in check(TINY)]


def in_this_process(stage: Stage, settings: Settings, limit: float) -> list[Row]:
    return list(gpu.rows_of(stage, settings))


def test_a_wrong_row_an_exception_and_a_spent_budget_are_said_in_the_table() -> None:
    def right_then_wrong() -> Iterator[Row]:
        yield Row("one", "right", "bit for bit")
        yield gpu_checks.judged("another", 0.5, 0.1)

    def raises() -> Iterator[Row]:
        yield Row("before", "measured", milliseconds=4.0, per_second=250.0, memory=1.5)
        yield Row("faster", "measured", milliseconds=2.0, per_second=500.0, beside="before")
        raise RuntimeError("CUDA error:\n| an illegal memory access")

    stages = [
        stage("machine", lambda: iter([Row("device", "is", "a card")])), stage("a", right_then_wrong),
        stage("b", raises), stage("c", lambda: iter([Row("never", "right")]), seconds=50),
        stage("d", lambda: iter([Row("small enough", "right")])),
    ]  # fmt: skip
    clock = iter([0.0, 0.0, 10.0, 20.0, 80.0, 90.0])
    reports: list[int] = []
    rows = gpu.conduct(
        stages, TINY, 2, in_this_process, lambda rows, new: reports.append(len(new)), lambda: next(clock)
    )
    assert reports == [1, 2, 3, 1, 1]
    assert gpu.table(rows) == (
        "- device: a card\n"
        "\n"
        "| what | outcome | ms a step | a second | times plain | peak GiB | details |\n"
        "|---|---|---:|---:|---:|---:|---|\n"
        "| one | right |  |  |  |  | bit for bit |\n"
        "| another | **wrong** |  |  |  |  | largest difference 0.5, tolerance 0.1 |\n"
        "| before | measured | 4 | 250 |  | 1.5 |  |\n"
        "| faster | measured | 2 | 500 | 2 |  |  |\n"
        "| what b is about | **failed** |  |  |  |  | RuntimeError: CUDA error: / an illegal memory access |\n"
        "| what c is about | skipped |  |  |  |  | 40 of 120 s left; give more --minutes |\n"
        "| small enough | right |  |  |  |  |  |\n"
    )


def test_without_the_device_everything_else_is_skipped() -> None:
    def machine() -> Iterator[Row]:
        raise ValueError("speed.device: no cuda on this machine; it has cpu")
        yield

    stages = [stage("machine", machine), stage("a", lambda: iter([Row("never", "right")]))]
    rows = gpu.conduct(stages, Settings(), 8, in_this_process, lambda rows, new: None)
    assert [row.outcome for row in rows] == ["failed", "skipped"]
    assert rows[1].details == "there is no cuda to run it on"


on_posix = pytest.mark.skipif(os.name != "posix", reason="its codes are signals")


@pytest.mark.parametrize(
    "program, told",
    [
        ("print('fine')", ""),
        ("import sys; sys.exit('first\\nout of luck')", "ended with 1: out of luck"),
        pytest.param("import os; os.abort()", "ended with -6: no output", marks=on_posix),
    ],
)
def test_how_a_stage_ends_is_told(program: str, told: str) -> None:
    assert gpu.watched([sys.executable, "-c", program], limit=60) == told


def test_a_stage_that_hangs_is_cut_off() -> None:
    assert gpu.watched([sys.executable, "-c", "import time; time.sleep(600)"], limit=0.2) == "cut off after 0 s"


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages run in this process, by the words that would start another."""

    def run(command: Sequence[str], limit: float) -> str:
        return "" if gpu.main(command[2:]) == 0 else "ended"

    monkeypatch.setattr(gpu, "watched", run)


@pytest.mark.usefixtures("no_processes")
def test_the_whole_command_writes_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {stage.name: stage for stage in STAGES}
    broken = stage("broken", lambda: iter([1 / 0]))  # type: ignore[list-item]
    stages = (named["machine"], named["graph"], broken, named["plain"], named["training,eagerfloat32"])
    monkeypatch.setattr(gpu, "STAGES", stages)
    out = tmp_path / "gpu.md"
    assert gpu.main([f"--out={out}", *TINY.words()]) == 1
    table = out.read_text(encoding="utf-8")
    assert table in capsys.readouterr().out and table.count("|---|---|---:|") == 1
    lines = table.splitlines()
    assert any(line.startswith("- torch: ") for line in lines)
    assert [line.split(" | ")[1] for line in lines if line.startswith("| ")] == [
        "outcome", "skipped", "**failed**", "measured", "measured",
    ]  # fmt: skip
    assert "ZeroDivisionError: division by zero" in table


def test_every_stage_has_a_name_of_its_own_and_all_fit_into_the_time() -> None:
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    assert sum(stage.seconds for stage in STAGES) <= 8 * 60


# The checks


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A CPU that has graphs."""

    def has_graphs(config: SpeedConfig, *_: object) -> bool:
        return config.graph != "off"

    monkeypatch.setattr(gpu_checks, "STEPS", (0, 0, 0, 0, 1, 0, 0))
    for module in (gpu_checks, cyclegan.training.learner):
        monkeypatch.setattr(module, "has_graphs", has_graphs)
    return fake_cuda(monkeypatch)


@pytest.fixture
def rates_in_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are on CUDA; on a CPU they are numbers, which a graph would not see change."""
    learner_of = gpu_checks.learner_of

    def with_tensors(*args: Any) -> Learner:
        learner = learner_of(*args)
        for optimizer in learner.optimizers:
            for group in optimizer.optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"])
        return learner

    monkeypatch.setattr(gpu_checks, "learner_of", with_tensors)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    allowed = torch.backends.cudnn.allow_tf32
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.allow_tf32 = allowed


@pytest.mark.usefixtures("rates_in_tensors")
def test_graphs_that_are_right_are_right(cuda: FakeCuda) -> None:
    rows = list(gpu_checks.check_graph(TINY))
    assert [row.outcome for row in rows] == ["right"] * 3 and {row.details for row in rows} == {"bit for bit"}
    assert len(cuda.recorded()) == 1


def test_graphs_that_are_wrong_are_wrong(cuda: FakeCuda) -> None:
    """Here the learning rate is a number that was recorded."""
    assert outcomes(gpu_checks.check_graph) == ["right", "wrong", "wrong"]


@pytest.mark.usefixtures("rates_in_tensors")
def test_resume_under_graphs_is_bit_for_bit(cuda: FakeCuda) -> None:
    [row] = gpu_checks.check_resume(TINY)
    assert (row.outcome, row.details) == ("right", "bit for bit") and row.what.endswith("graph: on")


def test_a_resume_that_forgets_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_checks, "STEPS", (0, 0))
    monkeypatch.setattr(Learner, "restore", lambda self, saved: None)
    assert outcomes(gpu_checks.check_resume) == ["wrong"]


def test_precisions_are_near_and_what_is_not_there_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_checks, "has_bf16", lambda device: True)
    monkeypatch.setattr(gpu_checks, "PRECISIONS", ("tf32", "bf16", "fp16"))
    rows = list(gpu_checks.check_precisions(TINY))
    assert [row.outcome for row in rows] == ["skipped", *["right"] * 6]
    assert rows[0].details == "only cuda has tf32"


@pytest.mark.parametrize("bad", [torch.nan, 0.0])
def test_a_precision_that_is_wrong_is_wrong(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Learner.step

    def spoilt(self: Learner, pixels: Batch) -> StepResult:
        move = step(self, pixels)
        if self.recipe.speed.precision == "bf16":
            for optimizer in self.optimizers:
                for gradient in optimizer.gradients:
                    gradient.mul_(bad)
        return move

    monkeypatch.setattr(Learner, "step", spoilt)
    monkeypatch.setattr(gpu_checks, "has_bf16", lambda device: True)
    monkeypatch.setattr(gpu_checks, "PRECISIONS", ("bf16",))
    assert outcomes(gpu_checks.check_precisions) == ["wrong", "wrong", "right"]


@pytest.mark.parametrize("share, outcome", [(1.0, "right"), (0.5, "wrong")])
def test_two_processes_are_compared_with_one(share: float, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps stand in for the processes; torchrun's own are in tests/training/test_distributed.py."""

    def together(settings: Settings, path: Path) -> list[Tensor]:
        first, second = (gpu_checks.gradients_of_a_step(settings, _rank(rank), pairs=1) for rank in (0, 1))
        return [share * (x + y) / 2 for x, y in zip(first, second, strict=True)]

    monkeypatch.setattr(gpu_checks, "start_together", together)
    assert outcomes(gpu_checks.check_processes) == [outcome]


def _rank(rank: int) -> Any:
    """One that is alone, but takes the pictures of its rank."""
    return type("Rank", (), {"rank": rank, "count": 1, "average": ALONE.average, "gather": ALONE.gather})


def test_training_is_timed_beside_plain() -> None:
    [plain], [ours] = gpu_checks.time_plain(TINY), gpu_checks.time_training(TINY, "training, eager float32")
    for row in (plain, ours):
        assert row.outcome == "measured" and row.milliseconds and row.per_second and row.memory is None
    assert ours.beside == plain.what


def test_graphs_are_not_timed_where_there_are_none() -> None:
    [row] = gpu_checks.time_training(TINY, "training, float32, graph")
    assert row.outcome == "skipped" and row.details == "no graphs on cpu"


def test_translating_is_timed_beside_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_checks, "missing_here", lambda precision, settings: "no" * (precision != "float32"))
    plain, ours, *others = gpu_checks.time_translating(TINY)
    assert plain.outcome == ours.outcome == "measured" and ours.beside == plain.what
    assert "differs from plain by at most" in ours.details
    assert [row.outcome for row in others] == ["skipped"] * 3


def test_what_the_trainer_chooses_is_timed_and_told() -> None:
    """For a run so short that nothing would repay trying."""
    [row] = gpu_checks.time_choosing(replace(TINY, steps=1))
    assert row.outcome == "measured" and row.details.startswith("speed: --speed.precision float32")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_numbers_that_are_not_finite_are_never_near(value: float) -> None:
    difference = gpu_checks.apart({"x": [torch.ones(2)]}, {"x": [torch.tensor([1.0, value])]})
    assert gpu_checks.judged("x", difference, 1e9).outcome == "wrong"
    assert gpu_checks.judged("x", torch.nan, 1e9).outcome == "wrong"
