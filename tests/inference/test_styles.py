"""Pictures are translated in the style of pictures, mixed or one for each, or in random styles."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.plan import plan_of
from cyclegan.inference.bands.sweep import Sweep
from cyclegan.inference.engines.session_engine import LibraryName, engine_of
from cyclegan.inference.engines.torch_engine import TorchEngine
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.graph.nodes import Code
from cyclegan.inference.graph.text import graph_from, graph_text
from cyclegan.inference.graph.trace import trace
from cyclegan.inference.style_codes import mixed, weakened
from cyclegan.inference.styles_in_turn import StylesInTurn
from cyclegan.inference.translator import Translator
from cyclegan.networks.base import StyleGenerator
from cyclegan.networks.blocks import LayerNorm
from cyclegan.networks.config import AdainGeneratorConfig, MunitGeneratorConfig, ResnetConfig
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.inference.engines.generators import images
from tests.tiny import outputs, write_pictures

KINDS: dict[str, MunitGeneratorConfig | AdainGeneratorConfig] = {
    "munit": MunitGeneratorConfig(width=4, blocks=1, mlp_width=8, style_downsamplings=2),
    "adain": AdainGeneratorConfig(encoder="squeezenet1_1"),
}


def generator(kind: str) -> StyleGenerator:
    """A generator with styles, with weights that let styles show."""
    torch.manual_seed(0)
    network = KINDS[kind].build().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, 0, 1.4 * module.weight[0].numel() ** -0.5)
        if isinstance(module, LayerNorm):
            torch.nn.init.constant_(module.weight, 1)
    return network


def code(network: StyleGenerator, seed: int = 0) -> Code:
    with torch.inference_mode():
        found: Code = network.encode_style(torch.from_numpy(images(48, 40)) * (0.3 + 0.1 * seed)).numpy()
    return found


def engine(network: StyleGenerator) -> TorchEngine:
    return TorchEngine(network, device="cpu", precision="float32", channels_last=False)


@pytest.fixture(params=KINDS)
def network(request: pytest.FixtureRequest) -> StyleGenerator:
    return generator(request.param)


@pytest.fixture
def stored(network: StyleGenerator, tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    write_generator(network, Direction.AtoB, path)
    return path


def plain(path: Path) -> Translator:
    return Translator.load(path, device="cpu", precision="float32", engine="torch")


def test_the_style_changes_the_translation_and_each_picture_may_have_its_own(network: StyleGenerator) -> None:
    run, pictures = engine(network), images(20, 28, number=2)
    one, two = code(network, 0), code(network, 5)
    together = run.plainly(pictures, np.concatenate([one, two]))
    for number, style in enumerate((one, two)):
        alone = run.plainly(pictures[number : number + 1], style)
        np.testing.assert_allclose(together[number : number + 1], alone, atol=1e-4)
    assert np.abs(run.plainly(pictures, one) - run.plainly(pictures, two)).max() > 1e-3


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
def test_every_library_translates_in_a_style_as_torch_does(library: LibraryName, network: StyleGenerator) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip(library)
    run, styles = engine(network), np.concatenate([code(network, 0), code(network, 3)])
    session = engine_of(trace(network), library)
    for size in ((21, 40), (62, 65)):
        pictures = images(*size, number=2)
        for style in (styles, styles[:1], None):
            np.testing.assert_allclose(session(pictures, style), run.plainly(pictures, style), atol=2e-4)


@pytest.mark.parametrize("tile", [(8, 9999), (24, 32)])
def test_bands_translate_in_a_style_as_at_once(tile: tuple[int, int], network: StyleGenerator) -> None:
    run, style = engine(network), code(network)
    for size in ((70, 61), (33, 90)):
        pixels: Pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        expected = run.pixels(pixels[None], PictureFormat(), style)[0].astype(int)
        assert run.graph
        graph, made = run.graph.bound(style), np.empty_like(pixels)
        passes = plan_of(graph)
        Sweep(graph, run.runner(PictureFormat(), style), pixels, made, array=np.empty).run(passes, [tile] * len(passes))
        assert np.abs(made.astype(int) - expected).max() <= 1


def test_a_graph_with_styles_reads_its_own_text(network: StyleGenerator) -> None:
    graph = trace(network)
    arrays = {
        f"{node.name}.{kind}": getattr(node, kind) for node in graph.nodes.values() for kind in ("weight", "bias")
    }
    arrays |= {f"style.{i}.{kind}": w for i, layer in enumerate(graph.mlp) for kind, w in layer._asdict().items()}
    again = graph_from(graph_text(graph), arrays.__getitem__)
    assert again == graph and again.digest() == graph.digest()
    few = json.loads(graph_text(graph)) | {"style_size": 1, "mlp": []}
    with pytest.raises(ValueError, match=r"its nodes need .* numbers of a style, which has 1"):
        graph_from(json.dumps(few), arrays.__getitem__)


def test_the_same_code_comes_from_a_picture_everywhere(stored: Path, network: StyleGenerator) -> None:
    picture: Pixels = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
    found = plain(stored).style_of(picture)
    with torch.inference_mode():
        wanted = network.encode_style(torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize(("kind", "suffix"), [("munit", ".onnx"), ("adain", ".xml")])
def test_an_export_translates_in_the_style_of_a_picture_without_torch(kind: str, suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    write_generator(generator(kind), Direction.AtoB, tmp_path / "g.safetensors")
    assert run_main("export", tmp_path / "g.safetensors", tmp_path / f"out/g{suffix}") == 0
    exported, original = Translator.load(tmp_path / f"out/g{suffix}"), plain(tmp_path / "g.safetensors")
    [picture], [style] = write_pictures(tmp_path / "in", 1, size=24), write_pictures(tmp_path / "style", 1, seed=5)
    made, wanted = (np.asarray(t.translate(picture, t.style_of(style))).astype(int) for t in (exported, original))
    assert np.abs(made - wanted).max() <= 1
    beside = tmp_path / "out" / "g.style.onnx"
    beside.write_bytes(beside.read_bytes().replace(exported.engine.digest.encode(), b"0" * 64))
    with pytest.raises(ValueError, match=r"g\.style\.onnx: belongs to another model"):
        Translator.load(tmp_path / f"out/g{suffix}").style_of(style)
    beside.unlink()
    with pytest.raises(ValueError, match="what finds the style of a picture is not beside the model"):
        Translator.load(tmp_path / f"out/g{suffix}").style_of(style)


def test_styles_are_mixed_by_weights_and_weakened() -> None:
    one, two = np.array([[1, 0, 1]], np.float32), np.array([[3, 4, 1]], np.float32)
    assert mixed([one, two]).tolist() == [[2, 2, 1]] and mixed([one, two], (3, 1)).tolist() == [[1.5, 1, 1]]
    assert weakened(two, 0.5, has_prior=True).tolist() == [[1.5, 2, 0.5]]
    assert weakened(two, 0.5, has_prior=False).tolist() == [[3, 4, 0.5]]
    for weights in ((1.0,), (0.0, 0.0), (-1.0, 2.0)):
        with pytest.raises(ValueError, match="2 style pictures need as many weights"):
            mixed([one, two], weights)


def test_weakening_is_that_of_the_network(network: StyleGenerator) -> None:
    style = code(network)
    wanted = network.weaken(torch.from_numpy(style), 0.3).numpy()
    np.testing.assert_allclose(weakened(style, 0.3, network.has_prior), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["adain"])
def test_no_strength_of_a_style_gives_the_content_back(kind: str) -> None:
    network, pictures = generator(kind), torch.from_numpy(images(32, 40))
    none = network.weaken(torch.from_numpy(code(network)), 0.0)
    with torch.inference_mode():
        torch.testing.assert_close(network(pictures, none), network(pictures))


def test_a_folder_is_translated_in_the_style_of_a_picture(stored: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 3, size=24)
    [style] = write_pictures(tmp_path / "style", 1, size=32, seed=5)
    words = ("translate", stored, tmp_path / "in", tmp_path / "out", "--device", "cpu", "--precision", "float32")
    assert run_main(*words, "--style", style) == 0
    translator = plain(stored)
    for name, path in outputs(tmp_path / "out").items():
        wanted = translator.translate(tmp_path / "in" / name, translator.style_of(style))
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(wanted))


def test_each_picture_gets_a_picture_of_the_folder_the_same_each_time(tmp_path: Path) -> None:
    write_generator(generator("adain"), Direction.AtoB, tmp_path / "g.safetensors")
    write_pictures(tmp_path / "in", 6, size=24)
    styles = write_pictures(tmp_path / "styles", 3, size=32, seed=5)
    translator = plain(tmp_path / "g.safetensors")
    for out in ("one", "two"):
        words = (
            "translate",
            tmp_path / "g.safetensors",
            tmp_path / "in",
            tmp_path / out,
            "--style",
            tmp_path / "styles",
        )
        assert run_main(*words, "--device", "cpu", "--precision", "float32") == 0
    chosen = []
    for name, path in outputs(tmp_path / "one").items():
        made = np.asarray(Image.open(path))
        each = [translator.translate(tmp_path / "in" / name, translator.style_of(style)) for style in styles]
        chosen += [number for number, wanted in enumerate(each) if np.array_equal(np.asarray(wanted), made)]
        assert np.array_equal(np.asarray(Image.open(tmp_path / "two" / name)), made)
    assert len(chosen) == 6 and len({*chosen}) > 1


def test_several_random_styles_have_directories_of_their_own(tmp_path: Path) -> None:
    write_generator(generator("munit"), Direction.AtoB, tmp_path / "g.safetensors")
    write_pictures(tmp_path / "in", 2, size=24)
    words = ("translate", tmp_path / "g.safetensors", tmp_path / "in", tmp_path / "out", "--device", "cpu")
    assert run_main(*words, "--styles", "2", "--seed", "3") == 0
    made = {name: np.asarray(Image.open(path)) for name, path in outputs(tmp_path / "out").items()}
    assert sorted(made) == ["style1/0.png", "style1/1.png", "style2/0.png", "style2/1.png"]
    assert not np.array_equal(made["style1/0.png"], made["style2/0.png"])


def test_resume_translates_again_what_has_another_style(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_generator(generator("munit"), Direction.AtoB, tmp_path / "g.safetensors")
    write_pictures(tmp_path / "in", 2, size=24)
    one, two = write_pictures(tmp_path / "styles", 2, size=32, seed=5)
    words = ("translate", tmp_path / "g.safetensors", tmp_path / "in", tmp_path / "out", "--device", "cpu", "--resume")
    for style, told in ((one, "2 translated"), (one, "0 translated"), (two, "2 translated")):
        assert run_main(*words, "--style", style) == 0
        assert told in capsys.readouterr().out
    one.replace(two)  # the same name, another picture
    assert run_main(*words, "--style", two) == 0 and "2 translated" in capsys.readouterr().out


def test_a_stream_is_translated_in_a_style(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [picture], [style] = write_pictures(tmp_path / "in", 1, size=24), write_pictures(tmp_path / "style", 1, seed=5)
    out = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, write_through=True))
    assert run_main("translate", stored, "-", "-", "--device", "cpu", "--style", style) == 0
    translator = plain(stored)
    wanted = translator.translate(picture, translator.style_of(style))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(out.getvalue()))), np.asarray(wanted))


MISTAKES: list[tuple[str, tuple[str, ...], str]] = [
    ("resnet", ("--style", "s.png"), "this model has one style and takes no other"),
    ("resnet", ("--style_strength", "0.5"), "this model has one style and takes no other"),
    ("adain", (), "--style: this model takes its style from a picture; give one, or a directory of them"),
    ("adain", ("--style", "none.png"), "--style: none.png: no such picture or directory"),
    ("adain", ("--style", "in", "s.png"), "--style: give one directory or several pictures, not both"),
    ("adain", ("--style", "empty"), "--style: no picture in empty"),
    ("adain", ("--style", "broken.png"), "--style: broken.png"),
    ("munit", ("--style", "s.png", "--style_weights", "1", "2"), "--style_weights: 1 style pictures, but 2 weights"),
    ("munit", ("--style_strength", "-1"), "--style_strength: must be at least 0, not -1"),
    ("munit", ("--styles", "0"), "--styles: must be at least 1, not 0"),
]


@pytest.mark.parametrize(("kind", "words", "told"), MISTAKES)
def test_a_mistake_about_styles_is_one_line(
    kind: str, words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    network: Any = ResnetConfig(width=4, blocks=1).build() if kind == "resnet" else generator(kind)
    write_generator(network, Direction.AtoB, Path("g.safetensors"))
    write_pictures(Path("in"), 1, size=16)
    write_pictures(Path("style"), 1, size=32)[0].replace("s.png")
    Path("broken.png").write_bytes(b"broken")
    Path("empty").mkdir()
    assert run_main("translate", "g.safetensors", "in", "out", "--device", "cpu", *words) == 2
    errors = capsys.readouterr().err
    assert told in errors and "Traceback" not in errors and len(errors.splitlines()) == 1


def test_show_says_what_a_model_takes(
    stored: Path, network: StyleGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("show", stored) == 0
    told = (
        "style: random (--seed), or that of a picture (--style)" if network.has_prior else "style: a picture (--style)"
    )
    assert told in capsys.readouterr().out


def test_pictures_that_are_shown_get_a_style_each_in_turn(stored: Path, network: StyleGenerator) -> None:
    translator, examples = plain(stored), [torch.from_numpy(images(40, 40)) * share for share in (0.2, 0.9)]
    styles = StylesInTurn(translator, lambda: examples, Direction.AtoB)
    first, second = styles(1), styles(2)
    if network.has_prior:
        assert styles.pictures(1) is None and not np.array_equal(first, second[:1])
    else:
        assert np.array_equal(first, second[1:]) and not np.array_equal(first, second[:1])
        assert [id(picture) for picture in styles.pictures(2) or ()] == [id(examples[1]), id(examples[0])]
