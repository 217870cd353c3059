"""cyclegan export."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from cyclegan.types import Direction
from cyclegan.util.progress import Progress
from cyclegan.util.text import shown


@dataclass(frozen=True)
class Export:
    """Write a generator and its model card to files, or publish them."""

    model: Positional[Path]
    """Run folder, checkpoint, generator file (.safetensors, .pth, a folder of .pth), or user/name on the hub."""
    out: Positional[Path]
    """File to write; its ending chooses the format: .safetensors (weights and config), .onnx, .xml (OpenVINO),
    .pt2 (torch.export), .ts (TorchScript). README.md and NAME.png (test pictures) are written beside it."""
    direction: Annotated[Direction | None, arg(help_behavior_hint="(default: AtoB, or the model's only one)")] = None
    """Direction of the generator to export."""
    int8: FlagCreatePairsOff[bool] = False
    """Quantise the convolutions to int8, in .onnx or .xml: faster and smaller, and the pictures differ slightly."""
    calibrate: Annotated[Path | None, arg(help_behavior_hint="(default: the pictures it was trained on)")] = None
    """Folder of pictures that int8 is calibrated on."""
    push: Annotated[str | None, arg(metavar="USER/NAME", help_behavior_hint="")] = None
    """Repository on the Hugging Face hub to upload the files to. It is created if it does not exist."""
    private: FlagCreatePairsOff[bool] = False
    """Create the repository as a private one."""

    def run(self) -> int:
        """Write the files, upload them, and print where they are."""
        if self.private and self.push is None:
            raise ValueError("--private needs --push USER/NAME")

        from cyclegan.inference.hub import check_name
        from cyclegan.publish.export import export, push_export

        if self.push is not None:
            check_name(self.push)
        with Progress("exporting") as progress:
            exported = export(
                self.model, self.out, self.direction, int8=self.int8, calibrate=self.calibrate,
                repository=self.push, report=progress.report,
            )  # fmt: skip
        print(f"{shown(self.out)}: translates {exported.direction}")
        for weights in exported.beside:
            print(f"{shown(weights)}: {'its weights' if weights.suffix == '.bin' else 'finds the styles of pictures'}")
        for path, what in ((exported.card, "model card"), (exported.sheet, "contact sheet")):
            if path:
                print(f"{shown(path)}: {what}")
        for note in exported.notes:
            print(note)
        if self.push is not None:
            told, files = len(exported.notes), [exported.generator, *exported.beside, exported.card, exported.sheet]
            mebibytes = sum(path.stat().st_size for path in files if path) / 2**20
            print(f"uploading {mebibytes:,.1f} MiB to {self.push}", file=sys.stderr)
            address = push_export(exported, self.push, private=self.private)
            print("\n".join([*exported.notes[told:], f"pushed to {address}"]))
        return 0
