"""The device is found without warnings about what this machine lacks."""

import importlib
import logging
import sys
from collections.abc import Iterator

import pytest
import torch

from cyclegan.machine.device import import_extensions

NAME = "torch.utils.cpp_extension"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The messages that torch logs about its extensions on a machine with CUDA's tools but no GPU."""
    monkeypatch.setenv("CUDA_HOME", "/opt/cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(NAME).addHandler(handler)
    yield messages
    logging.getLogger(NAME).removeHandler(handler)


def test_that_warning_alone_is_not_heard_and_nothing_else_of_logging_changes(
    heard: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger(NAME)
    before = list(logger.filters), logger.level, logger.disabled, logging.root.manager.disable
    import_extensions()
    assert (list(logger.filters), logger.level, logger.disabled, logging.root.manager.disable) == before
    assert capsys.readouterr().err == ""
    logger.warning("the compiler is old")
    assert heard == ["the compiler is old"]


def test_other_things_that_are_printed_are_heard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Older versions of torch print what newer ones log."""
    said = "No CUDA runtime is found, using CUDA_HOME='/usr/local'\nthe compiler is old\n"
    monkeypatch.setattr(importlib, "import_module", lambda name: sys.stderr.write(said))
    import_extensions()
    assert capsys.readouterr().err == "the compiler is old\n"
