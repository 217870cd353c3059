"""Files that are made to hurt are refused in one line: nothing in them runs, and what they claim costs nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from cyclegan.checkpoint import newest_checkpoint
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.generator_file import FORMAT
from cyclegan.inference.model import open_model
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from tests.methods.test_parity import published
from tests.tiny import outputs, tiny_recipe, write_pictures

CONFIG = {"kind": "resnet", "width": 4, "blocks": 1}
MEGABYTES = 100
"""That a refusal may cost; the lies in these files are of terabytes."""


def weights(**changes: Any) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: w.clone() for name, w in ResnetConfig(**CONFIG | changes).build().state_dict().items()}  # type: ignore[arg-type]


def write_exported(path: Path, tensors: dict[str, Tensor], config: Any = CONFIG, **metadata: str) -> Path:
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors, path, {"format": FORMAT, "direction": "AtoB", "generator": text} | metadata)
    return path


def state_published() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return published(ResnetConfig(width=4, blocks=2).build(), 2, legacy=False)


def peak() -> float:
    """Megabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def refusal(path: Path) -> str:
    """The one line that the file is refused with, less the name of the file."""
    before = peak()
    with pytest.raises(ValueError) as caught:
        Translator.load(path, device="cpu")
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and len(line) < len(str(path)) + 500, line
    assert peak() - before < MEGABYTES
    return line.removeprefix(f"{path}: ")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run; once it is loaded, what torch needs for itself is there."""
    root = tmp_path_factory.mktemp("hostile")
    for name in ("trainA", "trainB"):
        write_pictures(root / "data" / name, 3)
    train(tiny_recipe(root / "data", training={"ema": "4 images"}), root / "run")
    open_model(root / "run")
    return root / "run"


@pytest.mark.parametrize(
    "config, told",
    [
        (CONFIG | {"width": 10**9}, "generator.width: input should be less than or equal to 4096 (got 1000000000)"),
        (CONFIG | {"blocks": 10**9}, "generator.blocks: input should be less than or equal to 256"),
        (CONFIG | {"blocks": 10**400}, "generator.blocks: input should be less than or equal to 256"),
        (CONFIG | {"blocks": 0}, "generator.blocks: input should be greater than 0"),
        (CONFIG | {"width": -4}, "generator.width: input should be greater than 0"),
        (CONFIG | {"width": "4"}, "generator.width: input should be a valid integer (got '4')"),
        (CONFIG | {"width": True}, "generator.width: input should be a number (got True)"),
        (CONFIG | {"width": 4.5}, "generator.width: input should be a valid integer"),
        (CONFIG | {"dropout": 1.0}, "generator.dropout: input should be less than 1"),
        (CONFIG | {"kind": "vit"}, "generator.kind: 'vit' is not one of 'resnet', 'unet'"),
        (CONFIG | {"run": "rm -r /"}, "generator.run: unexpected keyword argument"),
        (CONFIG | {"upsample": None}, "generator.upsample: input should be 'transpose', 'resize' or 'blur'"),
        ([1], "generator: "),
        (None, "generator: "),
        ("{", "generator: invalid JSON"),
        ("", "generator: invalid JSON"),
        ("[" * 100_000, "generator: invalid JSON"),
        (CONFIG | {"width": 4096, "blocks": 256}, "its weights do not fit its config: stages."),
        (
            CONFIG | {"width": 8},
            "its weights do not fit its config: stages.0.0.weight is 4 x 3 x 7 x 7, but its config",
        ),
        (CONFIG | {"skip": True}, "its weights do not fit its config: head.weight is"),
    ],
)
def test_an_exported_generator_with_an_impossible_config_is_refused(
    run: Path, tmp_path: Path, config: Any, told: str
) -> None:
    assert refusal(write_exported(tmp_path / "g.safetensors", weights(), config)).startswith(told)


Change = Callable[[dict[str, Any]], object]

RESNET = "a ResNet generator of the reference, but "
BLOCKS = f"{RESNET}its blocks: input should be less than or equal to 256 (got 30"


def blur() -> Tensor:
    """One of CUT's."""
    return torch.outer(line := torch.tensor([1.0, 2.0, 1.0]), line)[None, None]


