"""Translating a picture or a directory of pictures, with names and subfolders kept; failures are listed, not fatal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cyclegan.data.files import find_images
from cyclegan.data.format import PictureFormat
from cyclegan.data.kinds import kind_of, told_unread
from cyclegan.data.listing import Listing
from cyclegan.inference.claims import Claims, Share
from cyclegan.inference.events import Ended, Event, Failed, Note, Started, Translated
from cyclegan.inference.job import Job, Work, samples_of
from cyclegan.inference.manifest import How, Manifest
from cyclegan.inference.options import Options
from cyclegan.inference.outputs import check_names, check_sources, namer
from cyclegan.inference.pipeline import Pipeline
from cyclegan.inference.plan import Plan, plan
from cyclegan.inference.sizes import advice
from cyclegan.util.atomic import Unwritten
from cyclegan.util.evenly import evenly
from cyclegan.util.signals import Stopped, StopSignals
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

if TYPE_CHECKING:
    from cyclegan.inference.translator import Translator

SAMPLES = 8
"""Number of sources by which processes see that they translate the same pictures."""

SOON, LATER = 0.05, 2.0
"""Seconds between two looks at the last pictures of other processes: at first, and in the end."""

Report = Callable[[int, int], None]
Say = Callable[[str], None]


class Outcome(NamedTuple):
    """The result of translating a directory."""

    translated: Listing
    """Sources that were translated."""
    skipped: Listing
    """Sources whose output was already finished."""
    failed: list[str]
    """One line for each source that could not be read, translated, or written in its format."""
    elsewhere: Listing
    """Sources that other processes took over in the meantime."""

    @property
    def done(self) -> int:
        """How many pictures need no further work."""
        return sum(map(len, (self.translated, self.skipped, self.failed, self.elsewhere)))


class Unfinished(OSError):
    """Writing failed, for example on a full disk; `outcome` lists what was done before, all of it complete."""

    def __init__(self, outcome: Outcome, total: int, problem: OSError) -> None:
        super().__init__(problem.errno, problem.strerror)
        done = outcome.done - len(outcome.failed)
        self.outcome, self.line = outcome, f"{problem}; {done:,} of {total:,} are translated; continue with --resume"

    def __str__(self) -> str:
        return self.line


class Sources(NamedTuple):
    """What is to be translated, and where to."""

    files: Listing
    named: Callable[[str], str]
    """From the name of a source to that of its output."""
    out: Path


@untouched()
def translate_directory(
    translator: Translator,
    source: Path,
    out: Path,
    *,
    options: Options | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report = lambda done, total: None,
    note: Say = lambda line: None,
    tell: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Translate `source`, a picture or a directory with its subfolders, into the directory `out`.

    Each output keeps the name and subfolder of its source, and its format if that can store pictures of the target
    domain, else PNG or TIFF; `options` choose another. It says what its source says and still holds: EXIF, resolution,
    places, transparency. By default it has the size of the source.

    Outputs that the manifest in `out` knows are replaced. `resume` keeps those that were finished by the same generator
    with the same options, if neither the output nor its source has changed since. Files that the manifest does not
    know, or that were changed, are only replaced with `overwrite`. A picture that cannot be read or translated is
    listed in `Outcome.failed`; the others are translated.

    Processes that translate the same pictures with the same options into one directory share them, on one machine or
    on several. Each ends when all pictures are done, and takes over the share of one that was killed.

    `report` is called with (done, total) after each picture, of those that this process translates or skips; `note`
    with a line for the user; `tell` with every event, notes too.

    Raises FileNotFoundError when there is nothing to translate.
    Raises ValueError when an output would overwrite a source, another output or, without `overwrite`, a file that is
    not ours, when `out` lies within `source`, when the format of `options` cannot store the translations, and when the
    generator's weights are not finite.
    Raises `Busy` when another process translates something else into `out`.
    Raises `Unfinished` when writing fails, for example on a full disk.
    Raises `Stopped` after a signal, once the pictures translated so far are written.
    """

    def say(line: str) -> None:
        note(line)
        tell(Note(text=line))

    options = (options or Options()).known(translator.source, translator.target, translator.trained)
    sources = _sources(translator, source, out, options, say)
    files, named = sources.files, sources.named
    how = how_of(translator, options)
    work = Work(how, samples_of(files.folder, evenly(files.names, SAMPLES)), files.folder, resume)
    with StopSignals() as stop, Job(out, work) as job, Manifest(out, how, job.part) as manifest:
        if not job.has_locks:
            say(f"{shown(out)}: has no file locks; start several processes on it one after the other")
        job.shorten = manifest.is_long
        todo, claims = plan(files, named, manifest, resume=job.resume), Claims(job)
        foreign = todo.without(claims.names_in(files.names))  # claimed outputs are recorded later than we have read
        if foreign.refusal and not overwrite:
            raise ValueError(foreign.refusal)
        if foreign.told:
            say(foreign.told)
        share = Share(files, todo.to_do, claims, _left_over(manifest, sources, job))
        outcome = Outcome(files.only([]), files.only(todo.finished), [], files.only(share.elsewhere))
        run = Run(outcome, share, report, tell, sources)
        run.begin()
        pipeline = Pipeline(translator, manifest, files.folder, named, options, say, lambda: bool(stop.received))
        try:
            _through(pipeline, share, run, lambda: bool(stop.received), lambda: say(_waiting_told(job, share, out)))
        except Unwritten as error:  # a claim cannot be made
            pipeline.refused = error
        run.end()
        if pipeline.clipped:
            say(_clipped_told(sorted(pipeline.clipped), translator.source))
        if pipeline.advised and translator.trained:
            first, *more = sorted(pipeline.advised)
            say(advice(shown(first[0]), first[1], translator.trained, 1 + len(more)))
        if pipeline.refused:
            raise Unfinished(outcome, len(files), pipeline.refused) from pipeline.refused
    if stop.received and outcome.done < len(files):
        told = f"stopped after {outcome.done:,} of {len(files):,} pictures; the translations so far are in {shown(out)}"
        raise Stopped(told, stop.received)
    return outcome


