"""Processes that translate into one directory share the pictures: each is translated once, and none is left."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from cyclegan.cli.codes import MISTAKE
from cyclegan.data.files import find_images
from cyclegan.inference import claims, directory, job
from cyclegan.inference.claims import Claims, Share, blocks_of, key_of
from cyclegan.inference.directory import how_of, translate_directory
from cyclegan.inference.job import LOCK, Job, Work, samples_of
from cyclegan.inference.manifest import FOLDER, NAME, How
from cyclegan.inference.options import Options
from cyclegan.inference.translator import Translator
from cyclegan.util.atomic import Unwritten
from cyclegan.util.locks import Busy
from tests.forked import Forks
from tests.patience import until
from tests.tiny import outputs, write_pictures

PLAIN = ("--device", "cpu", "--precision", "float32")
HOW = How(model="x", precision="float32")


def work(source: Path, how: How = HOW, *, resume: bool = False) -> Work:
    names = find_images(source).names
    return Work(how, samples_of(source, names), source, resume)


def names_in_the_manifest(out: Path) -> list[str]:
    return sorted(json.loads(line)["output"] for line in (out / NAME).read_bytes().splitlines() if line)


def hidden(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.name.startswith("."))


class Together:
    """Processes that translate one folder; a block is kept from them, so that none ends before all have begun."""

    def __init__(self, forks: Forks, generator: Path, translator: Translator, number: int, *words: str) -> None:
        folder = generator.parent
        self.source, self.out = folder / "in", folder / "out"
        write_pictures(self.source, 40, size=32)
        with Job(self.out, work(self.source, how_of(translator, Options()), resume="--resume" in words)) as ours:
            Claims(ours).take(key_of(["7.png"]), None)
            line: tuple[str | Path, ...] = ("translate", generator, self.source, self.out, *words, *PLAIN)
            self.processes = [forks.start(*line, log=folder / f"log{i}") for i in range(number)]
            members = (self.out / FOLDER).glob
            self.processes[0].until(lambda: len([*members("*.member")]) == number + 1 and len(outputs(self.out)) > 4)
            self.between()

    def between(self) -> None:
        """What happens while all are at work."""

    def counts(self) -> list[int]:
        """How many pictures each one translated."""
        return [int(process.told.splitlines()[-1].split()[0]) for process in self.processes]


class WithOneThatIsKilled(Together):
    def between(self) -> None:
        self.processes[0].send(signal.SIGKILL)
        assert self.processes[0].wait() == -signal.SIGKILL


class WithOneThatIsStopped(Together):
    def between(self) -> None:
        self.processes[0].send(signal.SIGTERM)
        assert self.processes[0].wait() > 0


def test_two_processes_translate_each_picture_once(
    generator: Path, tmp_path: Path, forks: Forks, translator: Translator
) -> None:
    both = Together(forks, generator, translator, 2)
    assert [process.wait() for process in both.processes] == [0, 0], [process.told for process in both.processes]
    assert names_in_the_manifest(both.out) == sorted(f"{i}.png" for i in range(40))
    assert sum(both.counts()) == 40
    translate_directory(translator, both.source, tmp_path / "peace")
    alone = {name: path.read_bytes() for name, path in outputs(tmp_path / "peace").items()}
    assert {name: path.read_bytes() for name, path in outputs(both.out).items()} == alone
    assert hidden(both.out) == [NAME]


def test_a_killed_process_keeps_nobody_out(generator: Path, tmp_path: Path, forks: Forks) -> None:
    write_pictures(tmp_path / "in", 30, size=64)
    words = ("translate", generator, tmp_path / "in", tmp_path / "out", "--resume", *PLAIN)
    first = forks.start(*words, log=tmp_path / "log")
    first.until(lambda: bool(outputs(tmp_path / "out")), pause=0.005)
    first.send(signal.SIGKILL)
    first.wait()
    done = len(outputs(tmp_path / "out"))
    assert done > 0
    second = forks.start(*words, log=tmp_path / "second")
    assert second.wait() == 0
    assert second.told == f"{30 - done} translated to {tmp_path}/out, {done} already done\n"
    assert hidden(tmp_path / "out") == [NAME]


@pytest.mark.parametrize("words", [(), ("--resume",)])
def test_the_share_of_a_killed_partner_is_taken_over(
    words: tuple[str, ...], generator: Path, forks: Forks, translator: Translator
) -> None:
    three = WithOneThatIsKilled(forks, generator, translator, 3, *words)
    assert [process.wait() for process in three.processes[1:]] == [0, 0], [each.told for each in three.processes]
    assert len(outputs(three.out)) == 40 and hidden(three.out) == [NAME]
    names = names_in_the_manifest(three.out)
    assert set(names) == {f"{i}.png" for i in range(40)}
    assert len(names) <= 40 + 2  # a line without its file: what the dead one was just writing


def test_one_that_is_stopped_leaves_its_share_to_the_others(
    generator: Path, forks: Forks, translator: Translator
) -> None:
    two = WithOneThatIsStopped(forks, generator, translator, 2)
    assert two.processes[1].wait() == 0, two.processes[1].told
    assert names_in_the_manifest(two.out) == sorted(f"{i}.png" for i in range(40))
    assert len(outputs(two.out)) == 40 and hidden(two.out) == [NAME]


OTHERS: dict[str, Callable[[Path, Translator], Work]] = {
    "with another model or other options": lambda source, translator: work(source),
    "other pictures": lambda source, translator: work(
        write_pictures(source.parent / "other", 5, size=8)[0].parent, how_of(translator, Options())
    ),
}


@pytest.mark.parametrize("told", OTHERS)
def test_one_that_does_something_else_is_refused_in_one_line(
    told: str, generator: Path, translator: Translator, tmp_path: Path, forks: Forks
) -> None:
    write_pictures(tmp_path / "in", 5, size=16)
    with Job(tmp_path / "out", OTHERS[told](tmp_path / "in", translator)):
        second = forks.start("translate", generator, tmp_path / "in", tmp_path / "out", *PLAIN, log=tmp_path / "log")
        assert second.wait() == MISTAKE
    [line] = second.told.splitlines()
    assert line.startswith(f"cyclegan: {tmp_path}/out: in use by process {os.getpid()} on ")
    assert line.endswith(f", which translates {told}; wait until it ends, or choose another directory")
    assert not list((tmp_path / "out").iterdir())


def test_what_a_partner_failed_at_is_its_failure(translator: Translator, tmp_path: Path) -> None:
    """A block that another process has finished is not looked at again, whatever became of its pictures."""
    write_pictures(tmp_path / "in", 4, size=16)
    (tmp_path / "in" / "1.png").write_bytes(b"broken")
    source, out = tmp_path / "in", tmp_path / "out"
    with Job(out, work(source, how_of(translator, Options()))) as partner:
        theirs = Claims(partner)
        for names in blocks_of(find_images(source).names):
            if "1.png" in names:
                theirs.take(key_of(names), None)
                theirs.finish(key_of(names))
        outcome = translate_directory(translator, source, out)
    assert not outcome.failed and outcome.elsewhere.names == ["1.png"] and len(outcome.translated) == 3


def test_it_waits_for_the_last_pictures_of_others(translator: Translator, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 4, size=16)
    source, out, notes, counts = tmp_path / "in", tmp_path / "out", list[str](), list[tuple[int, int]]()
    outcome: list[directory.Outcome] = []

    def translate() -> None:
        outcome.append(
            translate_directory(translator, source, out, note=notes.append, report=lambda *both: counts.append(both))
        )

    with Job(out, work(source, how_of(translator, Options()))) as partner:
        theirs, key = Claims(partner), key_of(["2.png"])
        theirs.take(key, None)
        ours = threading.Thread(target=translate)
        ours.start()
        until(lambda: bool(notes) or not ours.is_alive())
        assert ours.is_alive() and len(outputs(out)) == 3
        theirs.finish(key)
        ours.join()
    assert outcome[0].elsewhere.names == ["2.png"] and outcome[0].done == 4
    assert len(notes) == 1 and f"waiting for 1 pictures of process {os.getpid()} on " in notes[0]
    assert counts[0] == (0, 4) and counts[-1][0] == 3


def test_a_partner_on_another_machine_is_dead_when_its_file_grows_old(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "in", 4, size=16)
    source, out = tmp_path / "in", tmp_path / "out"
    wanted = work(source, how_of(translator, Options()))
    with monkeypatch.context() as patch:
        patch.setattr(job, "_machine", lambda: "another")
        partner = Job(out, wanted).__enter__()
        partner._ended.set()  # it shows no more signs of life
    try:
        Claims(partner).take(key_of(["2.png"]), None)
        with Job(out, wanted) as ours:
            assert ours.joined and ours.lives(partner.name) and ours.others() == [partner.name]
            old = time.time_ns() - int(2e9 * job.DEAD)
            os.utime(partner._member, ns=(old, old))
            assert not ours.lives(partner.name) and not ours.others()
        outcome = translate_directory(translator, source, out)
        assert len(outcome.translated) == 4
    finally:
        os.close(partner._file)


def test_signs_of_life_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "in", 1, size=16)
    monkeypatch.setattr(job, "BEAT", 0.001)
    with Job(tmp_path / "out", work(tmp_path / "in")) as ours:
        os.utime(ours._member, ns=(0, 0))
        until(lambda: ours._member.stat().st_mtime_ns > 0)


def test_what_killed_processes_left_is_kept_and_cleared_away(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1, size=16)
    folder = tmp_path / "out" / FOLDER
    (folder / "claims").mkdir(parents=True)
    (folder / "claims" / "abc.0").write_text("dead-1", encoding="ascii")
    (folder / "dead-1.member").write_text('{"machine": "gone"', encoding="utf-8")
    (folder / "dead-1.jsonl").write_text('{"half": ', encoding="utf-8")
    os.utime(folder / "dead-1.member", ns=(0, 0))
    with Job(tmp_path / "out", work(tmp_path / "in")) as ours:
        assert not ours.joined and not list(folder.glob("dead*")) and not Claims(ours).look()
    assert (tmp_path / "out" / NAME).read_bytes() == b'{"half": \n'
    assert hidden(tmp_path / "out") == [NAME]


def test_what_was_written_before_the_power_failed_is_ours(translator: Translator, tmp_path: Path) -> None:
    """The disk has the output and the claim of its block, but not the line about it."""
    write_pictures(tmp_path / "in", 3, size=16)
    source, out = tmp_path / "in", tmp_path / "out"
    translate_directory(translator, source, out)
    (out / NAME).unlink()
    with pytest.raises(ValueError, match=r"would overwrite 3 files .*: 0\.png, 1\.png"):
        translate_directory(translator, source, out, resume=True)
    (out / FOLDER / "claims").mkdir(parents=True)
    for names in blocks_of(find_images(source).names):
        (out / FOLDER / "claims" / f"{key_of(names)}.0").write_text("dead", encoding="ascii")
    assert len(translate_directory(translator, source, out, resume=True).translated) == 3


def test_only_one_of_many_gets_a_claim(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1, size=16)
    with ExitStack() as stack:
        members = [stack.enter_context(Job(tmp_path / "out", work(tmp_path / "in"))) for _ in range(4)]
        everyone, taken = [Claims(member) for member in members], list[str]()

        def grab(mine: Claims) -> None:
            for i in range(50):
                if mine.take(f"{i:020x}", None):
                    taken.append(f"{i}")

        threads = [threading.Thread(target=grab, args=[mine]) for mine in everyone]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(int, taken)) == list(range(50))


def test_a_claim_of_the_dead_passes_to_one_heir(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1, size=16)
    with ExitStack() as stack:
        dead = Job(tmp_path / "out", work(tmp_path / "in"))
        with dead:
            Claims(dead).take("a" * 20, None)
            heirs = [stack.enter_context(Job(tmp_path / "out", work(tmp_path / "in"))) for _ in range(3)]
            assert not Claims(heirs[0]).take("a" * 20, 0)
        assert [Claims(heir).take("a" * 20, 0) for heir in heirs] == [True, False, False]
        assert Claims(heirs[1]).look() == {"a" * 20: 1}


def test_blocks_hold_all_names_once_and_change_little() -> None:
    for number in (0, 1, 5, 31, 64, 1000, 20_000):
        names = [f"{i:06}.png" for i in range(number)]
        blocks = [*blocks_of(names)]
        assert [name for block in blocks for name in block] == names
        assert all(1 <= len(block) <= 4 * claims.LARGEST_BLOCK for block in blocks)
        assert len(blocks) >= min(number, claims.BLOCKS // 4)
    before = {key_of(block) for block in blocks_of(names)}
    after = {key_of(block) for block in blocks_of(sorted([*names, "000000a.png", "012345b.png"]))}
    assert len(before - after) <= 4 and len(before) < 20_000 / 30


def test_a_share_is_what_others_have_not_claimed(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 6, size=8)
    files = find_images(tmp_path / "in")
    with Job(tmp_path / "out", work(tmp_path / "in")) as one, Job(tmp_path / "out", work(tmp_path / "in")) as other:
        theirs = Claims(other)
        theirs.take(key_of(["1.png"]), None)
        theirs.take(key_of(["4.png"]), None)
        theirs.finish(key_of(["4.png"]))
        share = Share(files, files.names, Claims(one), lambda names: names)
        got = [path.name for path in share]
        assert got == ["0.png", "2.png", "3.png", "5.png"] and share.elsewhere == ["4.png"]
        assert (len(share), share.awaited) == (5, 1) and not share.is_over and not share.has_more()
        for name in got:
            share.finished(name)
        theirs.finish(key_of(["1.png"]))
        assert not share.has_more() and share.is_over and share.elsewhere == ["4.png", "1.png"]


def test_one_that_joins_resumes_as_the_first_does(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1, size=16)
    for resume in (False, True):
        with (
            Job(tmp_path / "out", work(tmp_path / "in", resume=resume)),
            Job(tmp_path / "out", work(tmp_path / "in", resume=not resume)) as second,
        ):
            assert second.joined and second.resume is resume


def test_nobody_waits_long_for_those_who_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cyclegan.util.locks import locked

    write_pictures(tmp_path / "in", 1, size=16)
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(job, "PATIENCE", 0.01)
    with locked(tmp_path / "out" / LOCK), pytest.raises(Busy), Job(tmp_path / "out", work(tmp_path / "in")):
        raise AssertionError


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path, translator: Translator) -> None:
    write_pictures(tmp_path / "in", 1, size=16)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FOLDER).symlink_to(tmp_path / "precious")
    with pytest.raises(Unwritten, match=rf"{FOLDER} cannot be written"):
        translate_directory(translator, tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "precious" / "x").read_bytes() == b"precious"
