"""The check of a data set, from its folders to findings, advice and cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cyclegan.check.advice import plan
from cyclegan.check.between import about_copies, between
from cyclegan.check.copies import Copies, find_copies
from cyclegan.check.cost import Cost, measure
from cyclegan.check.facts import QUICK, Facts, gather
from cyclegan.check.finding import Finding, ranked
from cyclegan.check.layout import find_data, find_places
from cyclegan.check.result import Result, folder_of
from cyclegan.check.schedule import schedule
from cyclegan.check.suggestion import Suggestion, recipe_of
from cyclegan.check.within import within
from cyclegan.data.config import DataConfig
from cyclegan.machine.device import choose_device
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.networks.pretrained import SOURCES, place_of
from cyclegan.types import Device
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched


class Checked(NamedTuple):
    """The result of a check, and the facts and copies that it was drawn from."""

    result: Result
    folders: list[Facts]
    copies: list[Copies]
    data: DataConfig


@untouched()
def check(
    root: Path, *, quick: bool = False, measured: bool | None = None, device: Device = "auto",
    report: Callable[[int, int], None] = lambda done, total: None, note: Callable[[str], None] = lambda line: None,
) -> Checked:  # fmt: skip
    """Check a data set: decode every picture, compare them, and measure a training that fits.

    `quick` decodes some pictures of each folder and does not compare them; `measured` says whether a training is
    measured, by default unless `quick`. `report` is called with (done, total) pictures, `note`
    with a line before a training is measured.
    Raises FileNotFoundError when a folder is missing or contains no picture.
    """
    data = find_data(root)
    folders = _gather(data, quick, report)
    copies = [] if quick else find_copies(folders, near=True)
    findings = [
        *between(data, folders),
        *about_copies(data, folders, copies),
        *(finding for facts in folders for finding in within(facts)),
    ]
    suggestions: tuple[Suggestion, ...] = ()
    cost: Cost | None = None
    if all(len(facts.pictures) for facts in folders[:2]):
        try:
            measures = not quick if measured is None else measured
            if measures:
                note("measuring a few steps of a training")
            suggestions, cost = _advise(data, folders, device, measures)
        except ValueError as error:  # the format of a folder cannot be found
            if not any(finding.kind == "channels" for finding in findings):
                findings.append(Finding(level="error", kind="format", text=str(error)))
    result = Result(
        data=shown(root),
        pairs=data.pairs,
        quick=quick,
        folders=tuple(map(folder_of, folders)),
        findings=ranked(findings),
        suggestions=suggestions,
        cost=cost,
    )
    return Checked(result, folders, copies, data)


def _gather(data: DataConfig, quick: bool, report: Callable[[int, int], None]) -> list[Facts]:
    places, folders, before = find_places(data), list[Facts](), 0
    numbers = [min(len(place.files), QUICK) if quick else len(place.files) for place in places]
    for place, number in zip(places, numbers, strict=True):
        folders.append(gather(place, quick=quick, report=partial(_add, report, before, sum(numbers))))
        before += number
    return folders


def _add(report: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    report(before + done, total)


def _advise(
    data: DataConfig, folders: list[Facts], device: Device, measured: bool
) -> tuple[tuple[Suggestion, ...], Cost | None]:
    """Return the recipe that fits, and its cost if it is to be measured."""
    kind = choose_device(device).type
    planned = plan(data, folders, kind, scores=place_of(SOURCES[FeaturesConfig().network]).is_file())
    asked = Suggestion(key="speed.device", value=device, reason="the device that was asked for")
    structure = planned.suggestions if device == "auto" else (*planned.suggestions, asked)
    cost = measure(recipe_of(data, structure), planned.size, folders) if measured else None
    seconds = cost.seconds_per_image if cost else None
    suggestions = (*structure, *schedule(planned.epoch, seconds, kind))
    length = recipe_of(data, suggestions).training.lr_schedule.length(planned.epoch)
    return suggestions, replace(cost, images=length) if cost else None
