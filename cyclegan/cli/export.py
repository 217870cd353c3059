"""cyclegan export."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from cyclegan.types import Direction
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Export:
    """Write one generator as a .safetensors file that needs nothing else, with a model card; or push it to the hub."""

    checkpoint: Positional[Path]
    """Run folder, checkpoint, generator (also the reference's .pth, or a folder of them), or user/name on the hub."""
    out: Positional[Path]
    """File to write, NAME.safetensors; beside it README.md, and NAME.png with test pictures."""
    direction: Direction | None = None
    """Which way; by default AtoB, or the only one that the file knows."""
    push: str | None = None
    """Repository on the Hugging Face hub, user/name, that gets the files too; made if need be."""
    private: bool = False
    """A repository that is made is for you alone."""

    def run(self) -> int:
        """Write the files, push them, and say where they are."""
        if self.out.suffix != ".safetensors":
            raise ValueError(f"{self.out}: the name must end in .safetensors")
        if self.private and self.push is None:
            raise ValueError("--private: says how to --push; give a repository, user/name")

        from cyclegan.inference.hub import check_name
        from cyclegan.publish.export import export, push_export

        if self.push is not None:
            check_name(self.push)
        with Progress("exporting") as progress:
            exported = export(self.checkpoint, self.out, self.direction, repository=self.push, report=progress.report)
        print(f"{shown(self.out)}: translates {exported.direction}")
        for path, what in ((exported.card, "model card"), (exported.sheet, "contact sheet")):
            if path:
                print(f"{shown(path)}: {what}")
        for note in exported.notes:
            print(note)
        if self.push is not None:
            told, files = len(exported.notes), [exported.generator, exported.card, exported.sheet]
            mebibytes = sum(path.stat().st_size for path in files if path) / 2**20
            print(f"pushing {mebibytes:,.1f} MiB to {self.push}", file=sys.stderr)
            address = push_export(exported, self.push, private=self.private)
            print("\n".join([*exported.notes[told:], f"pushed to {address}"]))
        return 0
