"""Speed options are tried when there is enough to translate, and used if they give the same pictures faster."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import cyclegan.inference.engines.torch_engine
import cyclegan.inference.pipeline
import cyclegan.machine.levers
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.engines.torch_engine import REPAYS, TRIAL, TorchEngine
from cyclegan.inference.translator import Translator
from cyclegan.machine.device import has_compiler
from cyclegan.machine.levers import PLAIN, Levers
from tests.tiny import outputs, write_pictures


@pytest.fixture
def pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every speed option worth a trial after 8 pictures, and accept any correct one, however slow."""
    for module in (cyclegan.machine.levers, cyclegan.inference.engines.torch_engine):
        monkeypatch.setattr(module, "may_pay", lambda *_: True)
    monkeypatch.setattr(cyclegan.machine.levers, "FASTER", 0.0)
    monkeypatch.setattr(cyclegan.machine.levers, "BURST", 1e-9)
    monkeypatch.setattr(cyclegan.inference.pipeline, "SOME", 8)
    monkeypatch.setattr(TorchEngine, "threads", 1)  # for more, there is one speed option more, see test_lanes.py


@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="needs a C++ compiler")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.soak)])
def test_many_pictures_of_one_size_are_compiled_for_and_come_out_the_same(
    backend: str, tmp_path: Path, pays: None, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=backend))
    write_pictures(tmp_path / "in", 11, size=42)  # to be padded: no multiple of 4
    Image.new("RGB", (24, 24)).save(tmp_path / "in" / "odd.png")
    translate_directory(translator, tmp_path / "in", tmp_path / "eager")
    notes: list[str] = []
    free = Translator(translator.torch.network, device="cpu", precision="float32", channels_last=False)
    translate_directory(free, tmp_path / "in", tmp_path / "compiled", note=notes.append)
    assert notes[0] == "compiling for pictures of 42 x 42 pixels; takes about half a minute"
    assert notes[1].startswith("speed: --precision float32 --channels_last off --compile on")
    assert free.torch._compiled == {(1, 3, 42, 42)} and len(notes) == 2
    for name in outputs(tmp_path / "eager"):
        one, other = (np.asarray(Image.open(tmp_path / way / name), np.int16) for way in ("eager", "compiled"))
        assert np.abs(one - other).max() <= 1


def test_sizes_that_each_come_seldom_are_not_compiled_for(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(24):
        Image.new("RGB", (8 + i % 3, 8)).save(tmp_path / "in" / f"{i:02}.png")
    notes: list[str] = []
    free = Translator(translator.torch.network, device="cpu", precision="float32", channels_last=False)
    translate_directory(free, tmp_path / "in", tmp_path / "out", note=notes.append)
    assert not notes


def test_what_the_compiler_fails_at_goes_on_uncompiled(
    pays: None, translator: Translator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(network: torch.nn.Module, **_: object) -> None:
        def form(x: torch.Tensor) -> torch.Tensor:
            logging.getLogger("torch").critical("a page of it")
            raise AssertionError("(VR[-oo, 18.0], VR[-int_oo, -1])\n\nmore of it")

        network._compiled_call_impl = form

    monkeypatch.setattr(cyclegan.inference.engines.torch_engine, "has_compiler", lambda device: True)
    monkeypatch.setattr(torch.nn.Module, "compile", failing)
    free = Translator(translator.torch.network, device="cpu", precision="float32", channels_last=False)
    notes: list[str] = []
    free.torch.note = notes.append
    images = torch.rand(1, 3, 17, 19)
    before = free.translate_batch(images)
    free.torch.compile(images, 1000)
    assert torch.equal(free.translate_batch(images), before)
    assert "19 x 17" in notes[0] and "compile does not run here ((VR[-oo, 18.0], VR[-int_oo, -1]))" in notes[1]
    assert len(notes) == 2 and not caplog.records


@contextmanager
def called(network: nn.Module) -> Iterator[list[int]]:
    """Record the number of pictures in each call of the network."""
    calls: list[int] = []
    handle = network.register_forward_pre_hook(lambda network, inputs: calls.append(len(inputs[0])))
    try:
        yield calls
    finally:
        handle.remove()


def test_levers_are_chosen_once_there_is_enough_to_translate(
    pays: None, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cyclegan.inference.engines.torch_engine, "has_bf16", lambda device: False)
    free, notes = Translator(translator.torch.network, device="cpu"), list[str]()
    free.torch.note = notes.append
    one = torch.rand(1, 3, 64, 64)
    expected = translator.translate_batch(one)
    for _ in range(2):
        free.translate_batch(one)
    assert not notes  # two small pictures repay no trial
    free.torch.expected = REPAYS * TRIAL**2 - 1
    with called(free.torch.network) as calls:
        free.translate_batch(one)
    assert calls == [1] and not notes
    free.torch.expected += 1
    torch.testing.assert_close(free.translate_batch(one), expected, rtol=0, atol=1e-5)
    assert free.torch.levers == Levers(channels_last=True) and len(notes) == 1
    assert notes[0].startswith("speed: --precision float32 --channels_last on --compile off (")


def test_a_lever_that_paints_something_else_is_dropped(
    pays: None, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cyclegan.inference.engines.torch_engine, "has_bf16", lambda device: True)
    free, notes = Translator(translator.torch.network, device="cpu", channels_last=False), list[str]()
    spoil = free.torch.network.register_forward_hook(
        lambda network, inputs, output: output * torch.nan if torch.is_autocast_enabled("cpu") else output
    )
    free.torch.note = notes.append
    free.torch.expected = REPAYS * TRIAL**2
    assert free.translate_batch(torch.rand(1, 3, 64, 64)).isfinite().all()
    assert free.torch.levers == PLAIN and "bf16 the picture is not finite" in notes[0]
    spoil.remove()


def test_a_lever_set_by_hand_is_obeyed_and_a_wrong_one_told(translator: Translator) -> None:
    free, notes = Translator(translator.torch.network, device="cpu", precision="bf16", channels_last=False), list[str]()
    free.torch.note = notes.append
    spoil = free.torch.network.register_forward_hook(
        lambda network, inputs, output: 1 - output if torch.is_autocast_enabled("cpu") else output
    )
    free.translate_batch(torch.rand(1, 3, 64, 64))
    assert (
        free.torch.levers == Levers("bf16") and "WARNING for the options set by hand: the picture is off by" in notes[0]
    )
    spoil.remove()
