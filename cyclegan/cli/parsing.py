"""Words to a dataclass, by tyro; a mistake becomes one line."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import tyro


def parse_words(kind: type[Any], name: str, arguments: list[str], default: Any = tyro.MISSING_NONPROP) -> Any:
    """An instance of the command `kind`, or ValueError in one line; `--help` prints and exits."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(
                kind,
                prog=f"cyclegan {name}",
                args=arguments,
                default=default,
                use_underscores=True,
                config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff),
            )
    except SystemExit as done:
        if not done.code:
            raise
        raise ValueError(_one_line(told.getvalue(), name)) from None


def _one_line(told: str, name: str) -> str:
    """What tyro says under a title, in several parts: the first part and, if there is a near spelling, that."""
    lines = [line.strip("│| ") for line in told.splitlines()[1:]]
    text = " ".join("\n" if re.search("[─-]{3,}", line) else line for line in lines)  # rules between the parts
    what, *more = (words for part in text.split("\n") if (words := " ".join(part.split())))
    what = what.split(". Got errors:")[0]  # one for each type of a union
    near = [word for part in more if part.startswith("Perhaps") for word in part.split() if word.startswith("--")]
    return f"{name}: {what}{f'; did you mean {near[0]}?' if near else ''} (see cyclegan {name} --help)"
