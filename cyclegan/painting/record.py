"""What is known of the paintings in a directory: which are finished and how they were made, and the state of others."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cyclegan.inference.manifest import ANOTHER_SOURCE, CHANGED, FOREIGN, OTHER_OPTIONS, FileState
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import shown
from cyclegan.util.torchfile import load_pickled

FOLDER = ".cyclegan-stylize"
"""The hidden folder beside paintings with their records, the states of unfinished ones, and locks."""

FORMAT = 1
"""Version of the file of a state, increased when its fields change."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """All that determines a painting."""

    how: str
    """The network, the settings and the options of its file."""
    sources: list[list[int]]
    """Size and time of the files of content, styles, masks, and of the picture to start from."""

    @classmethod
    def of(cls, how: str, files: list[Path]) -> Made:
        """Return it for files as they are now; one that does not exist has no state."""
        states = list[list[int]]()
        for file in files:
            state = list[int]()
            with suppress(OSError):
                state = [*FileState.of(file.stat())]
            states.append(state)
        return cls(how=how, sources=states)


class Record:
    """What is known of one painting: the file `output`, and beside it, in the hidden folder `FOLDER`, what it is of."""

    def __init__(self, output: Path, made: Made) -> None:
        self.output, self.made = output, made
        folder = output.parent / FOLDER
        self.path, self.state, self.lock = (folder / f"{output.name}.{end}" for end in ("json", "state", "lock"))

    def doubt(self) -> str:
        """Return why the painting must be made again; empty if it need not.

        Raises FileNotFoundError when it does not exist.
        """
        now = [*FileState.of(self.output.lstat())]
        outputs, made = self._told()
        if not outputs:
            return FOREIGN
        if now not in outputs:
            return CHANGED
        if now != outputs[0] or made.how != self.made.how:
            return OTHER_OPTIONS
        return "" if made.sources == self.made.sources else ANOTHER_SOURCE

    def finish(self, content: bytes) -> None:
        """Write the painting and what it is of, and remove the state. Raises Unwritten when it cannot be written."""
        before = self._told()[0][:1]  # which stays, if the process is killed before the painting is moved into place

        def record(about: os.stat_result) -> None:
            told = {"outputs": [[*FileState.of(about)], *before], **asdict(self.made)}
            write_whole(self.path, json.dumps(told).encode())

        write_whole(self.output, content, ready=record)
        with suppress(OSError):
            self.state.unlink()

    def _told(self) -> tuple[list[Any], Made]:
        """Return the states of the file that were recorded, the newest first, and what it is of; nothing if unknown."""
        try:
            told: Any = json.loads(self.path.read_bytes())
            return [*told["outputs"]], Made(how=told["how"], sources=told["sources"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return [], Made(how="", sources=[])

    def save(self, state: dict[str, Any]) -> None:
        """Write the state of the unfinished painting. Raises Unwritten when it cannot be written."""
        whole = {"format": FORMAT, **asdict(self.made), "painting": state}

        def save(file: BinaryIO) -> None:
            try:
                torch.save(whole, file)
            except RuntimeError as error:  # torch's cleanup hides the error that caused it
                raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from None

        write_whole(self.state, save, durable=True)

    def load(self) -> dict[str, Any] | None:
        """Return the state of the unfinished painting; None if there is none of these sources and options.

        Raises ValueError when the file is damaged.
        """
        if not self.state.is_file():
            return None
        try:
            told = load_pickled(self.state, check=True)
        except ValueError as error:
            raise ValueError(f"{shown(self.state)}: {error}") from None
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            return None
        same = told.get("how") == self.made.how and told.get("sources") == self.made.sources
        state: dict[str, Any] = told["painting"]
        return state if same else None
