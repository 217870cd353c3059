"""Translating in bands gives what translating at once gives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.budget import Budget
from cyclegan.inference.bands.plan import plan_of, stored_values
from cyclegan.inference.bands.runner import Moments
from cyclegan.inference.bands.session_runner import SessionRunner
from cyclegan.inference.bands.sweep import Sweep
from cyclegan.inference.engines.sessions import onnxruntime_session
from cyclegan.inference.engines.torch_engine import TorchEngine
from cyclegan.inference.graph.trace import Untraceable, trace
from cyclegan.inference.translator import Translator
from cyclegan.networks.base import Generator
from cyclegan.networks.blocks import BatchNorm
from cyclegan.networks.config import ResnetConfig, UnetConfig
from cyclegan.util.text import bytes_from

GENERATORS: dict[str, ResnetConfig | UnetConfig] = {
    "ResNet": ResnetConfig(width=4, blocks=3),
    "antialiased": ResnetConfig(width=4, blocks=2, downsample="blur", upsample="blur", bias=True),
    "resizing": ResnetConfig(width=4, blocks=2, upsample="resize", dropout=0.5),
    "with a skip": ResnetConfig(width=4, blocks=1, skip=True),
    "batch norm": ResnetConfig(width=4, blocks=2, norm="batch"),
    "U-Net": UnetConfig(width=4, depth=5, norm="instance"),
    "U-Net with batch norm": UnetConfig(width=4, depth=5),
}

SIZES = [(8, 8), (131, 70), (1, 9), (97, 5), (64, 333)]


def generator(config: ResnetConfig | UnetConfig, inputs: int = 3, outputs: int = 3) -> Generator:
    torch.manual_seed(0)
    network = config.build(inputs, outputs).eval()
    for norm in network.modules():
        if isinstance(norm, BatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    return network


def picture(height: int, width: int, channels: int = 3) -> Pixels:
    pixels: Pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return pixels


def plain_engine(network: nn.Module) -> TorchEngine:
    return TorchEngine(network, device="cpu", precision="float32", channels_last=False)


def in_bands(engine: TorchEngine, pixels: Pixels, rows: int, columns: int = 9999, **more: Any) -> Pixels:
    graph = engine.graph
    assert graph is not None
    target = PictureFormat.of(graph.outputs)
    out: Pixels = np.empty((*pixels.shape[:2], graph.outputs), np.uint8)
    passes = plan_of(graph)
    Sweep(graph, engine.runner(target), pixels, out, **more).run(passes, [(rows, columns)] * len(passes))
    return out


@pytest.mark.parametrize("name", GENERATORS)
def test_bands_give_the_same_picture_as_all_at_once(name: str) -> None:
    engine = plain_engine(generator(GENERATORS[name]))
    for size in SIZES:
        pixels = picture(*size)
        expected = engine.pixels(pixels[None], PictureFormat())[0].astype(int)
        for tile in ((1, 9999), (20, 9999), (64, 9999), (64, 20), (12, 64)):
            off = np.abs(in_bands(engine, pixels, *tile).astype(int) - expected)
            assert off.max() <= 1 and np.mean(off > 0) < 0.001, (size, tile)


def test_bands_agree_in_floats_to_the_last_digits() -> None:
    engine = plain_engine(generator(GENERATORS["ResNet"]))
    target = PictureFormat(depth="float32", range=(0, 1))
    pixels, graph = picture(90, 70), engine.graph
    assert graph is not None
    out: Pixels = np.empty((90, 70, 3), np.float32)
    Sweep(graph, engine.runner(target), pixels, out).run(plan_of(graph), [(16, 24)] * 99)
    np.testing.assert_allclose(out, engine.pixels(pixels[None], target)[0], atol=2e-5)


@pytest.mark.parametrize("library", ["torch", "openvino", "onnxruntime"])
def test_a_blank_picture_stays_blank(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A norm divides the rounding of a constant channel by the root of its eps: it must be exactly 0."""
    if library != "torch":
        pytest.importorskip(library)
    network = generator(ResnetConfig(width=4, blocks=3, bias=True))
    blank: Pixels = np.full((1, 90, 70, 3), (200, 31, 77), np.uint8)
    expected = plain_engine(network).pixels(blank, PictureFormat())[0].astype(int)
    translator = Translator(network, device="cpu", precision="float32", engine=library)
    translator.translate_pixels(picture(32, 32)[None])
    monkeypatch.setattr(Budget, "is_exceeded", lambda *words: True)
    monkeypatch.setattr(Budget, "room", lambda budget: 2**21)
    made = translator.translate_pixels(blank)[0]
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_bands_keep_other_numbers_of_channels() -> None:
    engine = plain_engine(generator(GENERATORS["ResNet"], 5, 2))
    pixels = picture(50, 40, 5)
    expected = engine.pixels(pixels[None], PictureFormat.of(2))[0].astype(int)
    assert np.abs(in_bands(engine, pixels, 12).astype(int) - expected).max() <= 1


