"""Every command and every block of Python in README.md and docs/ runs, page by page, in order.

`tests/documented.py` says what is smaller than in the documentation. What a page expects to be there, is: data sets,
photographs, a run, weights of the authors. A training whose folder an earlier line has filled begins in an empty one.
"""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import tifffile
import torch
import yaml
from PIL import Image

from tests.deep import waves, write_slices, write_tiles
from tests.documented import on_the_line, tiny, write_recipes
from tests.forked import Forks
from tests.inference.authors_layout import Resnet, trained
from tests.inference.fake_hub import FakeHub, fake_hub
from tests.pages import DOCS, PAGES, Block, blocks, lines, of_cyclegan, redirected, saved
from tests.pictures import dicom
from tests.tiny import write_pictures

NOT_RUN = {
    "git clone": "the address of the repository is the reader's",
    "cd ": "into that clone",
    "pip install": "installs from the network",
    "make ": "sets up an environment from the network; CI runs it",
    "tensorboard": "a server that does not end; tests/training/test_tensorboard.py reads what it would show",
    "srun": "needs SLURM; the torchrun line in it is understood (test_documentation.py)",
    "hf auth": "asks for a password",
}
"""How command lines begin that no test can run, and why."""

READ = [page for page in ("README.md", *DOCS) if blocks(page, "bash", "python")]
PROCESSES = 2
"""That torchrun lines start here, whatever number they give."""


class Here:
    """The folder in which the commands of a page run, and the services that they ask."""

    def __init__(self, folder: Path, forks: Forks, features: Path, environment: dict[str, str]) -> None:
        self.folder, self.forks, self.features, self.environment = folder, forks, features, environment
        self.log = folder.parent / "log"

    def run(self, block: Block) -> None:
        if block.language == "python":
            if "train(" in block.code and "resume=True" not in block.code:
                self.empty(block.code)
            (script := self.folder.parent / "block.py").write_text(block.code, encoding="utf-8")
            return self.start("python", str(script))
        for line in lines(block):
            words = of_cyclegan(line)
            if any(line.startswith(beginning) for beginning in NOT_RUN):
                continue
            assert words, f"neither a command of cyclegan nor in NOT_RUN: {line}"
            self.command(words, redirected(line), together=line.startswith("torchrun"))

    def command(self, words: list[str], files: dict[str, str], *, together: bool) -> None:
        if words[0] == "train":
            default = next((f"runs/{Path(word).stem}" for word in words if word.endswith(".yaml")), "runs/cyclegan")
            if "--resume" not in words:
                self.empty(words[words.index("--out") + 1] if "--out" in words else default)
        elif words[0] == "fetch":
            shutil.rmtree(self.folder / "data" / words[1])
        else:
            self.give_runs(words)
            if "--fake" in words:  # pictures of one size, whatever earlier lines have put there
                shutil.rmtree(translated := self.folder / words[words.index("--fake") + 1])
                write_pictures(translated, 5, seed=6)
        streams = {"INPUT": files["<"], "OUTPUT": files[">"]} if files else {}
        self.start("cyclegan", *on_the_line(words, self.features), together=together, **streams)
        if words[0] == "init":
            recipe = self.folder / words[2]
            short = tiny(yaml.safe_load(recipe.read_text(encoding="utf-8")), self.features)
            recipe.write_text(yaml.safe_dump(short), encoding="utf-8")

    def empty(self, text: str) -> None:
        """Remove the run folders that a text names."""
        for run in re.findall(r"runs/\w+", text):
            shutil.rmtree(self.folder / run, ignore_errors=True)

    def give_runs(self, words: list[str]) -> None:
        """Copy a finished run to where a command expects one."""
        for word in words[1:]:
            run = re.match(r"runs/\w+", word)
            if run and not (self.folder / run[0]).exists():
                made = "styled" if run[0].endswith("munit") else "finished"
                shutil.copytree(self.folder / made, self.folder / run[0])

    def start(self, what: str, *words: str, together: bool = False, **more: str) -> None:
        main, environment = f"tests.documented:{what}", self.environment | more
        self.log.write_text("", encoding="utf-8")
        if together:
            started = self.forks.start_together(PROCESSES, *words, log=self.log, main=main, **environment)
        else:
            started = [self.forks.start(*words, log=self.log, main=main, **environment)]
        ended = [process.wait() for process in started]
        assert not any(ended), f"{what} {words} exited with {ended}:\n{self.log.read_text(encoding='utf-8')}"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeHub, dict[str, str]]]:
    """A hub and a server of data sets, and the environment in which they are asked."""
    files = tmp_path_factory.mktemp("server")
    with ZipFile(files / "horse2zebra.zip", "w") as packed:
        for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
            for path in write_pictures(files / "horse2zebra" / name, 6, seed=seed):
                packed.write(path, path.relative_to(files))
    handler = functools.partial(Quiet, directory=str(files))
    with fake_hub() as hub, http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield (
            hub,
            {
                "HUB": hub.address,
                "HUB_CACHE": str(files / "cache"),
                "HF_TOKEN": hub.token,
                "SERVER": f"http://127.0.0.1:{server.server_port}",
                "ARCHIVE": str(files / "horse2zebra.zip"),
            },
        )
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def write_deep(data: Path) -> None:
    """Write data sets of other pictures than 8-bit colours: those of docs/data.md."""
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_slices(data / "slices" / name, 4, seed=10 * seed)
        write_tiles(data / "tiles" / name, 4, seed=10 * seed)
        for kind in ("ct", "sar"):
            (data / kind / name).mkdir(parents=True)
        for i in range(4):
            stored = waves(10 * seed + i, 0, 4095)[..., 0].astype(np.uint16)
            dicom(stored, RescaleSlope=1, RescaleIntercept=-1024, BitsStored=12, HighBit=11)(
                data / "ct" / name / f"IM{i:04}"
            )
            if name.endswith("A"):
                radar = waves(10 * seed + i, -25, 5, channels=2).astype(np.float32)
                tifffile.imwrite(data / "sar" / name / f"{i}.tif", radar, planarconfig="contig", metadata=None)
        if name.endswith("B"):
            write_pictures(data / "sar" / name, 4, seed=seed)


