"""Exported models are read back as they were written, and nothing in them is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cyclegan.data.format import Formats, PictureFormat
from cyclegan.inference.engines.about import About
from cyclegan.inference.engines.model_file import GRAPH, read_model_file
from cyclegan.inference.engines.onnx_model import model_of
from cyclegan.inference.engines.quantise import openvino_file
from cyclegan.inference.graph.nodes import Graph
from cyclegan.inference.graph.text import graph_from, graph_text
from cyclegan.inference.graph.trace import trace
from cyclegan.types import Direction
from tests.inference.engines.generators import CONFIGS, generator, images

onnx = pytest.importorskip("onnx")


def metadata(graph: Graph) -> dict[str, str]:
    formats: Formats = {"a": PictureFormat(), "b": PictureFormat.of(graph.outputs)}
    about = About(direction=Direction.AtoB, formats=formats, trained=256, digest=graph.digest())
    return about.texts() | {GRAPH: graph_text(graph)}


@pytest.fixture
def graph() -> Graph:
    return trace(generator(CONFIGS["resize"]))


def written(path: Path, graph: Graph, texts: dict[str, str] | None = None) -> Path:
    path.write_bytes(model_of(graph, metadata(graph) if texts is None else texts))
    return path


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_generator_comes_back_with_all_that_is_known(kind: str, suffix: str, tmp_path: Path) -> None:
    graph, path = trace(generator(CONFIGS[kind])), tmp_path / f"model{suffix}"
    if suffix == ".xml":
        openvino = pytest.importorskip("openvino")
        file = openvino_file(openvino.Core().read_model(model_of(graph)), metadata(graph))
        path.write_bytes(file.xml)
        path.with_suffix(".bin").write_bytes(file.weights)
    else:
        written(path, graph)
    read = read_model_file(path)
    assert read.graph and read.graph.digest() == graph.digest() and not read.notes
    assert (read.about.trained, read.about.direction, read.inputs, read.outputs) == (256, Direction.AtoB, 3, 3)


def test_a_damaged_file_is_one_line(graph: Graph, tmp_path: Path) -> None:
    path, random = written(tmp_path / "model.onnx", graph), Random(0)
    content = path.read_bytes()
    for number in range(60):
        damaged = bytearray(content)
        if number % 3 == 0:
            damaged = damaged[: random.randrange(len(damaged))]
        for _ in range(20):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.onnx: ") as told:
            read_model_file(path)
        assert "\n" not in str(told.value)


def changed(key: str, value: object, node: int = 1) -> Callable[[dict[str, Any]], None]:
    def change(graph: dict[str, Any]) -> None:
        (graph["nodes"][node] if node >= 0 else graph)[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed("op", "exec"), "Input should be 'input', 'conv'"),
        (changed("inputs", ["nowhere"]), "'nowhere', an input of stages_0_0, is not an earlier node"),
        (changed("inputs", []), "stages_0_0 has 0 inputs"),
        (changed("channels", 5), "weight is not 5 x 3 x 7 x 7 numbers"),
        (changed("channels", 10**9), "less than or equal to 65536"),
        (changed("size", "2"), "does not have the channels and the size"),
        (changed("kernel", 5), "padding of stages_0_0 does not suit its kernel and stride"),
        (changed("name", "images"), "images is there twice"),
        (changed("more", 1), "unexpected keyword"),
        (changed("multiple", 2, -1), "multiple"),
        (changed("smallest", 10**6, -1), "less than or equal to 65536"),
    ],
)
def test_a_graph_that_contradicts_its_weights_is_refused(
    change: Callable[[dict[str, Any]], None], told: str, graph: Graph, tmp_path: Path
) -> None:
    texts = metadata(graph)
    told_graph = json.loads(texts[GRAPH])
    change(told_graph)
    path = written(tmp_path / "model.onnx", graph, texts | {GRAPH: json.dumps(told_graph)})
    with pytest.raises(ValueError, match="(?i)" + told.replace("(", r"\(")):
        read_model_file(path)


def test_other_weights_are_noticed(graph: Graph, tmp_path: Path) -> None:
    other = trace(generator(CONFIGS["resize"]))
    weights = other.nodes["stages_0_0"].weight
    assert weights is not None
    texts = metadata(graph)
    weights += 1
    with pytest.raises(ValueError, match="its weights are not those that were exported"):
        read_model_file(written(tmp_path / "model.onnx", other, texts))


def test_a_model_does_not_read_other_files(graph: Graph, tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", graph)
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="secret", size_threshold=0)
    with pytest.raises(ValueError, match="its weights are in other files, which are not read"):
        read_model_file(path)


def test_a_model_of_another_program_is_run_as_it_is(graph: Graph, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    read = read_model_file(written(tmp_path / "model.onnx", graph, {}))
    assert read.graph is None and "another program" in read.notes[0]
    assert read.engine("onnxruntime")(images(9, 10)).shape == (1, 3, 9, 10)


def test_a_model_that_maps_something_else_is_refused(graph: Graph, tmp_path: Path) -> None:
    five = trace(generator(CONFIGS["resnet"], inputs=5))
    with pytest.raises(ValueError, match="does not map"):
        read_model_file(written(tmp_path / "model.onnx", five, {}))
    with pytest.raises(ValueError, match="by another version of cyclegan"):
        read_model_file(written(tmp_path / "model.onnx", graph, metadata(graph) | {"format": "cyclegan model 2"}))


def test_a_graph_reads_its_own_text(graph: Graph) -> None:
    arrays = {
        f"{node.name}.{kind}": array
        for node in graph.nodes.values()
        for kind, array in (("weight", node.weight), ("bias", node.bias))
        if array is not None
    }
    assert graph_from(graph_text(graph), arrays.__getitem__).digest() == graph.digest()