def test_a_resnet_stores_two_layers_of_a_quarter_of_the_size_and_computes_an_eighth_more() -> None:
    with torch.device("meta"):
        network = ResnetConfig().build()
    graph = trace(network.to_empty(device="cpu"))
    passes = plan_of(graph)
    work = sum(node.multiplications for node in graph.nodes.values())
    done = sum(node.multiplications for each in passes for node in each.nodes)
    assert stored_values(passes, graph) == 2 * 16
    assert done / work == pytest.approx(1.122, abs=0.001)


def test_statistics_of_parts_join_to_those_of_the_whole() -> None:
    values = np.random.default_rng(0).normal(100, 0.1, (3, 50, 7))
    parts = [values[:, :1], values[:, 1:30], values[:, 30:]]
    of = [Moments(part.mean((1, 2)), part.var((1, 2)), part[0].size) for part in parts]
    joined = of[0].joined(of[1]).joined(of[2])
    np.testing.assert_allclose(joined.mean, values.mean((1, 2)), rtol=1e-12)
    np.testing.assert_allclose(joined.variance, values.var((1, 2)), rtol=1e-9)
    assert joined.number == 350


def test_a_small_budget_is_kept_by_bands_and_gives_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    network, pixels = generator(GENERATORS["ResNet"]), picture(300, 200)
    whole = Translator(network, device="cpu", precision="float32", channels_last=False)
    shares: list[float] = []
    whole.report = shares.append
    expected = whole.translate_pixels(pixels[None])
    assert not shares
    monkeypatch.setattr(Budget, "room", lambda budget: 3 * 2**20)
    banded = Translator(network, device="cpu", precision="float32", channels_last=False)
    banded.report = shares.append
    made = banded.translate_pixels(pixels[None])
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1
    assert len(shares) > 20 and shares == sorted(shares) and shares[-1] == 1


def test_what_fits_is_not_cut() -> None:
    engine = plain_engine(generator(GENERATORS["ResNet"]))
    assert not Budget(on_cpu=True).is_exceeded(engine, 512, 512)
    assert Budget(on_cpu=True, memory=1).is_exceeded(engine, 512, 512)


def test_batches_are_as_large_as_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(generator(GENERATORS["ResNet"]), device="cpu", precision="float32", channels_last=False)
    pixels = np.stack([picture(40, 50), 255 - picture(40, 50)])
    expected = translator.translate_pixels(pixels)
    monkeypatch.setattr(TorchEngine, "batch_size", lambda *words: 8)
    room = translator.budget.room() / translator.budget.number(translator.engine, 40, 50)
    for number in (0, 1, 5, 9):
        monkeypatch.setattr(Budget, "room", lambda budget, number=number: (number + 0.5) * room)
        assert translator.batch_size(40, 50) == min(8, max(1, number))
    monkeypatch.setattr(Budget, "room", lambda budget: 1.5 * room)
    off = translator.translate_pixels(pixels).astype(int) - expected  # one by one
    assert np.abs(off).max() <= 1


def test_layers_go_to_a_file_when_they_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, budget = plain_engine(generator(GENERATORS["ResNet"])), Budget(on_cpu=True)
    graph, runner = engine.graph, engine.runner(PictureFormat())
    assert graph is not None
    monkeypatch.setattr(Budget, "room", lambda budget: 2**30)
    roomy = budget.bands(graph, 4000, 1000, runner)
    monkeypatch.setattr(Budget, "room", lambda budget: 8 * 2**20)
    tight = budget.bands(graph, 4000, 1000, runner)
    assert not roomy.mapped and tight.mapped
    assert max(tight.tiles) < max(roomy.tiles)


