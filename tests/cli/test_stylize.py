"""`cyclegan stylize`: what it prints, and what it refuses."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.cli.codes import MISTAKE, UNREADABLE
from tests.cli.test_cli import run_main
from tests.forked import Forks
from tests.tiny import write_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "photos", 2, size=40)
    return tmp_path / "photos"


@pytest.fixture
def monet(tmp_path: Path) -> Path:
    [path] = write_pictures(tmp_path / "styles", 1, size=32, seed=5)
    return path.rename(tmp_path / "monet.png")


@pytest.fixture
def plain(weights: Path) -> tuple[str | Path, ...]:
    """Options for a quick painting by a network that has learned nothing."""
    network = "--network", "squeezenet1_1", "--weights", weights, "--shifts", "1", "--device", "cpu"
    return *network, "--precision", "float32", "--iterations", "2", "--levels", "1"


def test_a_picture_is_painted(
    photos: Path, monet: Path, tmp_path: Path, plain: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_main("stylize", photos / "0.png", monet, out, *plain) == 0
    told = capsys.readouterr()
    assert told.out == f"1 painted to {out}\n" and not told.err
    assert Image.open(out / "0_monet.png").size == (40, 40)
    assert run_main("stylize", photos, monet, out, *plain, "--resume") == 0
    assert capsys.readouterr().out == f"1 painted to {out}, 1 already done\n"


def test_a_broken_picture_is_told_at_the_end(
    photos: Path, monet: Path, tmp_path: Path, plain: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "0.png").write_bytes(b"broken")
    assert run_main("stylize", photos, monet, tmp_path / "out", *plain) == UNREADABLE
    told = capsys.readouterr()
    assert told.out == f"1 painted to {tmp_path}/out\n"
    assert told.err.startswith(f"{photos}/0.png cannot be read") and told.err.count("\n") == 1


def test_every_option_reaches_the_painting(
    photos: Path, monet: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = np.zeros((40, 40), np.uint8)
    left[:, :20] = 255
    Image.fromarray(left).save(tmp_path / "left.png")
    words = (
        f"--network squeezenet1_1 --weights {weights} --pooling max --content_layers features.4 --shifts 2 "
        f"--style_layers features.1 features.3 --style_weight 3 --content_weight 2 --tv_weight 0.1 --photo_weight 5 "
        f"--style_weights 2 1 --style_scale 0.8 --colour histogram --masks {tmp_path}/left.png none "
        f"--style_masks none none --size 36 --seconds 60 --iterations 3 --levels 1 --init noise --optimizer adam "
        f"--lr 0.05 --seed 3 --device cpu --precision float32 --output_format jpg --quality 80 --strip "
        f"--preview {tmp_path}/live.png --max_pixels 100000"
    )
    assert run_main("stylize", photos / "0.png", monet, photos / "1.png", tmp_path / "out", *words.split()) == 0
    assert capsys.readouterr().out == f"1 painted to {tmp_path}/out\n"
    assert Image.open(tmp_path / "out" / "0_monet_1.jpg").size == Image.open(tmp_path / "live.png").size == (36, 36)


def test_a_dry_run_prints_a_line_for_each_painting(
    photos: Path, monet: Path, tmp_path: Path, plain: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_main("stylize", photos, monet, out, *plain, "--dry_run") == 0
    lines = capsys.readouterr().out.splitlines()
    style = f"in the style of {monet} -> {out}"
    assert lines == [f"{photos}/{i}.png {style}/{i}_monet.png, 40 x 40 in 1 size" for i in range(2)]
    assert not out.exists()


@pytest.mark.parametrize(
    "words, told",
    [
        ("photo.png monet.png", "stylize: give CONTENT, at least one STYLE, and OUT"),
        ("photo.png nowhere.png out", "nowhere.png: no such picture or directory"),
        ("photo.png monet.png out --style_weights 1 2", "--style_weights: 1 styles, but 2 weights"),
        ("photo.png monet.png out --style_weights x", "stylize: --style_weights: expected a number, not 'x'"),
        ("photo.png monet.png out --masks a.png b.png", "--masks: 1 STYLE, but 2 masks"),
        ("photo.png monet.png out --masks a.png", "--mask: a.png: no such picture or folder"),
        ("photo.png monet.png out --init start.png", "--init: start.png: no such picture; or say content or noise"),
        ("photo.png monet.png out --quality 0", "--quality: must be 1 to 100, not 0"),
        ("photo.png monet.png out --max_pixels 0", "--max_pixels: must be at least 1, not 0"),
        ("photo.png monet.png out --style_scale 9", "--style_scale: must be above 0 and at most 8, not 9"),
        ("photo.png monet.png out --network convnext_tiny", "convnext_tiny: say which layers to compare"),
        ("photo.png monet.png out --network nonsense", "nonsense: say which layers to compare"),
        ("photo.png monet.png out --weights none.pth", "none.pth: no such file of weights"),
        ("photo.png --seed 1 monet.png out", "stylize: Unrecognized options: monet.png, out; give all paths in one"),
    ],
)
def test_a_mistake_is_one_line(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "monet.png"):
        Image.new("RGB", (40, 40)).save(name)
    assert run_main("stylize", *words.split()) == MISTAKE
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cyclegan: {told}")


@pytest.mark.parametrize("name, code", [("SIGTERM", 143)])
def test_a_painting_that_is_stopped_continues_exactly(
    name: str,
    code: int,
    photos: Path,
    monet: Path,
    tmp_path: Path,
    plain: tuple[str | Path, ...],
    forks: Forks,
) -> None:
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    live, whole = tmp_path / "live.png", tmp_path / "whole.png"
    words = ("stylize", photos / "0.png", monet, tmp_path / "it.png", *plain, "--iterations", "40", "--levels", "1")
    assert run_main(*words[:3], whole, *words[4:]) == 0
    slow = (*words, "--preview", live)
    process = forks.start(*slow, log=tmp_path / "log", main="tests.cli.test_stylize:slowly")
    process.until(live.exists)
    process.send(getattr(signal, name))
    assert process.wait() == code, process.told
    assert "stopped after 0." in process.told and not (tmp_path / "it.png").exists()
    assert process.told.rstrip().endswith(f"continue with: cyclegan {' '.join(map(str, slow))} --resume")
    process = forks.start(*slow, "--resume", log=tmp_path / "log")
    assert process.wait() == 0, process.told
    assert "it.png: continuing at" in process.told
    assert (tmp_path / "it.png").read_bytes() == whole.read_bytes()


def slowly(words: list[str]) -> None:
    """Stylize with a preview after each step, and wait at the third until a signal comes."""
    import time

    import cyclegan.painting.studio as studio
    from cyclegan.cli import main
    from cyclegan.painting.painting import Painting

    vars(studio).update(PREVIEW_EVERY=0.0, RARELY=0)
    real, count = Painting.advance, 0

    def advance(painting: Painting) -> bool:
        nonlocal count
        count += 1
        if count > 3:
            time.sleep(0.05)
        if count > 30:
            time.sleep(600)
        return real(painting)

    Painting.advance = advance  # type: ignore[method-assign, assignment]
    torch.set_num_threads(1)
    main(words)
