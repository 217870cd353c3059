"""Evaluation scores translations and records the protocol with the scores."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from cyclegan.checkpoint import best_path, read_newest, write_checkpoint
from cyclegan.cli import main
from cyclegan.cli.evaluate import parse_evaluate
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.metrics_file import metrics_path, write_metrics
from cyclegan.inference.model import open_model
from cyclegan.inference.translator import plain_translators
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.metrics.features import load_features
from cyclegan.metrics.result import FIGURES, Evaluation, read_evaluation
from cyclegan.recipe import write_recipe
from cyclegan.report.scores import evaluation_table
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.figures import WITHOUT_STYLES
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import events

DISTANCES = ["fid", "kid", "kid_std", "precision", "recall"]


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
    data: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return data


def test_a_run_is_scored_in_both_directions_beside_its_untranslated_pictures(
    run: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = evaluated(tmp_path / "m.json", weights, run)
    assert [score["what"] for score in data["scores"]] == ["AtoB", "BtoA", "A untranslated", "B untranslated"]
    there, _, untranslated, _ = data["scores"]
    assert (there["weights"], there["images_seen"], there["images"], there["real"]) == ("last", 8, 11, 12)
    assert set(there["figures"]) == {name for name in WITHOUT_STYLES if FIGURES[name].against != "truth"}
    assert untranslated["weights"] is None and list(untranslated["figures"]) == DISTANCES
    for name, figure in there["figures"].items():
        assert name == "kid_std" or figure["low"] <= figure["value"] <= figure["high"]
    assert 0 < there["figures"]["structure"]["value"] < 2
    digest = sha256(weights.read_bytes()).hexdigest()
    assert data["protocol"]["features"] == f"squeezenet1_1 ({digest[:8]})"
    assert data["protocol"]["features_sha256"] == digest
    told = capsys.readouterr().out
    assert f"squeezenet1_1 ({digest[:8]})" in told and "A untranslated" in told and "last, after 8 images" in told
    assert all(FIGURES[name].heading in told for name in there["figures"])
    assert max(map(len, told.splitlines()[:-1])) <= 170


def test_what_is_written_is_what_is_read(run: Path, weights: Path, tmp_path: Path) -> None:
    data = evaluated(tmp_path / "m.json", weights, run)
    read = read_evaluation(tmp_path / "m.json")
    assert json.loads(json.dumps(asdict(read))) == data
    write_metrics(read, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "m.json").read_bytes()
    assert evaluation_table(read).splitlines()[0].startswith("features: squeezenet1_1")


@pytest.mark.parametrize(
    "figures, told",
    [
        ({"fud": {"value": 1.0}}, "unknown score"),
        ({"fid": {"value": math.nan}}, "finite number"),
        ({"fid": {"value": 1.0, "low": -math.inf, "high": 2.0}}, "finite number"),
        ({"fid": {"low": 1.0, "high": 2.0}}, "field required"),
        ({"fid": 1.0}, "fid"),
    ],
)
def test_figures_that_cannot_be_are_refused_in_one_line(figures: dict[str, Any], told: str, tmp_path: Path) -> None:
    score = {"what": "AtoB", "images": 9, "real": 9, "figures": figures}
    (tmp_path / "m.json").write_text(json.dumps({"protocol": {}, "scores": [score]}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"m\.json is left out: it is not what `cyclegan evaluate` writes") as caught:
        read_evaluation(tmp_path / "m.json")
    assert told in str(caught.value) and str(caught.value).isprintable()


def test_a_run_scores_as_the_folder_of_its_translations(run: Path, weights: Path, tmp_path: Path) -> None:
    data = run.parent / "data"
    translate_directory(
        plain_translators(open_model(run), device="cpu")[Direction.BtoA], data / "testB", tmp_path / "fake"
    )
    folders = evaluated(tmp_path / "f.json", weights, "--fake", tmp_path / "fake", "--real", data / "testA")
    whole = evaluated(tmp_path / "r.json", weights, run, "--size", "40")
    one, other = folders["scores"][0]["figures"], whole["scores"][1]["figures"]
    for name in ("kid", "fid"):  # a pixel rounds otherwise in a batch than alone, on some CPUs
        assert one[name] == pytest.approx(other[name], rel=0.02)


def test_the_best_weights_of_a_run_are_scored_beside_its_last(run: Path, weights: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    first = replace(read_newest(run), images=3, ema={})
    write_checkpoint(replace(first, method={k: v * 0.9 for k, v in first.method.items()}), best_path(tmp_path / "run"))
    data = evaluated(tmp_path / "m.json", weights, tmp_path / "run")
    whose = [(score["weights"], score["images_seen"], score["what"]) for score in data["scores"]]
    assert whose[:4] == [("last", 8, "AtoB"), ("last", 8, "BtoA"), ("best", 3, "AtoB"), ("best", 3, "BtoA")]
    assert whose[4:] == [(None, None, "A untranslated"), (None, None, "B untranslated")]
    assert data["scores"][0]["figures"]["fid"] != data["scores"][2]["figures"]["fid"]


def test_a_run_is_scored_at_the_size_it_was_trained_at(run: Path, weights: Path, tmp_path: Path) -> None:
    assert evaluated(tmp_path / "r.json", weights, run)["protocol"]["size"] == "32 x 32"
    assert evaluated(tmp_path / "s.json", weights, run, "--size", "40")["protocol"]["size"] == "40 x 40"
    write_generator(open_model(run).generators[Direction.AtoB], Direction.AtoB, tmp_path / "g.safetensors")
    alone = evaluated(tmp_path / "g.json", weights, tmp_path / "g.safetensors", "--data", run.parent / "data")
    assert alone["protocol"]["size"] == "as the files are"
    assert [score["what"] for score in alone["scores"]] == ["AtoB", "A untranslated"]
    assert alone["scores"][0]["weights"] is alone["scores"][0]["images_seen"] is None
    assert list(alone["scores"][0]["figures"]) == [*DISTANCES, "structure"]


def test_a_translation_is_scored_against_its_paired_truth(
    run: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(run.parent / "data", data)
    shutil.copytree(data / "testA", data / "truthB")
    (data / "truthB" / "3.png").rename(data / "truthB" / "3.bmp")  # the name counts, not the suffix
    (data / "testA" / "5.png").write_bytes(b"broken")
    there, here, *_ = evaluated(tmp_path / "m.json", weights, run, "--data", data)["scores"]
    true = [name for name, figure in FIGURES.items() if figure.against == "truth"]
    assert there["images"] == 10 and true == ["truth_ssim", "truth_psnr", "truth_perceptual"]
    assert list(there["figures"]) == WITHOUT_STYLES and list(here["figures"]) == WITHOUT_STYLES[: -len(true)]
    told = capsys.readouterr().out
    assert "truth SSIM" in told and "truth perceptual" in told and max(map(len, told.splitlines()[:-1])) <= 170
    (data / "truthB" / "2.png").unlink()
    with pytest.raises(SystemExit):
        main(["evaluate", str(run), "--data", str(data), "--features.network", "squeezenet1_1",
              "--features.weights", str(weights)])  # fmt: skip
    assert f"truthB: no partner for {data / 'testA' / '2.png'}" in capsys.readouterr().err


def test_the_recipe_of_a_run_says_by_whose_eyes(run: Path, tmp_path: Path) -> None:
    changed = FeaturesConfig(network="vgg16", weights=Path("vgg.pth"))
    write_recipe(replace(tiny_recipe(run.parent / "data"), features=changed), tmp_path / "recipe.yaml")
    assert parse_evaluate([str(tmp_path)]).features == changed
    assert parse_evaluate([str(tmp_path), "--features.network", "resnet50"]).features.network == "resnet50"
    assert parse_evaluate(["--fake", "x", "--real", "y"]).features == FeaturesConfig()


def test_a_folder_is_at_no_distance_from_itself(run: Path, weights: Path, tmp_path: Path) -> None:
    folder = run.parent / "data" / "testB"
    [score] = evaluated(tmp_path / "m.json", weights, "--fake", folder, "--real", folder)["scores"]
    figures = score["figures"]
    assert figures["fid"]["value"] == pytest.approx(0, abs=1e-3)
    assert figures["precision"]["value"] == figures["recall"]["value"] == 1


def test_copies_of_one_picture_are_scored_with_a_warning(
    run: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = write_pictures(tmp_path, 1)[0].read_bytes()
    (tmp_path / "fake").mkdir()
    for number in range(8):
        (tmp_path / "fake" / f"{number}.png").write_bytes(picture)
    data = evaluated(tmp_path / "m.json", weights, "--fake", tmp_path / "fake", "--real", run.parent / "data" / "testB")
    few = "8 pictures against 12 are few, so the scores are unreliable; use at least 50 of each"
    copies = "the 8 pictures are copies of only 1: the scores and their intervals are meaningless"
    assert data["scores"][0]["warnings"] == [few, copies]
    told = capsys.readouterr().out
    assert f"warning: {tmp_path / 'fake'}: {few}\n" in told and f"warning: {tmp_path / 'fake'}: {copies}\n" in told


def test_pictures_of_mixed_sizes_are_fitted_to_one(run: Path, weights: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "mixed", 9)
    Image.new("RGB", (50, 30)).save(tmp_path / "mixed" / "odd.png")
    real = run.parent / "data" / "testA"
    words = ("--fake", tmp_path / "mixed", "--real", real)
    [score] = evaluated(tmp_path / "m.json", weights, *words, "--size", "32")["scores"]
    assert score["images"] == 10


@pytest.mark.parametrize(
    "words, told",
    [
        ("--fake mixed --real real", "mixed: pictures differ in size; give one size for all, --size 256"),
        ("--fake few --real real", "2 and 9 pictures are too few to compare; take at least 4 of each"),
        ("--fake empty --real real", "no picture in empty"),
        ("--fake nowhere --real real", "nowhere is not a folder"),
        ("--fake broken --real real", "broken: no picture in it can be read"),
        ("--fake real", "give either MODEL, or --fake and --real"),
        ("", "give either MODEL, or --fake and --real"),
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


def test_the_name_of_figures_says_what_they_are_of(run: Path) -> None:
    protocol = {"own_test_pictures": False, "data": "/far/my\ndata", "split": "tra/in", "size": "32 x 40"}
    path = metrics_path(Evaluation(protocol, []), run)
    assert path == run / "metrics-my_data-tra_in-32x40.json"
    assert metrics_path(Evaluation(protocol | {"own_test_pictures": True}, []), run) == run / "metrics.json"
    assert metrics_path(Evaluation(protocol, []), None) == Path("metrics.json")


@pytest.mark.parametrize(
    "name, told",
    [("nowhere.pth", "no such file"), ("text.pth", "cannot be read as weights"), ("other.pth", "not the weights of")],
)
def test_weights_that_cannot_be_used_are_one_line(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello", encoding="utf-8")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises((ValueError, FileNotFoundError), match=told) as caught:
        load_features("squeezenet1_1", tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_inception_is_loaded_from_a_file_and_sees_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers of Inception with random weights, because the trained ones would be downloaded."""
    torch.save({}, tmp_path / "none.pth")
    with monkeypatch.context() as patched:
        patched.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        untrained = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=tmp_path / "none.pth")
    torch.save(untrained.state_dict(), tmp_path / "inception.pth")
    network = load_features("inception", tmp_path / "inception.pth")
    red, blue = torch.full((2, 3, 32, 32), -1.0)
    red[0], blue[2] = 1.0, 1.0
    pictures = torch.stack([red, blue, red])
    seen, layers = network(pictures), network.layers(pictures)
    assert seen.shape == (3, 2048) and torch.allclose(seen[0], seen[2]) and not torch.allclose(seen[0], seen[1])
    assert [layer.shape[1] for layer in layers] == [64, 192, 288, 768, 2048]
    assert torch.allclose(layers[-1].mean(dim=(2, 3)), seen, atol=1e-5)
    assert network.name.startswith("inception (")  # so that nobody takes its figures for those of the trained one


