"""Exports in other formats translate as torch does, or are not written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan.inference.engines.agreement import difference, disagreement
from cyclegan.inference.engines.model_file import read_model_file
from cyclegan.inference.engines.sessions import Array
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.graph.nodes import Graph
from cyclegan.inference.model import open_model
from cyclegan.publish import formats
from cyclegan.publish.checked import sizes_for
from cyclegan.publish.export import export
from cyclegan.publish.torch_models import METADATA, RUNNERS, jit
from cyclegan.types import Direction
from tests.inference.engines.generators import CONFIGS, SIZES, by_torch, generator, images
from tests.tiny import write_pictures

NEEDED = {".onnx": ("onnx", "onnxruntime"), ".xml": ("onnx", "openvino")}


def needs(suffix: str) -> None:
    for library in NEEDED.get(suffix, ()):
        pytest.importorskip(library)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    write_generator(generator(CONFIGS["resnet"]), Direction.BtoA, path)
    return path


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_an_export_for_another_library_is_read_and_says_how_it_was_checked(
    suffix: str, stored: Path, tmp_path: Path
) -> None:
    needs(suffix)
    exported = export(stored, tmp_path / "out" / f"g{suffix}", None)
    file = read_model_file(exported.generator)
    assert file.about.direction == Direction.BtoA and file.graph
    assert exported.card
    card = exported.card.read_text(encoding="utf-8")
    assert ("opset 17" if suffix == ".onnx" else "OpenVINO") in card and "grey levels, compared with torch" in card
    assert "grey levels" in exported.notes[0]
    assert [path.suffix for path in exported.beside] == ([] if suffix == ".onnx" else [".bin"])


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:FutureWarning")
@pytest.mark.parametrize("suffix", [".pt2", ".ts"])
def test_an_export_for_torch_keeps_nothing_for_gradients(suffix: str, stored: Path, tmp_path: Path) -> None:
    path = export(stored, tmp_path / f"g{suffix}", None).generator
    module = torch.export.load(path).module() if suffix == ".pt2" else jit.load(path)  # as others do
    assert not module(torch.zeros(1, 3, 16, 16)).requires_grad


@pytest.mark.parametrize(("suffix", "kind"), [(".pt2", "resnet"), (".ts", "resnet"), (".ts", "unet instance")])
def test_an_export_for_torch_alone_takes_any_size(suffix: str, kind: str, tmp_path: Path) -> None:
    network = generator(CONFIGS[kind])
    write_generator(network, Direction.AtoB, tmp_path / "g.safetensors")
    exported = export(tmp_path / "g.safetensors", tmp_path / f"g{suffix}", None)
    translate = RUNNERS[suffix](exported.generator.read_bytes())
    for height, width in SIZES:
        pictures = images(height, width, number=2)
        assert not disagreement(translate(pictures), by_torch(network, pictures), "float32")
    with pytest.raises(ValueError, match=rf"g\{suffix}: a model for other programs; translate with the .safetensors"):
        open_model(exported.generator)
    told = {METADATA: ""}
    if suffix == ".pt2":
        torch.export.load(exported.generator, extra_files=told)
        assert json.loads(told[METADATA])["direction"] == "AtoB"


def test_int8_is_within_its_tolerance_and_says_what_it_was_calibrated_on(stored: Path, tmp_path: Path) -> None:
    needs(".onnx")
    write_pictures(tmp_path / "pictures", 3)
    out = tmp_path / "g.onnx"
    exported = export(stored, out, None, int8=True, calibrate=tmp_path / "pictures")
    assert "calibrated on 3 pictures" in exported.notes[0]
    file = read_model_file(out)
    assert file.about.precision == "int8" and file.graph is None
    assert out.stat().st_size < export(stored, tmp_path / "f.onnx", None).generator.stat().st_size
    pictures = images(61, 66)
    made = file.engine("onnxruntime")(pictures)
    assert not disagreement(made, by_torch(generator(CONFIGS["resnet"]), pictures), "int8")


def test_int8_for_openvino_keeps_a_blank_picture_blank(tmp_path: Path) -> None:
    needs(".xml")
    pytest.importorskip("nncf")
    network = generator(CONFIGS["resize"])
    write_generator(network, Direction.AtoB, tmp_path / "g.safetensors")
    write_pictures(tmp_path / "pictures", 3)
    exported = export(tmp_path / "g.safetensors", tmp_path / "g.xml", None, int8=True, calibrate=tmp_path / "pictures")
    blank = np.full((1, 3, 64, 64), 0.3, np.float32)
    made = read_model_file(exported.generator).engine("openvino")(blank)
    assert difference(made, by_torch(network, blank)).largest < 0.01


def test_a_wrong_model_is_not_written(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(".onnx")

    def wrong(graph: Graph, metadata: dict[str, str]) -> bytes:
        from cyclegan.inference.engines.onnx_model import model_of

        nodes = {name: replace(node, reflect=False) for name, node in graph.nodes.items()}
        return model_of(replace(graph, nodes=nodes), metadata)

    monkeypatch.setattr(formats, "model_of", wrong)
    out = tmp_path / "out" / "g.onnx"
    with pytest.raises(
        ValueError, match="not written: at 62 x 61 pixels, the model differs from plain float32 by at m"
    ):
        export(stored, out, None)
    assert not out.parent.exists() or not list(out.parent.iterdir())


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("g.pth", {}, "the name must end in one of .safetensors, .onnx"),
        ("g.pt2", {"int8": True}, "int8 is for .onnx and .xml only"),
        ("g.onnx", {"calibrate": Path("photos")}, "calibrating needs int8"),
        ("g.onnx", {"int8": True}, "int8 is calibrated on pictures, and the model comes without its run"),
    ],
)
def test_what_is_not_possible_is_said_in_one_line(
    name: str, options: dict[str, bool | Path], told: str, stored: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=told):
        export(stored, tmp_path / name, None, **options)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("multiple", [1, 4, 32, 256])
def test_sizes_of_every_remainder_are_checked(multiple: int) -> None:
    sizes = sizes_for(multiple)
    for axis in range(2):
        remainders = {size[axis] % multiple for size in sizes}
        assert remainders >= set(range(multiple)) if multiple <= 8 else {0, 1, multiple - 1} <= remainders
    assert min(min(size) for size in sizes) == 1 and max(max(size) for size in sizes) <= 256


def test_batches_are_checked() -> None:
    from cyclegan.publish.checked import check_model

    network, seen = generator(CONFIGS["resnet"]), []

    def translate(pictures: Array) -> Array:
        seen.append(pictures.shape[0])
        return by_torch(network, pictures)

    assert check_model(translate, network, "float32", ()).off == (0, 0) and max(seen) == 2
