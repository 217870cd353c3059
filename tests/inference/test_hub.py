"""Generators are pushed to a hub and loaded from it; the hub is a local stand-in, so nothing uses the network."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.hub import fetch_generators, is_hub_name
from cyclegan.inference.model import open_model
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.inference.fake_hub import FakeHub, fake_hub
from tests.patience import run as run_to_the_end
from tests.tiny import outputs, tiny_recipe, write_pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pushed")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 3, seed=seed)
    train(tiny_recipe(root / "data"), root / "run")
    return root / "run"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """Point the library to the stand-in, with an empty cache and a new working folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "cache"), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setenv("HF_TOKEN", "token")
    with fake_hub() as hub:
        point_to(hub.address, monkeypatch)
        forget_sessions()
        yield hub
    forget_sessions()


def forget_sessions() -> None:
    """Close the library's sessions, which keep the mode (online or offline) that they were created in."""
    for name in ("reset_sessions", "close_session"):  # before huggingface_hub 1, and since
        getattr(huggingface_hub.utils._http, name, lambda: None)()


def point_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, huggingface_hub.file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)


def generator(path: Path, direction: Direction = Direction.AtoB, seed: int = 0) -> bytes:
    torch.manual_seed(seed)
    write_generator(ResnetConfig(width=4, blocks=1).build(), direction, path)
    return path.read_bytes()


