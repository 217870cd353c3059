"""Every signal that asks a program to end is recorded once, and the previous handlers are restored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from cyclegan.util.signals import SIGNALS, StopSignals
from tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def heard() -> Iterator[list[int]]:
    """The signals that reach the program's own handlers, whatever handlers the tests were started with."""
    heard: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: heard.append(number)) for number in SIGNALS}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_programs_handlers_come_back(number: int, heard: list[int]) -> None:
    with StopSignals() as stop:
        signal.raise_signal(number)
        assert stop.received == number and heard == []
    signal.raise_signal(number)
    assert heard == [number]


def test_the_same_signal_again_acts_as_it_always_did(heard: list[int]) -> None:
    with StopSignals() as stop:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert stop.received == signal.SIGINT and heard == [signal.SIGINT]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_terminal_that_closes_may_say_so_twice(heard: list[int]) -> None:
    with StopSignals() as stop:
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        assert stop.received == signal.SIGHUP and heard == []


@pytest.mark.parametrize("number", SIGNALS)
def test_an_ignored_signal_stays_ignored(number: int, heard: list[int]) -> None:
    signal.signal(number, signal.SIG_IGN)
    with StopSignals() as stop:
        signal.raise_signal(number)
        assert not stop.received
    assert signal.getsignal(number) is signal.SIG_IGN


def test_handlers_come_back_after_an_error(heard: list[int]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyError), StopSignals():
        raise KeyError
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_outside_the_main_thread_no_handler_is_touched() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[object] = []

    def work() -> None:
        with StopSignals():
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert seen == before
