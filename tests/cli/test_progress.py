"""Every command that may take long says how far it is, though nobody watches on a terminal."""

from pathlib import Path

import pytest

import cyclegan.data.fetch
from cyclegan.data.fetch import Fetched, Report
from cyclegan.training.trainer import train
from tests.cli.test_cli import run_main
from tests.tiny import tiny_recipe, write_pictures

pytestmark = pytest.mark.usefixtures("slow")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("told")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 9, seed=seed)
    train(tiny_recipe(root / "data"), root / "run")
    return root / "run"


def lines_of(doing: str, capsys: pytest.CaptureFixture[str], *words: str | Path) -> list[str]:
    assert run_main(*words) == 0
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{doing}: ")]


def test_translating(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of("translating", capsys, "translate", run, run.parent / "data" / "testA", tmp_path)
    assert lines[0].startswith("translating: 1 of 9 pictures (11 %), ") and lines[0].endswith(" left")
    assert lines[-1].startswith("translating: 9 of 9 pictures (100 %) in ")


@pytest.mark.parametrize("folders", [False, True])
def test_scoring(run: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], folders: bool) -> None:
    data = run.parent / "data"
    what = ("--fake", data / "testA", "--real", data / "testB") if folders else (run,)
    eyes = ("--features.network", "squeezenet1_1", "--features.weights", weights, "--device", "cpu")
    lines = lines_of("scoring", capsys, "evaluate", *what, *eyes, "--out", tmp_path / "metrics.json")
    total = 18 if folders else 36
    assert lines[0].startswith(f"scoring: 9 of {total} pictures ({900 // total} %), ")
    assert lines[-1].startswith(f"scoring: {total} of {total} pictures (100 %) in ")


def test_writing_a_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of("translating", capsys, "report", run)
    assert lines[-1].startswith("translating: 18 of 18 pictures (100 %) in ")


def test_comparing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny_recipe(run.parent / "data"), tmp_path / "other")
    lines = lines_of("translating", capsys, "compare", run, tmp_path / "other", "--out", tmp_path / "page.html")
    assert lines[-1].startswith("translating: 2 of 2 runs (100 %) in ")


def test_explaining(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = run.parent / "data" / "testA" / "0.png"
    lines = lines_of("explaining", capsys, "explain", run, picture, "--out", tmp_path / "page.html")
    assert lines[0].startswith("explaining: 1 of 9 steps (11 %), ")
    assert lines[-1].startswith("explaining: 9 of 9 steps (100 %) in ")


def test_exporting(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of("exporting", capsys, "export", run, tmp_path / "g.safetensors")
    assert lines[-1].startswith("exporting: 4 of 4 pictures (100 %) in ")


def test_fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fetch(name: str, root: Path, report: Report) -> Fetched:
        for mebibytes in (0, 5, 10):
            report(mebibytes * 2**20, 10 * 2**20)
        return Fetched(root / name, "0" * 64, expected=True)

    monkeypatch.setattr(cyclegan.data.fetch, "fetch", fetch)
    lines = lines_of("horse2zebra", capsys, "fetch", "horse2zebra", "--root", tmp_path)
    assert lines[0].startswith("horse2zebra: 5 of 10 MiB (50 %), ")
    assert lines[-1].startswith("horse2zebra: 10 of 10 MiB (100 %) in ")