def _through(
    pipeline: Pipeline, share: Share, run: Run, stopped: Callable[[], bool], waiting: Callable[[], None]
) -> None:
    """Translate what this process gets, and then what others leave when they die, until all is done or it stops."""
    is_told, pause = False, SOON
    while not share.is_over:
        for picture in pipeline.through(share, len(share)):
            run.add(picture.path, picture.problem, picture.size[::-1] if picture.size else None)
        while not (share.has_more() or share.is_over):
            if stopped() or pipeline.refused:
                return
            if not is_told:
                waiting()
                is_told = True
            time.sleep(pause)
            pause = min(LATER, 1.5 * pause)
        if stopped() or pipeline.refused:
            return


def _left_over(manifest: Manifest, sources: Sources, job: Job) -> Callable[[list[str]], list[str]]:
    """Return a function from the names that a dead process had claimed to those that are still to be translated."""

    def is_done(name: str) -> bool:
        output = sources.named(name)
        with suppress(OSError):  # it does not exist
            if not manifest.doubt(output, sources.files.folder / name):
                return job.resume or manifest.done[output].output.time >= job.began
        return False

    def left(names: list[str]) -> list[str]:
        manifest.read()
        return [name for name in names if not is_done(name)]

    return left


class Run:
    """Keeps the outcome while pictures are translated, and reports it."""

    def __init__(
        self, outcome: Outcome, share: Share, report: Report, tell: Callable[[Event], None], sources: Sources
    ) -> None:
        self.outcome, self.share, self.report, self.tell, self.sources = outcome, share, report, tell, sources
        self.own = 0
        """How many pictures this process has translated, or failed to."""
        self._last = time.perf_counter()

    def begin(self) -> None:
        """Report what is finished already."""
        skipped = len(self.outcome.skipped)
        self.tell(Started(total=len(self.sources.files), skipped=skipped))
        self.report(skipped, skipped + len(self.share))

    def add(self, path: Path, problem: str, size: tuple[int, int] | None) -> None:
        """Count a picture that came out of the pipeline, and report it."""
        name = path.relative_to(self.sources.files.folder).as_posix()
        self.share.finished(name)
        self.own += 1
        now, before = time.perf_counter(), self._last
        self._last = now
        if problem:
            self.outcome.failed.append(problem)
            self.tell(Failed(source=str(path), reason=problem))
        else:
            self.outcome.translated.names.append(name)
            output = str(self.sources.out / self.sources.named(name))
            self.tell(Translated(source=str(path), output=output, seconds=round(now - before, 6), size=size))
        skipped = len(self.outcome.skipped)
        self.report(skipped + self.own, skipped + len(self.share))

    def end(self) -> None:
        """Tell how many pictures became what."""
        counts = self.outcome
        self.tell(
            Ended(
                translated=len(counts.translated),
                skipped=len(counts.skipped),
                failed=len(counts.failed),
                elsewhere=len(counts.elsewhere),
            )
        )


@untouched()
def dry_run(
    translator: Translator,
    source: Path,
    out: Path,
    *,
    options: Options | None = None,
    resume: bool = False,
    note: Say = lambda line: None,
) -> Plan:
    """Return what `translate_directory` would do with these arguments; nothing is changed, and `out` is not created.

    `Plan.each` reads the beginning of each file. Raises FileNotFoundError and ValueError like `translate_directory`,
    but for files that would be overwritten, which the plan lists.
    """
    options = (options or Options()).known(translator.source, translator.target, translator.trained)
    sources = _sources(translator, source, out, options, note)
    manifest = Manifest(out, how_of(translator, options))
    manifest.read()
    return plan(sources.files, sources.named, manifest, resume=resume)


def how_of(translator: Translator, options: Options) -> How:
    """Return what determines the outputs of a translator besides their sources."""
    by = "" if translator.wanted in ("auto", "torch") else f"{translator.wanted} "
    return How(model=translator.engine.digest, precision=f"{by}{translator.precision}", written=str(options))


def _sources(translator: Translator, source: Path, out: Path, options: Options, note: Say) -> Sources:
    """List what is to be translated, and check the names of its outputs; raises like `translate_directory`."""
    files = find_images(source) if source.is_dir() else Listing(source.parent, [source.name])
    if not source.exists():
        raise FileNotFoundError(f"{shown(source)}: no such picture or directory")
    if source.is_file() and (kind := kind_of(source)).standing == "unread":
        raise ValueError(f"{shown(source)}: {kind.name} is not read; {kind.advice}")
    named = namer(files.folder, translator.target, options.output)
    check_names(files, named)
    if unread := told_unread(files.others):
        note(f"{shown(files.folder)}: {unread}")
    check_sources(files, named, out, is_folder=source.is_dir())
    return Sources(files, named, out)


def _waiting_told(job: Job, share: Share, out: Path) -> str:
    return f"{shown(out)}: waiting for {share.awaited:,} pictures of {job.told_others() or 'another process'}"


def _clipped_told(paths: Sequence[Path], of: PictureFormat) -> str:
    low, high = of.range
    have, more = ("picture has", "") if len(paths) == 1 else ("pictures have", ", ...")
    what = f"{len(paths):,} {have} values outside the {low:g} to {high:g} of the training, which were clipped"
    return f"{what}: {shown(paths[0])}{more}"