@pytest.mark.parametrize("room", [2**24, 2**28])
def test_tiles_of_a_wide_picture_fit_and_have_few_margins(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of the whole width would be 3 to 40 rows high, with 16 rows of margins."""
    engine, (height, width) = plain_engine(generator(GENERATORS["ResNet"])), (4000, 10_000)
    graph, runner = engine.graph, engine.runner(PictureFormat())
    assert graph is not None
    monkeypatch.setattr(Budget, "room", lambda budget: room)
    bands = Budget(on_cpu=True).bands(graph, height, width, runner)
    for part, (rows, columns) in zip(bands.passes, bands.tiles, strict=True):
        assert part.columns_free or columns == width
        pixels = (rows + 2 * part.margin) * (columns + 2 * part.margin * (columns < width))
        assert pixels * part.working(graph.nodes) * 4 * runner.copies <= room
        if part.columns_free:
            assert pixels < {2**24: 1.25, 2**28: 1.1}[room] * rows * columns


def test_a_library_keeps_the_memory_of_one_pass_only() -> None:
    """Each session of ONNX Runtime and OpenVINO keeps what its largest tile took."""
    alive = weakref.WeakSet[Any]()
    most = 0

    class Session:
        def __init__(self, model: bytes, precisely: bool) -> None:
            nonlocal most
            self.run = onnxruntime_session(model, 1)
            alive.add(self)
            most = max(most, len(alive))

        def __call__(self, inputs: Any) -> Any:
            return self.run(inputs)

    pytest.importorskip("onnxruntime")
    graph, pixels = trace(generator(GENERATORS["ResNet"])), picture(60, 50)
    passes = plan_of(graph)
    runner = SessionRunner(graph, Session, PictureFormat())
    Sweep(graph, runner, pixels, np.empty_like(pixels)).run(passes, [(20, 24)] * len(passes))
    assert len(passes) > 5 and most == 1


def test_too_small_a_budget_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = plain_engine(generator(GENERATORS["ResNet"]))
    assert engine.graph is not None
    monkeypatch.setattr(Budget, "room", lambda budget: 2**20)
    runner = engine.runner(PictureFormat())
    with pytest.raises(ValueError, match=r"a picture 1,000,000 pixels wide needs at least --memory \d+MB") as refused:
        Budget(on_cpu=True).bands(engine.graph, 100, 1_000_000, runner)
    enough = bytes_from(str(refused.value).split()[-1])
    monkeypatch.setattr(Budget, "room", lambda budget: enough)
    Budget(on_cpu=True).bands(engine.graph, 100, 1_000_000, runner)


def test_a_picture_that_runs_out_of_memory_at_once_is_translated_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(generator(GENERATORS["ResNet"]), device="cpu", precision="float32", channels_last=False)
    expected = translator.translate_pixels(picture(60, 50)[None])

    def full(*words: object) -> Pixels:
        raise MemoryError

    monkeypatch.setattr(translator.engine, "pixels", full)
    assert np.abs(translator.translate_pixels(picture(60, 50)[None]).astype(int) - expected).max() <= 1


def test_a_diverged_generator_is_told_in_bands_too() -> None:
    network = generator(GENERATORS["ResNet"])
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="the image contains NaN"):
        in_bands(plain_engine(network), picture(40, 40), 8)


def strange(network: Generator) -> Generator:
    network.translate = lambda x: torch.sin(x)  # type: ignore[method-assign]  # another operation
    return network


@pytest.mark.parametrize(
    "make, told",
    [(lambda: nn.Identity(), "a Identity is not one"), (lambda: strange(generator(GENERATORS["ResNet"])), "sin")],
)
def test_a_network_of_other_operations_is_translated_at_once(make: Callable[[], nn.Module], told: str) -> None:
    network = make()
    with pytest.raises(Untraceable, match=told):
        trace(network)
    engine = plain_engine(network)
    assert engine.graph is None and not Budget(on_cpu=True, memory=1).is_exceeded(engine, 100, 100)


@pytest.mark.parametrize("library", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", GENERATORS)
def test_other_engines_translate_in_bands_too(name: str, library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    network, pixels = generator(GENERATORS[name]), picture(131, 70)
    expected = plain_engine(network).pixels(pixels[None], PictureFormat())[0].astype(int)
    translator = Translator(network, device="cpu", precision="float32", engine=library)
    small = translator.translate_pixels(pixels[None, :32, :32])
    assert small.shape == (1, 32, 32, 3) and translator.engine.name == library
    monkeypatch.setattr(Budget, "is_exceeded", lambda *words: True)
    monkeypatch.setattr(Budget, "room", lambda budget: 2**21)
    off = np.abs(translator.translate_pixels(pixels[None])[0].astype(int) - expected)
    assert off.max() <= 1 and np.mean(off > 0) < 0.001
