"""Every error of memory that runs out is recognised and reported in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan.cli.codes import REFUSED
from cyclegan.inference.evaluate import evaluate_run
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import is_out_of_memory, memory_told, one_by_one_if_need_be
from cyclegan.metrics.features import load_features
from cyclegan.publish.export import export
from cyclegan.recipe import Recipe
from cyclegan.training.samples import Samples
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.tiny import write_pictures

CPU = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
NAMES = [
    (RuntimeError(f"{CPU}20971520000 bytes. Error code 12 (Cannot allocate memory)"), "19.5 GiB"),
    (
        RuntimeError("alloc_cpu.cpp:80] . DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        "(0 MiB",
    ),
    (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"),
        "2.0 GiB",
    ),
    (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB). Tried to allocate 20.00 MiB"), "20 MiB"),
    (RuntimeError("CUDA error: out of memory"), ""),
    (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), ""),
    (RuntimeError("could not create a primitive"), ""),
    (RuntimeError("std::bad_alloc"), ""),
    (MemoryError(), ""),
    (MemoryError("Unable to allocate 1.50 TiB for an array with shape (9,) and data type float64"), "1536.0 GiB"),
]


@pytest.mark.parametrize("error, asked", NAMES, ids=lambda value: str(value)[:30])
def test_it_is_told_in_one_line_with_what_helps(error: Exception, asked: str) -> None:
    with pytest.raises(MemoryError, match=r"^out of memory.*; try less$") as caught, memory_told("less"):
        raise error
    assert asked in str(caught.value) and ("more were requested" in str(caught.value)) == bool(asked)


def test_what_was_told_where_it_happened_is_not_told_anew() -> None:
    with pytest.raises(MemoryError, match=r"; try less$"), memory_told(), memory_told("less"):
        raise MemoryError


def test_numpy_is_understood_too() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(2**56)
    assert is_out_of_memory(caught.value)


def test_torch_on_this_cpu_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), NotImplementedError("no kernel"), KeyError("x")])
def test_other_errors_are_not_called_memory(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), memory_told():
        raise error


def test_a_batch_that_does_not_fit_goes_one_by_one() -> None:
    seen: list[int] = []

    def small(images: Tensor) -> Tensor:
        seen.append(len(images))
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return images + 1

    assert torch.equal(one_by_one_if_need_be(small, torch.arange(3.0)[:, None]), torch.arange(3.0)[:, None] + 1)
    assert seen == [3, 1, 1, 1]


@pytest.mark.parametrize("batch, error", [(1, torch.OutOfMemoryError("full")), (3, RuntimeError("shapes differ"))])
def test_what_is_no_help_is_not_tried(batch: int, error: RuntimeError) -> None:
    seen: list[int] = []

    def failing(images: Tensor) -> Tensor:
        seen.append(len(images))
        raise error

    with pytest.raises(type(error), match=str(error)):
        one_by_one_if_need_be(failing, torch.zeros(batch, 1))
    assert seen == [batch]


# Wherever pictures are translated

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
TOLD = "out of memory (2.0 GiB more were requested); try "


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path) -> Path:
    train(recipe, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def translate(*_: object) -> Tensor:
        raise FULL

    monkeypatch.setattr(Translator, "translate_batch", translate)


@pytest.mark.usefixtures("full")
def test_an_evaluation_ends_in_one_line(
    run: Path, data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("testA", "testB"):
        write_pictures(data / name, 8)
    features: list[str | Path] = ["--features.network", "squeezenet1_1", "--features.weights", weights]
    assert run_main("evaluate", run, "--device", "cpu", *features, "--out", tmp_path / "m.json") == REFUSED
    assert capsys.readouterr().err == f"cyclegan: {TOLD}smaller pictures, or a device with more memory\n"


def test_an_evaluation_whose_batches_do_not_fit_goes_one_by_one(
    run: Path, data: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("testA", "testB"):
        write_pictures(data / name, 8)
    whole, seen = Translator.translate_batch, list[int]()

    def small(self: Translator, images: Tensor) -> Tensor:
        seen.append(len(images))
        if len(images) > 1:
            raise FULL
        return whole(self, images)

    monkeypatch.setattr(Translator, "translate_batch", small)
    monkeypatch.setattr(Translator, "batch_size", lambda *_: 8)
    evaluation = evaluate_run(run, load_features("squeezenet1_1", weights), device="cpu")
    assert [score.images for score in evaluation.scores] == [8] * 4
    assert seen == 4 * [8, *[1] * 8]


@pytest.mark.usefixtures("full")
def test_a_report_leaves_the_pictures_out_and_says_so(run: Path) -> None:
    assert run_main("report", run, "--device", "cpu") == 0
    assert f"Not shown: {TOLD}" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("full")
def test_an_export_leaves_the_contact_sheet_out_and_says_so(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = export(run, tmp_path / "g.safetensors", Direction.AtoB)
    assert exported.sheet is None and any(note.startswith(f"no contact sheet: {TOLD}") for note in exported.notes)


def test_sample_grids_that_do_not_fit_end_no_training(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def columns(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(Samples, "columns", columns)
    assert train(recipe, tmp_path / "run").stem == "0000000008"
    told = capfd.readouterr().err
    assert f"Skipped the samples at image 4: {TOLD}fewer log.samples" in told
