"""Translating with an exported model needs none of the libraries of the extra `torch`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.cli import OF_TORCH, WITHOUT_TORCH
from cyclegan.cli.codes import MISTAKE
from cyclegan.inference.engines.about import About
from cyclegan.inference.engines.onnx_model import model_of
from cyclegan.inference.graph.text import graph_text
from cyclegan.inference.graph.trace import trace
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from tests.patience import run
from tests.tiny import write_pictures

ROOT = Path(__file__).parents[1]

WITHOUT = f"""
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {sorted(OF_TORCH)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])

sys.meta_path.insert(0, Hidden)
from cyclegan.cli import main
main(sys.argv[1:])
"""


def without_torch(*words: str | Path) -> tuple[int, str, str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = run([sys.executable, "-c", WITHOUT, *map(str, words)], environment)
    return done.returncode, done.stdout, done.stderr


def test_an_exported_model_translates_without_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = ResnetConfig(width=4, blocks=1).build()
    graph = trace(network.eval())
    about = About(digest=graph.digest())
    (tmp_path / "g.onnx").write_bytes(model_of(graph, about.texts() | {"graph": graph_text(graph)}))
    [path] = write_pictures(tmp_path / "in", 1, size=37)
    code, out, err = without_torch("translate", tmp_path / "g.onnx", tmp_path / "in", tmp_path / "out")
    assert (code, out) == (0, f"1 translated to {tmp_path}/out\n"), err
    expected = np.asarray(Translator(network, device="cpu", precision="float32", engine="torch").translate(path), int)
    assert np.abs(np.asarray(Image.open(tmp_path / "out" / path.name), int) - expected).max() <= 1


@pytest.mark.parametrize("words", [("train",), ("translate", "g.safetensors", "in", "out"), ("evaluate", "run")])
def test_what_needs_torch_says_what_to_install(words: tuple[str, ...], tmp_path: Path) -> None:
    code, _, err = without_torch(*words)
    assert (code, err.splitlines()[-1]) == (MISTAKE, f"cyclegan: {words[0]} {WITHOUT_TORCH}")