NAME = "stages.3.body.0.weight"
CHANGES: list[tuple[Change, str]] = [
    (lambda w: w.pop(NAME), f"{NAME} is missing"),
    (lambda w: w.update(more=torch.zeros(1)), "'more' is not part of the network"),
    (
        lambda w: w.update({NAME: w[NAME][1:].clone()}),
        f"{NAME} is 15 x 16 x 3 x 3, but its config needs 16 x 16 x 3 x 3",
    ),
    (lambda w: w.update({NAME: torch.zeros(())}), f"{NAME} is a single number"),
    (lambda w: w.update({NAME: w[NAME].long()}), f"{NAME} holds int64, not floats"),
    (lambda w: w.update({NAME: w[NAME] > 0}), f"{NAME} holds bool, not floats"),
    (lambda w: w.update({NAME: w[NAME].to(torch.complex64)}), f"{NAME} holds complex64, not floats"),
]


@pytest.mark.parametrize("change, told", CHANGES)
def test_an_exported_generator_whose_weights_do_not_fit_is_refused(
    run: Path, tmp_path: Path, change: Change, told: str
) -> None:
    change(tensors := weights())
    assert refusal(write_exported(tmp_path / "g.safetensors", tensors)).startswith(
        f"its weights do not fit its config: {told}"
    )


@pytest.mark.parametrize("change, told", CHANGES)
@pytest.mark.parametrize("averaged", [True, False])
def test_a_checkpoint_whose_weights_do_not_fit_is_refused(
    run: Path, tmp_path: Path, change: Change, told: str, averaged: bool
) -> None:
    state = torch.load(newest_checkpoint(run), weights_only=True)
    changed = state["ema"]["AtoB"] if averaged else below("a_to_b.", state["method"])
    change(changed)
    if not averaged:
        others = {name: w for name, w in state["method"].items() if not name.startswith("a_to_b.")}
        state |= {"ema": {}, "method": others | {f"a_to_b.{name}": w for name, w in changed.items()}}
    torch.save(state, tmp_path / "c.pt")
    assert refusal(tmp_path / "c.pt").startswith(f"its weights do not fit its recipe: {told}")


def below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): w for name, w in state.items() if name.startswith(prefix)}


@pytest.mark.parametrize(
    "key, value, told",
    [
        ("width", 10**9, "method.generator.width: input should be less than or equal to 4096"),
        ("blocks", 0, "method.generator.blocks: input should be greater than 0"),
        ("blocks", torch.zeros(10**6), "method.generator.blocks: input should be a valid integer"),
        ("kind", "vit", "method.generator.kind: 'vit' is not one of 'resnet', 'unet'"),
        ("width", 4096, "its weights do not fit its recipe"),
    ],
)
def test_a_checkpoint_with_an_impossible_recipe_is_refused(
    run: Path, tmp_path: Path, key: str, value: Any, told: str
) -> None:
    state = torch.load(newest_checkpoint(run), weights_only=True)
    state["recipe"]["method"]["generator"][key] = value
    torch.save(state, tmp_path / "c.pt")
    assert refusal(tmp_path / "c.pt").startswith(told)


def test_a_checkpoint_whose_recipe_is_a_bomb_is_refused(run: Path, tmp_path: Path) -> None:
    bomb: list[Any] = ["x"]
    for _ in range(40):
        bomb = [bomb, bomb]
    for place in ({"method": {"discriminator": {"kind": bomb}}}, {"data": {"transforms": bomb}}, {"speed": bomb}):
        state = torch.load(newest_checkpoint(run), weights_only=True)
        torch.save(state | {"recipe": place}, tmp_path / "c.pt")
        assert "more than 10,000 values" in refusal(tmp_path / "c.pt")


