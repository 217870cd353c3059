"""cyclegan check and init."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from cyclegan.cli.codes import MISTAKE, UNREADABLE
from cyclegan.types import Device
from cyclegan.util.atomic import write_whole
from cyclegan.util.progress import Progress
from cyclegan.util.text import as_typed, shown


@dataclass(frozen=True)
class Check:
    """Check the pictures of a data set before training."""

    data: Positional[Path]
    """Data set: a folder with trainA and trainB, or with train for pairs side by side."""
    quick: FlagCreatePairsOff[bool] = False
    """Decode some pictures only; search no copies, and measure no training."""
    html: Annotated[Path | None, arg(help_behavior_hint="(default: none)")] = None
    """HTML file to write: findings, facts, and contact sheets."""
    json: Annotated[Path | None, arg(help_behavior_hint="(default: none)")] = None
    """JSON file to write; - prints the JSON instead of the text."""
    device: Device = "auto"
    """Device of the training that is suggested and measured. `auto` picks CUDA, then MPS, then the CPU."""

    def run(self) -> int:
        """Print the findings; the exit code says whether pictures are unreadable or a training would stop."""
        from cyclegan.check.check import check
        from cyclegan.check.page import write_check
        from cyclegan.check.text import as_text

        with Progress("checking") as progress:
            checked = check(self.data, quick=self.quick, device=self.device, report=progress.report, note=progress.note)
        written = json.dumps(checked.result.to_dict(), indent=1)
        print(written if self.json == Path("-") else as_text(checked.result))
        if self.json and self.json != Path("-"):
            write_whole(self.json, f"{written}\n".encode())
            print(f"JSON: {shown(self.json)}")
        if self.html:
            print(f"page: {shown(write_check(checked, self.html))}", file=sys.stderr if self.json else sys.stdout)
        kinds = {finding.kind for finding in checked.result.errors}
        return UNREADABLE if kinds == {"unreadable"} else MISTAKE if kinds else 0


@dataclass(frozen=True)
class Init:
    """Write a commented recipe for a data set and this machine."""

    data: Positional[Path]
    """Data set: a folder with trainA and trainB, or with train for pairs side by side."""
    recipe: Annotated[Positional[Path], arg(metavar="RECIPE.yaml")]
    """YAML file to write."""
    device: Device = "auto"
    """Device to train on. `auto` picks CUDA, then MPS, then the CPU."""

    def run(self) -> int:
        """Write the recipe, and print how to train it."""
        if self.recipe.suffix not in (".yaml", ".yml"):
            raise ValueError(f"{self.recipe}: the name must end in .yaml")
        if self.recipe.exists():
            raise FileExistsError(f"{shown(self.recipe)}: exists already; choose another name, or remove it")

        from cyclegan.check.first_recipe import first_recipe

        with Progress("looking") as progress:
            written, told = first_recipe(self.data, device=self.device, report=progress.report, note=progress.note)
        write_whole(self.recipe, written.encode())
        print(told)
        print(f"{shown(self.recipe)}\ntrain with: {as_typed('cyclegan', 'train', shown(self.recipe))}")
        return 0
