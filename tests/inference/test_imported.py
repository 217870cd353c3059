"""Published weights: imported generators of the reference and of CUT translate as in the original program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cyclegan.inference.generator_file import read_generator, write_generator
from cyclegan.inference.model import open_model
from cyclegan.networks.config import ResnetConfig, UnetConfig
from cyclegan.types import Direction
from tests.inference.authors_layout import Discriminator, Resnet, Unet, trained

AtoB, BtoA = Direction.AtoB, Direction.BtoA
State = dict[str, Tensor]


def state(seed: int = 0) -> State:
    return dict(trained(Resnet(), seed).state_dict())


def save(content: object, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    torch.save(content, path)
    return path


def which(path: Path, direction: Direction | None = None) -> dict[Direction, int]:
    """The seed (see `state`) of the generator that was found, by direction."""
    model = open_model(path, direction)
    heads = {way: network.state_dict()["head.weight"] for way, network in model.generators.items()}
    known = {seed: state(seed)["model.19.weight"] for seed in range(3)}
    return {way: next(seed for seed in known if torch.equal(known[seed], head)) for way, head in heads.items()}


def refusal(path: Path, direction: Direction | None = None) -> str:
    """The error message for a file, without its path."""
    with pytest.raises(ValueError) as caught:
        model = open_model(path, direction)
        model.choose(direction)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


# Architectures

NETWORKS: list[tuple[Callable[[], nn.Module], Any]] = [
    (lambda: Resnet(4, 2), ResnetConfig(width=4, blocks=2)),
    (lambda: Resnet(6, 9), ResnetConfig(width=6, blocks=9)),
    (lambda: Resnet(dropout=True), ResnetConfig(width=4, blocks=2, dropout=0.5)),
    (
        lambda: Resnet(down=True, up=True),
        ResnetConfig(width=4, blocks=2, downsample="blur", upsample="blur", bias=True),
    ),
    (lambda: Resnet(down=True), ResnetConfig(width=4, blocks=2, downsample="blur", bias=True)),
    (lambda: Resnet(up=True, dropout=True), ResnetConfig(width=4, blocks=2, upsample="blur", bias=True, dropout=0.5)),
    (lambda: Resnet(kind="batch"), ResnetConfig(width=4, blocks=2, norm="batch")),
    (lambda: Resnet(kind="batch", dropout=True), ResnetConfig(width=4, blocks=2, norm="batch", dropout=0.5)),
    (lambda: Resnet(kind="batch", bias=True), ResnetConfig(width=4, blocks=2, norm="batch", bias=True)),
    (
        lambda: Resnet(kind="batch", down=True, up=True),
        ResnetConfig(width=4, blocks=2, norm="batch", downsample="blur", upsample="blur"),
    ),
    (lambda: Unet(2, 5), UnetConfig(width=2, depth=5)),
    (lambda: Unet(2, 7, "instance"), UnetConfig(width=2, depth=7, norm="instance")),
    (lambda: Unet(2, 7, "batch", dropout=True), UnetConfig(width=2, depth=7)),
]


@pytest.mark.parametrize("make, config", NETWORKS)
def test_the_architecture_is_found_and_the_pictures_are_theirs(
    make: Callable[[], nn.Module], config: ResnetConfig | UnetConfig, tmp_path: Path
) -> None:
    theirs = trained(make())
    ours = open_model(save(theirs.state_dict(), tmp_path / "latest_net_G.pth")).generators[AtoB].eval()
    assert ours.config == config
    x = torch.rand(2, 3, 128, 128) * 2 - 1 if config.kind == "unet" else torch.rand(2, 3, 24, 32) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=2e-5)


def test_a_file_of_ours_has_all_that_was_imported(tmp_path: Path) -> None:
    imported = open_model(save(trained(Resnet(kind="batch")).state_dict(), tmp_path / "7_net_G_B.pth")).generators[BtoA]
    write_generator(imported, BtoA, tmp_path / "g.safetensors")
    direction, read, *_ = read_generator(tmp_path / "g.safetensors")
    x = torch.rand(1, 3, 16, 16)
    assert direction == BtoA and torch.equal(imported.eval()(x), read.eval()(x))


def test_statistics_of_instance_norm_are_dropped(tmp_path: Path) -> None:
    old = state() | {"model.2.running_mean": torch.ones(4), "model.2.num_batches_tracked": torch.tensor(3)}
    assert which(save(old, tmp_path / "old.pth")) == {AtoB: 0}


# Where state dicts lie


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.module.", "netG.", "module.G.module."]
)
def test_prefixes_are_dropped(prefix: str, suffix: str, tmp_path: Path) -> None:
    renamed = {prefix + name: weight for name, weight in state().items()}
    assert which(save(renamed, tmp_path / f"weights{suffix}")) == {AtoB: 0}


@pytest.mark.parametrize(
    "nest",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {"netG": {"state_dict": s}}, "optimizer": {"lr": 0.1}},
        lambda s: {"model_state_dict": s},
        lambda s: {"params_ema": {}, "params": s},
        lambda s: {"generator": s, "discriminator": Discriminator().state_dict()},
        lambda s: {"net_G": s, "net_D": Discriminator().state_dict(), "loss": torch.tensor(0.3)},
        lambda s: {"state_dict": {f"generator.{name}": w for name, w in s.items()} | {"other.weight": torch.zeros(1)}},
    ],
)
def test_nested_state_dicts_are_found(nest: Callable[[State], object], tmp_path: Path) -> None:
    assert which(save(nest(state(1)), tmp_path / "some.pth"), BtoA) == {BtoA: 1}


@pytest.mark.parametrize(
    "a_to_b, b_to_a",
    [
        ("G_A", "G_B"),
        ("netG_A", "netG_B"),
        ("net_G_A", "net_G_B"),
        ("G_AB", "G_BA"),
        ("G_A2B", "G_B2A"),
        ("genA2B", "genB2A"),
        ("netG_A2B", "netG_B2A"),
        ("generator_AtoB", "generator_BtoA"),
        ("g_a_to_b", "g_b_to_a"),
    ],
)
@pytest.mark.parametrize("flat", [False, True])
def test_both_generators_of_a_training_are_found(a_to_b: str, b_to_a: str, flat: bool, tmp_path: Path) -> None:
    networks = {a_to_b: state(1), b_to_a: state(2), "D_A": dict(Discriminator().state_dict())}
    joined = {f"{part}.{name}": weight for part, weights in networks.items() for name, weight in weights.items()}
    content: dict[str, Any] = {"state_dict": joined} if flat else networks
    content |= {"optimizer_G": {"state": {}, "param_groups": [{"lr": 0.1}]}, "epoch": 3}
    assert which(save(content, tmp_path / "checkpoint.pt")) == {AtoB: 1, BtoA: 2}
    assert open_model(tmp_path / "checkpoint.pt").choose() == AtoB


# Directions and folders


@pytest.mark.parametrize(
    "name, direction",
    [
        ("latest_net_G.pth", AtoB),
        ("latest_net_G_A.pth", AtoB),
        ("latest_net_G_B.pth", BtoA),
        ("200_net_G_B.pt", BtoA),
        ("netG_B2A.pth", BtoA),
        ("horse2zebra.pth", AtoB),
    ],
)
def test_a_name_says_the_direction(name: str, direction: Direction, tmp_path: Path) -> None:
    assert which(save(state(), tmp_path / name)) == {direction: 0}


def test_the_direction_asked_for_counts_where_the_name_says_nothing(tmp_path: Path) -> None:
    assert which(save(state(), tmp_path / "latest_net_G.pth"), BtoA) == {BtoA: 0}
    assert which(save(state(), tmp_path / "net_G_B.pth"), BtoA) == {BtoA: 0}
    assert refusal(save(state(), tmp_path / "net_G_A.pth"), BtoA) == "translates AtoB, not BtoA"
    assert refusal(tmp_path / "net_G_B.pth", AtoB) == "translates BtoA, not AtoB"


@pytest.mark.parametrize(
    "files, found",
    [
        ({"latest_net_G.pth": 1}, {AtoB: 1}),
        ({"latest_net_G_A.pth": 1, "latest_net_G_B.pth": 2}, {AtoB: 1, BtoA: 2}),
        ({"latest_net_G_B.pth": 2}, {BtoA: 2}),
        ({"9_net_G_A.pth": 0, "9_net_G_B.pth": 0, "10_net_G_A.pth": 1, "10_net_G_B.pth": 2}, {AtoB: 1, BtoA: 2}),
        ({"200_net_G_A.pth": 0, "200_net_G_B.pth": 0, "latest_net_G_A.pth": 1}, {AtoB: 1}),
        ({"iter_900_net_G.pth": 0, "5_net_G.pth": 1}, {AtoB: 1}),
        ({"latest_net_G.pth": 0, "latest_net_G_A.pth": 1, "latest_net_G_B.pth": 2}, {AtoB: 1, BtoA: 2}),
    ],
)
def test_a_checkpoint_folder_gives_its_last_generators(
    files: dict[str, int], found: dict[Direction, int], tmp_path: Path
) -> None:
    for name, seed in files.items():
        save(state(seed), tmp_path / name)
    save(Discriminator().state_dict(), tmp_path / "latest_net_D_A.pth")
    (tmp_path / "loss_log.txt").touch()
    assert which(tmp_path) == found
    assert all(which(tmp_path, way) == {way: seed} for way, seed in found.items())


def test_a_folder_of_one_direction_says_so(tmp_path: Path) -> None:
    save(state(), tmp_path / "latest_net_G_A.pth")
    assert refusal(tmp_path, BtoA) == "translates AtoB, not BtoA"


@pytest.mark.parametrize("ours", ["recipe.yaml", "checkpoints"])
def test_a_run_folder_stays_ours(ours: str, tmp_path: Path) -> None:
    save(state(), tmp_path / "latest_net_G.pth")
    if ours == "checkpoints":
        (tmp_path / ours).mkdir()
    else:
        (tmp_path / ours).touch()
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        open_model(tmp_path)


def test_a_folder_without_either_says_what_it_lacks(tmp_path: Path) -> None:
    save(Discriminator().state_dict(), tmp_path / "latest_net_D.pth")
    with pytest.raises(FileNotFoundError) as caught:
        open_model(tmp_path)
    told = "no checkpoint in this folder, and no *_net_G*.pth; is it a run folder?"
    assert str(caught.value) == f"{tmp_path}: {told}"


# What is refused

RESNET, UNET = "a ResNet generator of the reference, but ", "a U-Net generator of the reference, but "
DEEP = "model.model.1." + "model.3." * 3
ITSELF: dict[str, Any] = {"epoch": 3}
ITSELF["G"] = ITSELF


def without(network: nn.Module, name: str) -> State:
    weights = dict(network.state_dict())
    del weights[name]
    return weights


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: without(Resnet(), "model.10.conv_block.5.weight"), f"{RESNET}model.10.conv_block.5.weight is missing"),
        (lambda: without(Resnet(), "model.1.weight"), f"{RESNET}model.1.weight is missing"),
        (lambda: without(Resnet(down=True), "model.8.bias"), f"{RESNET}model.8.bias is missing"),
        (lambda: without(Resnet(kind="batch"), "model.2.running_var"), f"{RESNET}model.2.running_var is missing"),
        (lambda: without(Unet(), "model.model.0.weight"), f"{UNET}model.model.0.weight is missing"),
        (lambda: without(Unet(), f"{DEEP}model.1.weight"), f"{UNET}{DEEP}model.1.weight is missing"),
        (
            lambda: Unet().state_dict() | {f"{DEEP}model.1.bias": torch.zeros(16)},
            f"{UNET}it also holds '{DEEP}model.1.bias'",
        ),
        (
            lambda: Resnet(down=True).state_dict() | {"model.7.filt": torch.ones(8, 1, 3, 3)},
            f"{RESNET}it also holds 'model.7.filt'",
        ),
        (
            lambda: state() | {"model.4.weight": torch.zeros(9, 4, 3, 3)},
            f"{RESNET}model.4.weight is 9 x 4 x 3 x 3, but its config needs 8 x 4 x 3 x 3",
        ),
        (
            lambda: state() | {"model.4.weight": torch.zeros(8, 4, 3, 3).int()},
            f"{RESNET}model.4.weight holds int32, not floats",
        ),
        (lambda: Unet(depth=4).state_dict(), f"{UNET}its depth: input should be greater than or equal to 5 (got 4)"),
        (
            lambda: Unet().state_dict() | {"model.model.1." + "model.3." * 400 + "model.1.weight": torch.zeros(1)},
            f"{UNET}its depth: input should be less than or equal to 10 (got 402)",
        ),
        (lambda: Discriminator().state_dict(), "weights of a discriminator, not a generator"),
        (
            lambda: nn.Sequential(nn.Linear(2, 3)).state_dict(),
            "no generator of the reference or of CUT (ResNet, U-Net): its weights begin with '0.weight'",
        ),
        (lambda: {"D_A": {}, "optimizer_G": {}, "epoch": 3}, "holds no generator, only D_A, optimizer_G, epoch"),
        (lambda: {"a": {}, 3: {}}, "holds no generator, only a, 3"),
        (
            lambda: {str(i): 0 for i in range(99)},
            "holds no generator, only 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...",
        ),
        (lambda: ITSELF, "holds no generator, only epoch, G"),
        (lambda: {"G": state(), "netG_A": state()}, "holds 'G' and 'netG_A', both of which may translate AtoB"),
        (lambda: {"G": {"G_A": state(), "G_B": state()}}, "holds generators within a generator"),
        (lambda: state() | {3: torch.zeros(1)}, "not a state dict of tensors: 3 is a Tensor"),
        (lambda: state() | {"model.1.bias": [0.0]}, "not a state dict of tensors: 'model.1.bias' is a list"),
        (
            lambda: state() | {"module.model.1.bias": torch.zeros(4)},
            "holds some weights twice, with and without `module.` or `_orig_mod.` in their names",
        ),
        (lambda: [state()], "not a state dict of tensors; is it a `*_net_G*.pth` of the reference?"),
        (lambda: {}, "not a state dict of tensors; is it a `*_net_G*.pth` of the reference?"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_in_one_line(make: Callable[[], object], told: str, tmp_path: Path) -> None:
    assert refusal(save(make(), tmp_path / "latest_net_G.pth")) == told


def test_a_damaged_file_in_a_folder_is_named(tmp_path: Path) -> None:
    path = save(state(), tmp_path / "latest_net_G_A.pth")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"latest_net_G_A\.pth: damaged, or not a file of weights"):
        open_model(tmp_path)


def test_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    path = save(state(), tmp_path / "latest_net_G.pth")
    content = bytearray(path.read_bytes())
    weight = state()["model.1.weight"].numpy().tobytes()
    content[content.index(weight)] ^= 1
    path.write_bytes(content)
    assert "the checksum of" in refusal(path)