def test_weights_of_another_float_type_are_taken_and_those_not_finite_too(run: Path, tmp_path: Path) -> None:
    """NaN is what a run that diverged leaves; it can be looked at, and a picture of it is refused."""
    tensors = weights()
    halves = {name: w.half() for name, w in tensors.items()}
    loaded = open_model(write_exported(tmp_path / "half.safetensors", halves)).generators[Direction.AtoB].state_dict()
    assert all(w.dtype == torch.float32 and torch.equal(w, halves[name].float()) for name, w in loaded.items())
    tensors[NAME][0, 0] = torch.nan
    translator = Translator.load(
        write_exported(tmp_path / "nan.safetensors", tensors), device="cpu", precision="float32"
    )
    with pytest.raises(ValueError, match="the image contains NaN"):
        translator.translate_pixels(np.zeros((1, 8, 8, 3), np.uint8))


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"random " * 100,
        header(b"{}", length=2**40),
        header(b"{}", length=2**64 - 1),
        header(b"[" * 100_000),
        header(b'{"x": {"dtype": "F32", "shape": [1000000, 1000000], "data_offsets": [0, 4000000000000]}}'),
        header(b'{"x": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]}}') + bytes(4),
        header(b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}}') + bytes(4),
        header(b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}') + bytes(4),
        header(b'{"x": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}') + bytes(4),
        header(b'{"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}') + bytes(4),
        header(b'{"__metadata__": {"format": 3}}'),
        header(b'{"__metadata__": {"format": "cyclegan generator 1", "direction": "AtoC"}}'),
        header(b'{"__metadata__": {"format": "cyclegan generator 1", "direction": "AtoB"}}'),
    ],
)
def test_what_is_no_safetensors_file_is_refused(run: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.safetensors").write_bytes(content)
    refusal(tmp_path / "g.safetensors")


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda s: s.pop("model.1.weight"), f"{RESNET}model.1.weight is missing"),
        (lambda s: s.update({"model.1.other": torch.zeros(1)}), f"{RESNET}it also holds 'model.1.other'"),
        (lambda s: s.update({f"model.{'9' * 5000}.weight": torch.zeros(1)}), f"{RESNET}it also holds 'model.999"),
        (lambda s: s.update({f"model.{i}.conv_block.1.weight": 0 * s["model.1.bias"] for i in range(300)}), BLOCKS),
        (lambda s: s.update({3: torch.zeros(1)}), "not a state dict of tensors: 3 is a Tensor"),
        (lambda s: s.update({"model.1.weight": [0.0]}), "not a state dict of tensors"),
        (lambda s: s.update({"model.1.weight": torch.zeros(())}), f"{RESNET}its width: input should be greater than 0"),
        (lambda s: s.update({"model.1.weight": torch.zeros(0)}), f"{RESNET}its width: input should be greater than 0"),
        (
            lambda s: s.update({"model.1.weight": torch.zeros(()).expand(10**9, 10**9)}),
            f"{RESNET}its width: input should be less than",
        ),
        (lambda s: s.update({"model.2.filt": blur().expand(10**9, 9, 3, 3).to("meta")}), f"{RESNET}it also holds"),
        (lambda s: s.update({"model.2.filt": blur().to_sparse()}), f"{RESNET}it also holds 'model.2.filt'"),
        (lambda s: s.update({"model.2.filt": blur().int()}), f"{RESNET}it also holds 'model.2.filt'"),
        (lambda s: s.update({"model.2.filt": blur()[:, :0]}), f"{RESNET}it also holds 'model.2.filt'"),
        (lambda s: s.update({"model.2.filt": blur()[..., :1].expand(1, 1, 3, 10**12)}), f"{RESNET}it also holds"),
        (
            lambda s: s.update({"model.4.weight": torch.zeros(()).expand(10**9, 10**9)}),
            f"{RESNET}model.4.weight ",
        ),
        (lambda s: s.update({"model.4.weight": s["model.4.weight"].int()}), f"{RESNET}model.4.weight "),
        (lambda s: s.update({"model.4.weight": s["model.4.weight"].to_sparse()}), f"{RESNET}model.4.weight "),
        (lambda s: s.update({"model.4.weight": s["model.4.weight"].to("meta")}), f"{RESNET}model.4.weight "),
    ],
)
def test_a_foreign_file_whose_weights_do_not_fit_is_refused(
    run: Path, tmp_path: Path, change: Change, told: str
) -> None:
    change(state := state_published())
    torch.save(state, tmp_path / "g.pth")
    assert refusal(tmp_path / "g.pth").startswith(told)


def test_a_small_file_that_claims_large_weights_is_refused(run: Path, tmp_path: Path) -> None:
    """Each tensor is one number, told a million times over."""
    with torch.device("meta"):
        large = published(ResnetConfig(width=4096, blocks=20).build(), 20, legacy=False)
    torch.save({name: torch.zeros(()).expand(w.shape) for name, w in large.items()}, tmp_path / "g.pth")
    assert refusal(tmp_path / "g.pth").endswith("its weights share memory, so that they are larger than what is stored")


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def torch_zip(state: bytes, compression: int = zipfile.ZIP_STORED) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as packed:
            packed.writestr("archive/data.pkl", state)
            packed.writestr("archive/byteorder", "little")
            packed.writestr("archive/version", "3\n")

    return write


