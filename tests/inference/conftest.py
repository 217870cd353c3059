"""A small generator with fixed weights, loaded and as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.types import Direction


@pytest.fixture
def network() -> ResnetGenerator:
    torch.manual_seed(0)
    return ResnetConfig(width=4, blocks=1).build()


@pytest.fixture
def translator(network: ResnetGenerator) -> Translator:
    return Translator(network, device="cpu", precision="float32", channels_last=False, compile_="off")


@pytest.fixture
def generator(network: ResnetGenerator, tmp_path: Path) -> Path:
    write_generator(network, Direction.AtoB, tmp_path / "g.safetensors")
    return tmp_path / "g.safetensors"