def line_of(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


# Push


def test_generator_card_and_sheet_are_pushed_in_one_commit_and_load_from_there(
    hub: FakeHub, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("export", run, "h2z.safetensors", "--direction", "BtoA", "--push", "someone/h2z") == 0
    assert hub.commits == [["README.md", "h2z.png", "h2z.safetensors"]] and hub.private == {"someone/h2z": False}
    files = hub.repositories["someone/h2z"]
    assert files == {name: Path(name).read_bytes() for name in files}
    assert "cyclegan translate someone/h2z photos out" in files["README.md"].decode()
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == f"pushed to {hub.address}/someone/h2z"
    assert re.search(r"^uploading 0\.\d MiB to someone/h2z$", told.err, re.MULTILINE)

    picture = Image.effect_noise((24, 16), 50).convert("RGB")
    there, here = (Translator.load(source, "BtoA", device="cpu") for source in ("someone/h2z", run))
    assert there.translate(picture).tobytes() == here.translate(picture).tobytes()


def test_a_repository_is_private_where_that_is_asked(hub: FakeHub, run: Path) -> None:
    assert run_main("export", run, "h2z.safetensors", "--push", "someone/h2z", "--private") == 0
    assert hub.private == {"someone/h2z": True}


def test_pushing_again_replaces_our_card_and_no_other(
    hub: FakeHub, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run_main("export", run, "h2z.safetensors", "--push", "someone/h2z") == 0
    assert set(hub.repositories["someone/h2z"]) == {"README.md", "h2z.png", "h2z.safetensors"}
    hub.repositories["someone/h2z"]["README.md"] = b"mine"
    assert run_main("export", run, "h2z.safetensors", "--push", "someone/h2z") == 0
    assert hub.repositories["someone/h2z"]["README.md"] == b"mine"
    assert b"# h2z" in hub.repositories["someone/h2z"]["h2z.md"]
    assert "someone/h2z: its README.md belongs to something else; the card is h2z.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, told",
    [
        ("--push h2z", "h2z: not the name of a repository; write user/name"),
        ("--push a/b/c", "a/b/c: not the name of a repository; write user/name"),
        ("--push some..one/h2z", "some..one/h2z: not the name of a repository"),
        ("--push someone/h2z@main", "someone/h2z@main: not the name of a repository"),
        ("--private", "--private needs --push USER/NAME"),
    ],
)
def test_a_mistake_is_told_before_anything_is_written_or_asked(
    words: str, told: str, hub: FakeHub, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("export", run, "h2z.safetensors", *words.split()) == 2
    captured = capsys.readouterr().err
    assert told in captured and captured.count("\n") == 1
    assert not hub.asked and not list(Path().iterdir())


@pytest.mark.parametrize(
    "answer, told",
    [
        (401, "someone/h2z: the hub requires a login; log in with"),
        (403, "someone/h2z: the hub denies access; check who owns it"),
        (418, "someone/h2z: the hub answered 418: "),
    ],
)
def test_a_refusal_is_one_line(
    answer: int, told: str, hub: FakeHub, run: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cyclegan.publish.export.read_text", lambda *_: None)  # so that making it is refused
    hub.answer = answer
    assert run_main("export", run, "h2z.safetensors", "--push", "someone/h2z") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cyclegan: ")]
    assert len(lines) == 1 and told in lines[0]


def test_who_is_not_logged_in_is_told_how(hub: FakeHub, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.token = "another"
    assert run_main("export", run, "h2z.safetensors", "--push", "someone/h2z") == 2
    assert "someone/h2z: the hub requires a login; log in with `hf auth login`" in capsys.readouterr().err
    assert not hub.repositories


def test_a_hub_that_does_not_answer_is_one_line(
    hub: FakeHub, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut("unreachable", monkeypatch)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # it tries for half a minute
    assert run_main("export", run, "h2z.safetensors", "--push", "someone/h2z") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cyclegan: ")]
    assert len(lines) == 1 and "someone/h2z: the hub cannot be reached" in lines[0]


# Load


def test_the_direction_is_chosen_as_from_any_other_source(hub: FakeHub, tmp_path: Path) -> None:
    there, back = generator(tmp_path / "a"), generator(tmp_path / "b", Direction.BtoA)
    save_file({"x": torch.zeros(1)}, tmp_path / "c")
    other = (tmp_path / "c").read_bytes()
    hub.repositories["someone/both"] = {"1.safetensors": back, "2.safetensors": there, "3.safetensors": other}
    hub.repositories["someone/back"] = {"1.safetensors": back, "README.md": b"", "sub/2.safetensors": there}
    assert open_model(Path("someone/both")).choose() == "AtoB"
    assert list(open_model(Path("someone/both"), Direction.BtoA).generators) == [Direction.BtoA]
    assert open_model(Path("someone/back")).choose() == "BtoA"
    with pytest.raises(ValueError, match="someone/back: translates BtoA, not AtoB"):
        open_model(Path("someone/back"), Direction.AtoB)
    known = open_model(Path("someone/both"))
    assert set(known.generators) == set(Direction) and known.recipe is None


def test_a_revision_is_named_behind_an_at(hub: FakeHub, tmp_path: Path) -> None:
    hub.repositories["someone/h2z"] = {"g.safetensors": generator(tmp_path / "g")}
    commit = hub.commit("someone/h2z")
    assert open_model(Path(f"someone/h2z@{commit}")).choose() == "AtoB"
    assert f"GET /api/models/someone/h2z/revision/{commit}" in hub.asked
    with pytest.raises(FileNotFoundError, match="someone/h2z@v9: the repository exists on the hub, but this revision"):
        open_model(Path("someone/h2z@v9"))


@pytest.mark.parametrize("how", ["offline", "unreachable"])
def test_what_was_loaded_once_loads_without_the_hub(
    how: str, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["someone/h2z"] = {"g.safetensors": generator(tmp_path / "g")}
    open_model(Path("someone/h2z"))
    cut(how, monkeypatch)
    asked = len(hub.asked)
    assert open_model(Path("someone/h2z")).choose() == "AtoB"
    assert len(hub.asked) == asked


def cut(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "unreachable":
        return point_to("http://127.0.0.1:9", monkeypatch)  # the port that discards
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    forget_sessions()


@pytest.mark.parametrize(
    "how, told",
    [
        ("offline", "someone/h2z: HF_HUB_OFFLINE is set, and there is no cached copy"),
        ("unreachable", "someone/h2z: the hub cannot be reached"),
    ],
)
def test_without_the_hub_and_without_a_copy_it_is_one_line(
    how: str, told: str, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(how, monkeypatch)
    with pytest.raises(ConnectionError) as caught:
        open_model(Path("someone/h2z"))
    assert line_of(caught.value).startswith(told)


@pytest.mark.parametrize(
    "files, told",
    [
        (None, "someone/h2z: no such file, folder or repository"),
        ({}, "someone/h2z: no .safetensors file at the top of this repository"),
        ({"sub/g.safetensors": b""}, "someone/h2z: no .safetensors file at the top of this repository"),
        ({"a.safetensors": b"", "b.safetensors": b""}, "someone/h2z: none of its 2 .safetensors files was written by"),
        ({f"{i}.safetensors": b"" for i in range(9)}, "someone/h2z: has 9 .safetensors files"),
        ({"g.safetensors": b"\xff" * 99}, "g.safetensors: damaged, or not a safetensors file"),
        ({"..\\g.safetensors": b"x"}, ""),
    ],
)
def test_what_holds_no_generator_is_refused_in_one_line(
    files: dict[str, bytes] | None, told: str, hub: FakeHub
) -> None:
    if files is not None:
        hub.repositories["someone/h2z"] = files
    with pytest.raises((ValueError, OSError)) as caught:
        open_model(Path("someone/h2z"))
    assert told in line_of(caught.value)


@pytest.mark.parametrize(
    "sizes, told",
    [
        (
            {"a.safetensors": 2**31, "b.safetensors": 2**29},
            "its .safetensors files take 2.5 GiB, more than the 2 GiB that",
        ),
        (
            {"a.safetensors": 7 * 2**40},
            "its .safetensors files take 7,168.0 GiB, more than",
        ),
        ({"b.safetensors": None}, "the hub does not say how large b.safetensors is; download it by hand"),
    ],
)
def test_what_is_too_large_is_refused_before_anything_is_downloaded(
    sizes: dict[str, int | None], told: str, hub: FakeHub, tmp_path: Path
) -> None:
    hub.repositories["someone/h2z"] = dict.fromkeys(("a.safetensors", "b.safetensors"), generator(tmp_path / "g"))
    hub.sizes = sizes
    with pytest.raises(ValueError) as caught:
        open_model(Path("someone/h2z"))
    assert line_of(caught.value).startswith(f"someone/h2z: {told}")
    assert hub.asked == ["GET /api/models/someone/h2z"]


def test_two_files_of_one_direction_are_not_guessed_between(hub: FakeHub, tmp_path: Path) -> None:
    one, other = generator(tmp_path / "a", seed=1), generator(tmp_path / "b", seed=2)
    hub.repositories["someone/h2z"] = {"a.safetensors": one, "b.safetensors": other}
    with pytest.raises(ValueError, match=r"a\.safetensors and b\.safetensors translate AtoB; download the one you"):
        fetch_generators("someone/h2z")


def test_translate_and_show_take_a_repository(hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.repositories["someone/h2z"] = {"g.safetensors": generator(tmp_path / "g")}
    write_pictures(Path("photos"), 2)
    assert run_main("translate", "someone/h2z", "photos", "out") == 0
    assert len(outputs(Path("out"))) == 2
    assert run_main("show", "someone/h2z") == 0
    assert "direction: AtoB" in capsys.readouterr().out


# What is no name of a repository


@pytest.mark.parametrize(
    "name",
    [
        "nowhere", "runs/hrose", "a/b/c", "/a/b", "../b", "~/b", "a/b.pt", "a/b.safetensors", "a/b.pth", "a/.b", "a/b.",
        ".a/b", "a--b/c", "a/b..c", "a b/c", "ä/b", "a/b@", "a/b@../c", "-a/b", "a/b\n", "a/" + "b" * 97,
    ],
)  # fmt: skip
def test_a_typo_never_asks_the_network(name: str, hub: FakeHub) -> None:
    Path("runs/horse").mkdir(parents=True)
    assert not is_hub_name(Path(name))
    with pytest.raises(FileNotFoundError, match="no such run folder, checkpoint or generator"):
        open_model(Path(name))
    assert not hub.asked


def test_what_lies_on_this_disk_is_never_asked_of_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    generator(Path("some/h2z.v1.safetensors"))
    Path("some/run").mkdir()
    with pytest.raises(FileNotFoundError, match="no checkpoint in this folder"):
        open_model(Path("some/run"))
    assert open_model(Path("some/h2z.v1.safetensors")).choose() == "AtoB" and not hub.asked


def test_a_real_process_loads_from_the_hub_and_then_without_it(hub: FakeHub, tmp_path: Path) -> None:
    """In a new process: the library reads the hub's address and offline mode from the environment only once."""
    hub.repositories["someone/h2z"] = {"g.safetensors": generator(tmp_path / "g")}
    place = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "cyclegan", "show", "someone/h2z"]
    for environment in (place, place | {"HF_HUB_OFFLINE": "1"}):
        before = len(hub.asked)
        done = run_to_the_end(command, environment)
        assert done.returncode == 0 and "direction: AtoB" in done.stdout, done.stderr
        assert (len(hub.asked) > before) == (environment == place)
