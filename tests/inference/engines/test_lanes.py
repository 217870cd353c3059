"""Translating several pictures at a time, each by one thread, gives the same as one after another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from cyclegan.inference.engines.lanes import Lanes
from cyclegan.inference.engines.torch_engine import TorchEngine
from cyclegan.inference.translator import Translator
from cyclegan.machine import levers
from cyclegan.machine.levers import PLAIN, Levers
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.types import Precision


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def engine(network: ResnetGenerator) -> TorchEngine:
    return TorchEngine(network, device="cpu")


def test_each_lane_has_one_thread_and_the_caller_keeps_its_own() -> None:
    lanes = Lanes(2)
    counts = lanes.translate(lambda image: torch.full((1, 1), torch.get_num_threads()), torch.zeros(3, 1))
    assert counts.flatten().tolist() == [1, 1, 1]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_pictures_are_the_same_and_in_order(engine: TorchEngine, precision: Precision) -> None:
    images = torch.rand(5, 3, 32, 40) * 2 - 1
    one_by_one = Levers(precision, channels_last=True)
    engine.use(one_by_one)
    expected = torch.cat([engine.run(image[None]) for image in images])
    engine.use(one_by_one._replace(parallel=True))
    assert torch.allclose(engine.run(images), expected, atol=1e-5 if precision == "float32" else 0.02)
    assert not engine.run(images).requires_grad


def test_a_batch_has_a_picture_for_each_lane_if_they_are_small(engine: TorchEngine) -> None:
    assert engine.batch_size(256, 256) == 1
    engine.use(PLAIN._replace(parallel=True))
    assert engine.batch_size(256, 256) == 2 and engine.batch_size(2000, 2000) == 1


def test_lanes_are_used_where_they_are_faster(network: ResnetGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    def faster(bench: levers.Bench, new: Levers, than: Levers) -> float:
        return 1.5 if new.parallel else 0.5

    monkeypatch.setattr(levers, "_times_as_fast", faster)
    monkeypatch.setattr(levers, "may_pay", lambda *_: True)
    translator = Translator(network, device="cpu", engine="torch")
    translator.torch.expected = 10**12
    images = torch.rand(1, 3, 32, 40) * 2 - 1
    translated: Tensor = translator.translate_batch(images)
    assert translator.torch.levers.parallel and translator.batch_size(32, 40) == 2
    assert torch.allclose(translator.translate_batch(images.expand(2, -1, -1, -1))[1:], translated, atol=1e-5)
