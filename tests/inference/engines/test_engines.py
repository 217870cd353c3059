"""ONNX Runtime and OpenVINO translate as torch does, whatever the generator and the size."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cyclegan.inference.engines import sessions
from cyclegan.inference.engines.agreement import difference, disagreement
from cyclegan.inference.engines.onnx_model import model_of, part_of
from cyclegan.inference.engines.precise import split_precise
from cyclegan.inference.engines.session_engine import LibraryName, engine_of
from cyclegan.inference.engines.sessions import Session, onnxruntime_session, openvino_session
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.graph.nodes import INPUT
from cyclegan.inference.graph.trace import trace
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.inference.engines.generators import CONFIGS, SIZES, by_torch, generator, images
from tests.patience import run
from tests.tiny import write_pictures

SESSIONS: dict[LibraryName, Callable[[bytes], Session]] = {
    "onnxruntime": onnxruntime_session,
    "openvino": openvino_session,
}


@pytest.fixture(params=SESSIONS)
def library(request: pytest.FixtureRequest) -> LibraryName:
    pytest.importorskip("onnx")
    pytest.importorskip(request.param)
    name: LibraryName = request.param
    return name


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_generator_is_translated_exactly_at_every_size(kind: str, library: LibraryName) -> None:
    network = generator(CONFIGS[kind])
    engine = engine_of(trace(network), library, threads=1)
    for height, width in SIZES:
        pictures = images(height, width, number=2)
        assert not disagreement(engine(pictures), by_torch(network, pictures), "float32"), (height, width)


def test_any_number_of_channels_is_translated(library: LibraryName) -> None:
    network = generator(CONFIGS["resnet"], inputs=5, outputs=1)
    engine = engine_of(trace(network), library, threads=1)
    pictures = images(9, 17, channels=5)
    assert (engine.inputs, engine.outputs) == (5, 1)
    assert not disagreement(engine(pictures), by_torch(network, pictures), "float32")


def test_a_blank_picture_is_translated_exactly(library: LibraryName) -> None:
    network = generator(CONFIGS["resnet"])
    blank = np.full((1, 3, 64, 64), 0.3, np.float32)
    assert difference(engine_of(trace(network), library, threads=1)(blank), by_torch(network, blank)).largest < 1e-3


@pytest.mark.parametrize("kind", CONFIGS)
def test_bf16_rounds_all_but_the_precise_end(kind: str) -> None:
    pytest.importorskip("openvino")
    network = generator(CONFIGS[kind])
    engine, pictures = engine_of(trace(network), "openvino", "bf16", threads=1), images(61, 66)
    assert not disagreement(engine(pictures), by_torch(network, pictures), "bf16")


def test_the_precise_end_of_a_generator_with_skip_passes_the_images_on() -> None:
    split = split_precise(trace(generator(CONFIGS["resize"])))
    assert INPUT in split.cuts and {node.op for node in split.end} >= {"atanh", "scale", "concat", "conv", "tanh"}
    assert {node.op for node in split.body} <= {"conv", "instance_norm", "relu", "add", "nearest_up"}


def test_a_part_with_given_statistics_is_the_same_as_the_whole(library: LibraryName) -> None:
    session_of: Callable[[bytes], Session] = SESSIONS[library]
    graph = trace(generator(CONFIGS["resnet"]))
    nodes = list(graph.nodes.values())[1:]
    norms = [node for node in nodes if node.op == "instance_norm"]
    first = nodes[: nodes.index(norms[0]) + 3]
    x = images(16, 24)
    before, whole = session_of(part_of(first, {INPUT: 3}, [first[0].name, first[-1].name], ()))({INPUT: x})
    mean, variance = before.mean((2, 3), keepdims=True), before.var((2, 3), keepdims=True)
    given = {f"{norms[0].name}.mean": mean, f"{norms[0].name}.rstd": 1 / np.sqrt(variance + norms[0].number)}
    later = session_of(part_of(first[1:], {first[0].name: first[0].channels}, [first[-1].name], [norms[0].name]))
    [made] = later({first[0].name: before} | given)
    assert np.abs(made - whole).max() < 1e-5


@pytest.mark.parametrize("large", [0, 10**9])
def test_engines_may_be_called_from_several_threads(
    large: int, library: LibraryName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LARGE", large)  # with 0, each call gives its memory back while others compute
    network = generator(CONFIGS["resnet"])
    engine = engine_of(trace(network), library, threads=1)
    pictures = [images(16 + 4 * i, 20 + i) for i in range(8)]
    made: dict[int, str] = {}

    def translate(number: int) -> None:
        translation = engine(pictures[number])
        made[number] = disagreement(translation, by_torch(network, pictures[number]), "float32")

    threads = [threading.Thread(target=translate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == dict.fromkeys(range(8), "")


def test_mistakes_are_one_line(library: LibraryName) -> None:
    engine = engine_of(trace(generator(CONFIGS["resnet"])), library, threads=1)
    with pytest.raises(RuntimeError) as told:
        engine(images(8, 8, channels=2))
    assert "\n" not in str(told.value) and "failed" in str(told.value)
    with pytest.raises(ValueError, match="cannot run this model") as told_too:
        SESSIONS[library](b"no model")
    assert "\n" not in str(told_too.value)


def test_the_model_is_valid_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    for kind in CONFIGS:
        onnx.checker.check_model(model_of(trace(generator(CONFIGS[kind]))), full_check=True)


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    from cyclegan.inference.engines.libraries import EXTRAS, library

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXTRAS, "no_such_library", "onnx")
        with pytest.raises(ModuleNotFoundError, match=r"not installed; run: pip install 'cyclegan\[onnx\]'"):
            library("no_such_library")


@pytest.mark.parametrize(
    "missing, extra, words",
    [
        ("onnx", "onnx", ("export", "g.safetensors", "g.onnx")),
        ("onnxruntime", "onnx", ("export", "g.safetensors", "g.onnx")),
        ("openvino", "openvino", ("export", "g.safetensors", "g.xml")),
        ("nncf", "int8", ("export", "g.safetensors", "g.xml", "--int8", "--calibrate", "in")),
        ("onnx", "onnx", ("translate", "g.safetensors", "in", "out", "--engine", "onnxruntime")),
        ("openvino", "openvino", ("translate", "g.safetensors", "in", "out", "--engine", "openvino")),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    missing: str, extra: str, words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def imported(name: str) -> Any:
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return import_module(name)

    monkeypatch.setattr("cyclegan.inference.engines.libraries.import_module", imported)
    for name in [missing, *(name for name in sys.modules if name.startswith(f"{missing}."))]:
        monkeypatch.setitem(sys.modules, name, None)  # also for who imports it directly
    monkeypatch.chdir(tmp_path)
    write_generator(generator(next(iter(CONFIGS.values()))), Direction.AtoB, Path("g.safetensors"))
    write_pictures(Path("in"), 3)
    assert run_main(*words) == 2
    assert capsys.readouterr().err.endswith(
        f"cyclegan: {missing} is not installed; run: pip install 'cyclegan[{extra}]'\n"
    )


def test_differences_are_in_grey_levels() -> None:
    reference = np.zeros((1, 1, 2, 2), np.float32)
    moved = reference.copy()
    moved[0, 0, 0, 0] = 2 / 255
    assert difference(moved, reference) == pytest.approx((1.0, 0.25), abs=1e-6)
    assert "at most 1" in disagreement(moved, reference, "float32") and not disagreement(moved, reference, "bf16")
    moved[0, 0, 0, 0] = np.nan
    assert disagreement(moved, reference, "int8") and not disagreement(reference, moved, "float32")
    assert "shape" in disagreement(moved[:, :, :1], reference, "int8")


def test_a_signal_after_openvino_reaches_its_handler() -> None:
    """OpenVINO frees the stack on which the thread that compiles a model handles signals."""
    pytest.importorskip("openvino")
    program = """
import signal
import numpy as np
import cyclegan.inference.bands.budget as budget
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig


budget.Budget.is_exceeded = lambda *words: True
budget.Budget.room = lambda self: 2**22
translator = Translator(ResnetConfig(width=4, blocks=2).build(), device="cpu", precision="float32", engine="openvino")
for _ in range(3):
    translator.translate_pixels(np.zeros((1, 90, 70, 3), np.uint8))
heard = []
signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
signal.raise_signal(signal.SIGINT)
print(heard)
"""
    done = run([sys.executable, "-c", program], os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])})
    assert (done.returncode, done.stdout) == (0, "[2]\n"), done.stderr