LEGACY = {"_use_new_zipfile_serialization": False}


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80"),
        lambda path: path.write_bytes(bytes(range(256)) * 50),
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 50),
        lambda path: torch.save({"format": 1, "x": Payload(path.with_name("ran"))}, path),
        lambda path: torch.save({"format": 1, "x": Payload(path.with_name("ran"))}, path, **LEGACY),
        lambda path: path.write_bytes(pickle.dumps(Payload(path.with_name("ran")))),
        torch_zip(b""),
        torch_zip(pickle.dumps({"format": 1}), zipfile.ZIP_DEFLATED),
        torch_zip(b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR."),
        torch_zip(b"\x80\x02" + b"]" * 100_000 + b"."),
        torch_zip(pickle.dumps([1])),
        torch_zip(pickle.dumps(3)),
        lambda path: zipfile.ZipFile(path, "w").close(),
        lambda path: torch.save(torch.zeros(3), path),
        lambda path: torch.save([torch.zeros(3)], path),
        lambda path: path.symlink_to("/dev/null"),
    ],
)
def test_what_is_no_file_of_weights_is_refused_and_nothing_in_it_runs(
    run: Path, tmp_path: Path, write: Callable[[Path], object], suffix: str
) -> None:
    path = tmp_path / f"file{suffix}"
    write(path)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        Translator.load(path, device="cpu")
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(run: Path, tmp_path: Path, cut: float) -> None:
    write_exported(tmp_path / "g.safetensors", weights())
    torch.save(state_published(), tmp_path / "g.pth")
    torch.save(state_published(), tmp_path / "legacy.pth", **LEGACY)
    (tmp_path / "c.pt").write_bytes(newest_checkpoint(run).read_bytes())
    for path in list(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * cut)])
        refusal(path)


@pytest.mark.parametrize("name", ["folder.pt", "folder.pth", "folder.safetensors"])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=f"{name}: no checkpoint in this folder"):
        Translator.load(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["g.pt", "g.pth", "g.safetensors"])
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch(mode=0)
    assert "ermission denied" in refusal(tmp_path / name)


def test_output_names_cannot_escape_out(run: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "deep" / "out"
    [picture] = write_pictures(tmp_path / "elsewhere", 1, size=8)
    names = [
        "a\\..\\..\\a.png",
        "C:b.png",
        "~.png",
        "c\nd.png",
        "-o.png",
        "%2e%2e%2fe.png",
        "sub/f../g.png",
        "\udcff.png",
    ]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(picture.read_bytes())
    (source / "link").symlink_to(tmp_path / "elsewhere")
    (source / "link.png").symlink_to(picture)
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "deep")}
    outcome = translate_directory(Translator.load(run, device="cpu"), source, out)
    assert len(outcome.translated) == len(names) + 2 and not outcome.failed
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "deep")} == before
    assert outputs(out).keys() == {*names, "link.png", "link/0.png"}


# Any damage

quick = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["flip", "insert", "delete", "cut"]),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for where, how, new in changes:
        place = int(where**2 * len(content))  # most of what can go wrong stands in the front
        after = {"flip": len(new), "insert": 0, "delete": 8, "cut": len(content)}[how]
        content = content[:place] + (new if how in ("flip", "insert") else b"") + content[place + after :]
    return content


def damage_outcome(path: Path, content: bytes) -> str:
    """Load a file that was damaged: it works, or is refused in one line."""
    path.write_bytes(content)
    try:
        open_model(path)
    except ValueError as error:
        line = str(error)
        assert line.startswith(f"{path}: ") and line.isprintable(), line
        return "refused"
    return "loaded"


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    write_exported(folder / "g.safetensors", weights())
    torch.save(state_published(), folder / "g.pth")
    torch.save(state_published(), folder / "legacy.pth", **LEGACY)
    (folder / "c.pt").write_bytes(newest_checkpoint(run).read_bytes())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("name", ["g.safetensors", "g.pth", "legacy.pth", "c.pt"])
@quick
@given(changes=edits)
def test_a_damaged_file_loads_or_is_refused_in_one_line(
    name: str, folder: Path, whole: dict[str, bytes], changes: list[tuple[float, str, bytes]]
) -> None:
    damage_outcome(folder / name, damaged(whole[name], changes))


@pytest.mark.parametrize("name", ["g.pth", "c.pt"])
@quick
@given(changes=edits)
def test_a_forged_pickle_in_a_whole_file_loads_or_is_refused_in_one_line(
    name: str, folder: Path, whole: dict[str, bytes], changes: list[tuple[float, str, bytes]]
) -> None:
    """As damaged as the file above, but with every checksum right."""
    forged = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole[name])) as packed, zipfile.ZipFile(forged, "w") as new:
        for part in packed.namelist():
            content = packed.read(part)
            new.writestr(part, damaged(content, changes) if part.endswith("data.pkl") else content)
    damage_outcome(folder / name, forged.getvalue())