def test_figures_of_other_pictures_never_stand_for_a_runs_own(
    run: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    for name in ("testA", "testB"):
        write_pictures(tmp_path / "my other" / name, 4, seed=7)
    named = ("--features.network", "squeezenet1_1", "--features.weights", weights, "--device", "cpu")
    assert run_main("evaluate", copy, *named) == 0
    own = (copy / "metrics.json").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for words in (["--data", "my other"], ["--data", "my other", "--size", "40"]):
        assert run_main("evaluate", copy, *words, *named) == 0
    assert {
        path.name: json.loads(path.read_text(encoding="utf-8"))["protocol"]["own_test_pictures"]
        for path in copy.glob("metrics*.json")
    } == {
        "metrics.json": True,
        "metrics-my_other-test-32x32.json": False,
        "metrics-my_other-test-40x40.json": False,
    }
    assert (copy / "metrics.json").read_text(encoding="utf-8") == own
    assert run_main("evaluate", copy, "--data", run.parent / "data", *named) == 0  # by another name the same
    assert json.loads((copy / "metrics.json").read_text(encoding="utf-8"))["protocol"] == json.loads(own)["protocol"]
    assert not (copy / "metrics-1.json").exists()


def test_figures_of_another_protocol_are_kept(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    named = ("--features.network", "squeezenet1_1", "--features.weights", weights, "--device", "cpu")
    for seed, name in enumerate(("one", "two", "real")):
        write_pictures(Path(name), 4, seed=seed)
    for fake in ("one", "two", "two"):
        assert run_main("evaluate", "--fake", fake, "--real", "real", *named) == 0
    fakes = [
        json.loads(Path(name).read_text(encoding="utf-8"))["protocol"]["fake"]
        for name in ("metrics-1.json", "metrics.json")
    ]
    assert fakes == [str(Path(name).resolve()) for name in ("one", "two")] and len(list(Path().glob("*.json"))) == 2
    assert capsys.readouterr().out.count("moved earlier scores, computed in another way, to metrics-1.json") == 1
    Path("metrics.json").write_text("mine", encoding="utf-8")
    assert run_main("evaluate", "--fake", "one", "--real", "real", *named) == 0
    assert Path("metrics-2.json").read_text(encoding="utf-8") == "mine"


def test_only_scores_at_the_size_of_training_become_events_of_the_run(
    run: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    monkeypatch.chdir(copy)  # so that the run is `.`
    named = ("--features.network", "squeezenet1_1", "--features.weights", weights, "--device", "cpu")
    assert run_main("evaluate", ".", *named, "--size", "40") == 0
    assert not any(tag.startswith("test/") for tag in events(copy).Tags()["scalars"])
    assert run_main("evaluate", ".", *named) == 0
    figures = [name for name in WITHOUT_STYLES if FIGURES[name].against != "truth"]
    tags = {f"test/{name}_{way}" for name in figures for way in ("AtoB", "BtoA")}
    assert tags == {tag for tag in events(copy).Tags()["scalars"] if tag.startswith("test")}
