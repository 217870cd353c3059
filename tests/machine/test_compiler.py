"""Networks are compiled for a few batch shapes; other shapes run uncompiled, with a warning."""

import pytest
import torch

from cyclegan.machine.compiler import MOST_SHAPES, Compiler
from cyclegan.machine.device import has_compiler


@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="needs a C++ compiler")
def test_more_sizes_than_are_compiled_run_as_written_and_are_told(caplog: pytest.LogCaptureFixture) -> None:
    network = torch.nn.Conv2d(1, 1, 1)
    compiler = Compiler([network])
    compiler.set("on")
    compiler.shapes = {(torch.Size([1, 1, side, side]),) for side in range(10, 10 + MOST_SHAPES)}  # compiled before
    for side in (2, 3):
        x = torch.ones(1, 1, side, side)
        with compiler.calls([x]):
            assert torch.equal(network(x), network.forward(x))
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("compiled for 8 sizes of pictures")