def write_photos(folder: Path) -> None:
    """Write what pages translate: photographs, their masks, paintings, an animation, a scan of several pages."""
    photos = write_pictures(folder / "photos", 2, seed=5)
    shutil.copy(photos[0], folder / "photo.jpg")
    paintings = write_pictures(folder / "paintings", 3, seed=6)
    for name, painting in zip(("painting", "sea", "garden"), paintings, strict=True):
        shutil.copy(painting, folder / f"{name}.jpg")
    for mask in (folder / "cup.png", *(folder / "masks" / photo.name for photo in photos)):
        mask.parent.mkdir(exist_ok=True)
        Image.new("L", (40, 40), 128).save(mask)
    first, *others = [Image.open(photo) for photo in photos]
    first.save(folder / "dance.gif", save_all=True, append_images=others, duration=[100, 40], loop=0)
    first.save(folder / "scan.tif", save_all=True, append_images=others)


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, _server: Forks, weights: Path, services: tuple[FakeHub, dict[str, str]]
) -> Path:
    """A folder with all that pages expect, and a finished run that was scored."""
    folder = tmp_path_factory.mktemp("finished") / "here"
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        for data in ("data/horse2zebra", "data/monet2photo", "data/maps", "data/one_style", "my/pictures"):
            write_pictures(folder / data / name, 9, seed=seed)
    write_deep(folder / "data")
    write_photos(folder)
    shutil.copy(weights, folder / "squeezenet1_1.pth")
    (folder / "translated").mkdir()
    (folder / "checkpoints" / "horse2zebra").mkdir(parents=True)
    for seed, name in enumerate(("latest_net_G_A.pth", "latest_net_G_B.pth")):
        torch.save(trained(Resnet(), seed).state_dict(), folder / "checkpoints" / "horse2zebra" / name)
    write_recipes(folder, {name: recipe for page in PAGES for name, recipe in saved(page).items()}, weights)
    recipe = tiny({"data": {"root": "data/horse2zebra"}, "log": {"evaluate_every": "2 images"}}, weights)
    (folder / "finished.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    here = Here(folder, _server, weights, services[1] | {"HERE": str(folder)})
    here.start("cyclegan", "train", "finished.yaml", "--out", "finished")
    munit = tiny({"data": {"root": "data/monet2photo"}, "method": {"kind": "munit"}}, weights)
    (folder / "styled.yaml").write_text(yaml.safe_dump(munit), encoding="utf-8")
    here.start("cyclegan", "train", "styled.yaml", "--out", "styled")
    return folder


@pytest.mark.parametrize("page", READ)
def test_the_commands_of_a_page_run(
    page: str, finished: Path, forks: Forks, weights: Path, services: tuple[FakeHub, dict[str, str]], tmp_path: Path
) -> None:
    shutil.copytree(finished, folder := tmp_path / "here")
    hub, environment = services
    hub.repositories.clear()
    here = Here(folder, forks, weights, environment | {"HERE": str(folder)})
    for block in blocks(page, "bash", "python"):
        here.run(block)
