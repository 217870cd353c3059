"""A library runs the network only if it gives the picture of plain torch; `auto` takes the fastest that does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cyclegan.data.picture import Pixels
from cyclegan.inference.engines import choose
from cyclegan.inference.engines.choose import Candidate, choose_engine
from cyclegan.inference.engines.library_engine import LibraryEngine
from cyclegan.inference.engines.session_engine import SessionEngine
from cyclegan.inference.engines.sessions import Array
from cyclegan.inference.engines.torch_engine import TorchEngine
from cyclegan.networks.resnet import ResnetGenerator

PICTURE: Pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 48, 3), np.uint8)
Change = Callable[[Array], Array]
OPENVINO, ONNX = Candidate("openvino", "float32"), Candidate("onnxruntime", "float32")


@pytest.fixture
def engine(network: ResnetGenerator, monkeypatch: pytest.MonkeyPatch) -> TorchEngine:
    """With two libraries that are worth a trial, and so many pixels to come that the trial repays."""
    monkeypatch.setattr(choose, "_candidates", lambda torch: [OPENVINO, ONNX])
    engine = TorchEngine(network, device="cpu", precision="float32", channels_last=False, compile_="off")
    engine.expected = 10**12
    return engine


def libraries(monkeypatch: pytest.MonkeyPatch, times: dict[Candidate, float], **wrong: Change) -> None:
    """Let libraries compute what torch does, but `wrong` ones; each is so many times as fast."""

    def built(candidate: Candidate, torch: TorchEngine) -> LibraryEngine:
        def run(images: Array) -> Array:
            images = torch.plainly(images)
            return wrong[candidate.name](images) if candidate.name in wrong else images

        return LibraryEngine(SessionEngine(candidate.name, "float32", 3, 3, "", run, torch.graph))

    def measured(works: list[Callable[[], object]]) -> list[float]:
        agreeing = [speed for candidate, speed in times.items() if candidate.name not in wrong]
        assert len(works) == 1 + len(agreeing)
        return [1.0, *(1 / speed for speed in agreeing)]

    monkeypatch.setattr(choose, "_built", built)
    monkeypatch.setattr(choose, "_measured", measured)


def off(images: Array) -> Array:
    return images + np.float32(0.1)


def broken(images: Array) -> Array:
    raise RuntimeError("OpenVINO failed: it is not initialized")


def test_auto_takes_the_fastest(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = list[str]()
    engine.note = notes.append
    libraries(monkeypatch, {OPENVINO: 1.5, ONNX: 2.0})
    chosen = choose_engine("auto", engine, PICTURE)
    assert chosen is not None and chosen.name == "onnxruntime"
    assert notes == ["engine: onnxruntime (openvino 1.50x, onnxruntime 2.00x; torch 1x)"]


def test_auto_keeps_torch_when_nothing_is_faster(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, {OPENVINO: 1.04, ONNX: 0.5})
    assert choose_engine("auto", engine, PICTURE) is engine


@pytest.mark.parametrize("wrong, told", [(off, "differs"), (broken, "it is not initialized")])
def test_auto_never_takes_a_library_that_is_wrong(
    wrong: Change, told: str, engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = list[str]()
    engine.note = notes.append
    libraries(monkeypatch, {OPENVINO: 9.0, ONNX: 2.0}, openvino=wrong)
    chosen = choose_engine("auto", engine, PICTURE)
    assert chosen is not None and chosen.name == "onnxruntime" and told in notes[0]


@pytest.mark.parametrize("wrong, told", [(off, "differs"), (broken, "it is not initialized")])
def test_a_library_that_is_asked_for_and_wrong_is_refused_in_one_line(
    wrong: Change, told: str, engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries(monkeypatch, {OPENVINO: 9.0}, openvino=wrong)
    with pytest.raises(ValueError, match=told) as refused:
        choose_engine("openvino", engine, PICTURE)
    line = str(refused.value)
    assert line.startswith("--engine: ") and line.endswith("; use torch") and "\n" not in line


def test_a_few_pictures_repay_no_trial(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_built", lambda *words: pytest.fail("tried"))
    engine.expected = 40 * 48
    assert choose_engine("auto", engine, PICTURE) is None
