"""The progress of long work is reported, on a terminal and elsewhere."""

import io

import pytest

from cyclegan.util.progress import Progress, duration


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(total: int, seconds: float, *, start: int = 0, losses: str = "") -> list[str]:
    """Return the lines of work that goes at an even speed, without a terminal."""
    log, clock = io.StringIO(), Clock()
    with Progress("painting", stream=log, clock=clock) as progress:
        progress.beside |= {"losses": losses} if losses else {}
        for done in range(start, total + 1):
            progress.report(done, total)
            clock.now += seconds / (total - start) * (done < total)
    return log.getvalue().splitlines()


def test_a_line_says_how_much_how_fast_how_long_and_what_else() -> None:
    lines = lines_of(2000, 4000, losses="gan_a 0.31, gan_b 0.25")
    assert lines[1] == "painting: 35 of 2,000 pictures (1 %), 0.5 pictures/s, 1 h 5 min left, gan_a 0.31, gan_b 0.25"
    assert lines[-1] == "painting: 2,000 of 2,000 pictures (100 %) in 1 h 6 min"


def test_the_first_line_comes_early() -> None:
    assert lines_of(10_000, 20_000)[0] == "painting: 5 of 10,000 pictures (0 %), 0.5 pictures/s, 5 h 33 min left"


@pytest.mark.parametrize(
    "seconds, fewest, most",
    [(5, 0, 0), (30, 2, 4), (180, 9, 12), (1800, 20, 42), (86_400, 95, 110), (7 * 86_400, 600, 800)],
)
def test_there_are_few_lines_and_enough(seconds: float, fewest: int, most: int) -> None:
    assert fewest <= len(lines_of(5000, seconds)) <= most


def test_work_that_was_begun_before_is_no_speed() -> None:
    lines = lines_of(2000, 1000, start=1000)
    assert lines[0] == "painting: 1,010 of 2,000 pictures (50 %), 1 pictures/s, 16 min 30 s left"


def test_the_time_left_follows_the_speed_of_now() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress("training", "images", stream=log, clock=clock) as progress:
        progress.report(0, 10_000)
        for done in range(100, 10_000, 100):
            clock.now += 100 if done <= 1000 else 10
            progress.report(done, 10_000)
    assert ", 1 images/s, " in log.getvalue().splitlines()[2]
    assert log.getvalue().splitlines()[-2].endswith(", 10 images/s, 40 s left")


def test_bytes_are_counted_in_larger_units_and_without_an_end_where_nobody_knows_it() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress("horses", "MiB", size=2**20, stream=log, clock=clock) as progress:
        for mebibytes in (0, 33, 66, 99, 132, 165):
            progress.report(mebibytes * 2**20, 200 * 2**20 if mebibytes < 99 else None)
            clock.now += 30
    told = log.getvalue().splitlines()
    assert told[0] == "horses: 33 of 200 MiB (16 %), 1.1 MiB/s, 2 min 32 s left"
    assert told[-2] == "horses: 132 MiB, 1.1 MiB/s" and told[-1] == "horses: 165 MiB in 3 min 0 s"


def test_lines_are_ascii_and_steer_no_terminal() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress("Grüße\x1b[31m\r", stream=log, clock=clock) as progress:
        progress.report(0, 100)
        clock.now += 20
        progress.report(20, 100)
    assert log.getvalue().isascii() and not {"\r", "\x1b"} & set(log.getvalue())


def test_an_end_by_an_error_is_not_called_done() -> None:
    log, clock = io.StringIO(), Clock()
    with pytest.raises(OSError), Progress("painting", stream=log, clock=clock) as progress:
        progress.report(0, 100)
        clock.now += 20
        progress.report(20, 100)
        raise OSError
    assert len(log.getvalue().splitlines()) == 1


def test_who_does_not_speak_has_only_notes() -> None:
    log, clock = io.StringIO(), Clock()
    with Progress("painting", speaks=False, stream=log, clock=clock) as progress:
        for done in range(100):
            clock.now += 60
            progress.report(done, 100)
        progress.note("skipped: a.png")
    assert log.getvalue() == "skipped: a.png\n"


def test_a_terminal_has_a_bar_with_the_same_words_and_notes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    terminal, clock = Terminal(), Clock()
    with Progress("[red]painting", stream=terminal, clock=clock) as progress:
        progress.report(0, 100)
        clock.now += 20
        progress.report(20, 100)
        progress.note("skipped: [bold]a.png")
    told = terminal.getvalue()
    assert "[red]painting" in told and "20 of 100 pictures (20 %), 1 pictures/s, 1 min 20 s left" in told
    assert "skipped: [bold]a.png" in told and "\x1b[" in told


def test_a_terminal_that_can_do_nothing_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal, clock = Terminal(), Clock()
    with Progress("painting", stream=terminal, clock=clock) as progress:
        progress.report(0, 100)
        clock.now += 20
        progress.report(20, 100)
    assert terminal.getvalue().count("\n") == 2 and "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize(
    "seconds, told",
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (8040, "2 h 14 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_are_told_by_their_two_largest_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
