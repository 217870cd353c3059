"""Any translation is scored by a protocol that stands beside its figures."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny_recipe, write_pictures
from PIL import Image
from test_cli import run_main
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import squeezenet1_1

from cyclegan.cli import main
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.translator import load_translators
from cyclegan.metrics import features
from cyclegan.metrics.features import load_features
from cyclegan.training.trainer import train


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SqueezeNet that has learned nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluated")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 9 + seed, seed=seed)
    train(tiny_recipe(root / "data"), root / "run")
    return root / "run"


def evaluated(out: Path, weights: Path, *words: str | Path) -> dict[str, Any]:
    named = ("--features.network", "squeezenet1_1", "--features.weights", weights, "--device", "cpu")
    assert run_main("evaluate", *words, *named, "--out", out) == 0
    data: dict[str, Any] = json.loads(out.read_text())
    return data


def test_a_run_is_scored_in_both_directions_beside_its_untranslated_pictures(
    run: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = evaluated(tmp_path / "m.json", weights, run)
    assert list(data["scores"]) == ["AtoB", "A untranslated", "BtoA", "B untranslated"]
    there = data["scores"]["AtoB"]
    assert (there["images"], there["real"]) == (11, 12) and set(there["cycle"]) == {"ssim", "psnr"}
    assert there["fid"]["low"] <= there["fid"]["value"] <= there["fid"]["high"]
    digest = sha256(weights.read_bytes()).hexdigest()
    assert data["protocol"]["features"] == f"squeezenet1_1 ({digest[:8]})"
    assert data["protocol"]["features_sha256"] == digest
    told = capsys.readouterr().out
    assert f"squeezenet1_1 ({digest[:8]})" in told and "A untranslated" in told


def test_a_run_scores_as_the_folder_of_its_translations(run: Path, weights: Path, tmp_path: Path) -> None:
    translators, data = load_translators(run, device="cpu")
    assert data is not None
    translate_directory(translators["BtoA"], data / "testB", tmp_path / "fake")
    folders = evaluated(tmp_path / "f.json", weights, "--fake", tmp_path / "fake", "--real", data / "testA")
    whole = evaluated(tmp_path / "r.json", weights, run)
    assert next(iter(folders["scores"].values()))["kid"] == whole["scores"]["BtoA"]["kid"]


def test_a_folder_is_at_no_distance_from_itself(run: Path, weights: Path, tmp_path: Path) -> None:
    folder = run.parent / "data" / "testB"
    [score] = evaluated(tmp_path / "m.json", weights, "--fake", folder, "--real", folder)["scores"].values()
    assert score["fid"]["value"] == pytest.approx(0, abs=1e-3)
    assert score["precision"]["value"] == score["recall"]["value"] == 1


def test_pictures_of_mixed_sizes_are_fitted_to_one(run: Path, weights: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "mixed", 9)
    Image.new("RGB", (50, 30)).save(tmp_path / "mixed" / "odd.png")
    real = run.parent / "data" / "testA"
    words = ("--fake", tmp_path / "mixed", "--real", real)
    [score] = evaluated(tmp_path / "m.json", weights, *words, "--size", "32")["scores"].values()
    assert score["images"] == 10


@pytest.mark.parametrize(
    "words, told",
    [
        ("--fake mixed --real real", "mixed: pictures of 2 sizes; give --size 256 to fit them to one"),
        ("--fake few --real real", "2 and 9 pictures are too few to compare; take at least 8 of each"),
        ("--fake empty --real real", "no picture in empty"),
        ("--fake nowhere --real real", "nowhere is not a folder"),
        ("--fake broken --real real", "broken: no picture in it can be read"),
        ("--fake real", "give a run, or --fake and --real"),
        ("", "give a run, or --fake and --real"),
        ("nowhere", "nowhere: no such"),
    ],
)
def test_a_mistake_is_one_line(
    words: str, told: str, weights: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name, number in (("mixed", 9), ("real", 9), ("few", 2), ("empty", 0)):
        write_pictures(tmp_path / name, number)
    Image.new("RGB", (50, 30)).save("mixed/odd.png")
    write_pictures(tmp_path / "broken", 1)[0].write_bytes(b"")
    named = ["--features.network", "squeezenet1_1", "--features.weights", str(weights)]
    with pytest.raises(SystemExit) as end:
        main(["evaluate", *words.split(), *named])
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cyclegan: ")]
    assert end.value.code == 2 and told in line


@pytest.mark.parametrize(
    "name, told",
    [("nowhere.pth", "no such file"), ("text.pth", "cannot be read as weights"), ("other.pth", "not the weights of")],
)
def test_weights_that_cannot_be_used_are_one_line(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises((ValueError, FileNotFoundError), match=told) as caught:
        load_features("squeezenet1_1", tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_inception_is_loaded_from_a_file_and_sees_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the trained one, which is downloaded: the same layers, with numbers of chance."""
    torch.save({}, tmp_path / "none.pth")
    with monkeypatch.context() as patched:
        patched.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        untrained = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=tmp_path / "none.pth")
    torch.save(untrained.state_dict(), tmp_path / "inception.pth")
    network = load_features("inception", tmp_path / "inception.pth")
    red, blue = torch.full((2, 3, 32, 32), -1.0)
    red[0], blue[2] = 1.0, 1.0
    seen = network(torch.stack([red, blue, red]))
    assert seen.shape == (3, 2048) and torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], seen[1])
    assert network.name.startswith("inception (")  # so that nobody takes its figures for those of the trained one


@pytest.fixture
def server(weights: Path, tmp_path: Path) -> Iterator[str]:
    """Serves the weights under a name that begins their SHA-256, and under one that does not."""
    (tmp_path / "served").mkdir()
    digest = sha256(weights.read_bytes()).hexdigest()
    for name in (f"net-{digest[:8]}.pth", "net-00000000.pth"):
        (tmp_path / "served" / name).write_bytes(weights.read_bytes())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/net-{digest[:8]}.pth"
        serving.shutdown()


def test_weights_are_downloaded_once_and_checked(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(features, "_url", lambda backbone: server)
    assert load_features("squeezenet1_1").name == "squeezenet1_1"  # the standard ones need no digits
    for served in (tmp_path / "served").glob(f"{Path(server).stem}*"):
        served.unlink()
    assert load_features("squeezenet1_1").name == "squeezenet1_1"
    wrong = server.rsplit("/", 1)[0] + "/net-00000000.pth"
    monkeypatch.setattr(features, "_url", lambda backbone: wrong)
    with pytest.raises(
        ConnectionError, match=r"could not be fetched .* give the file by --features\.weights"
    ) as caught:
        load_features("squeezenet1_1")
    assert "\n" not in str(caught.value) and not list((tmp_path / "home").rglob("net-00000000*"))
