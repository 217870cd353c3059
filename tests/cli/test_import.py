"""cyclegan import, and every other command that opens a model, on the files of others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cyclegan.cli import main
from cyclegan.inference.generator_file import read_generator
from cyclegan.types import Direction
from tests.inference.authors_layout import Resnet, Unet, trained
from tests.tiny import write_pictures


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> list[str]:
    """The lines that a command prints."""
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    assert not done.value.code
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint folder of the reference with both directions."""
    (tmp_path / "horse").mkdir()
    for seed, name in enumerate(("3_net_G_A.pth", "3_net_G_B.pth", "2_net_G_A.pth")):
        torch.save(trained(Resnet(), seed).state_dict(), tmp_path / "horse" / name)
    return tmp_path / "horse"


def test_it_writes_one_direction_and_tells_what_it_found(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "g.safetensors"
    found = "ResNet, width 4, 2 blocks, instance norm, 13,275 parameters"
    assert said(capsys, "import", folder, out) == [
        f"{folder}/3_net_G_A.pth: {found}",
        f"{out}: translates AtoB; --direction BtoA gives the other",
    ]
    assert said(capsys, "import", folder, out, "--direction", "BtoA") == [
        f"{folder}/3_net_G_B.pth: {found}",
        f"{out}: translates BtoA",
    ]
    direction, network, *_ = read_generator(out)
    assert direction == Direction.BtoA
    x, theirs = torch.rand(1, 3, 16, 16), trained(Resnet(), 1)
    torch.testing.assert_close(network(x), theirs(x), rtol=0, atol=2e-5)
    assert [path.name for path in tmp_path.iterdir() if path != folder] == ["g.safetensors"]


@pytest.mark.parametrize(
    "network, found",
    [
        (Resnet(down=True, up=True), "ResNet, width 4, 2 blocks, instance norm, antialiased down and up"),
        (Resnet(up=True), "ResNet, width 4, 2 blocks, instance norm, antialiased up"),
        (Resnet(kind="batch", dropout=True), "ResNet, width 4, 2 blocks, batch norm, dropout 0.5"),
        (Unet(2, 6, "instance"), "U-Net, width 2, depth 6, instance norm"),
    ],
)
def test_the_architecture_is_told(
    network: torch.nn.Module, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    first, second = said(capsys, "import", tmp_path / "latest_net_G.pth", tmp_path / "g.safetensors")
    assert first.startswith(f"{tmp_path / 'latest_net_G.pth'}: {found}, ")
    assert second == f"{tmp_path / 'g.safetensors'}: translates AtoB"


def test_other_commands_take_the_folder_as_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "photos", 1, size=16)
    assert said(capsys, "translate", folder, tmp_path / "photos", tmp_path / "out", "--direction", "BtoA") == [
        f"1 translated to {tmp_path / 'out'}"
    ]
    assert {"- direction: AtoB", "- direction: BtoA"} <= {*said(capsys, "show", folder)}
    (tmp_path / "exported").mkdir()
    told = said(capsys, "export", folder, tmp_path / "exported" / "g.safetensors")
    assert told[0] == f"{tmp_path / 'exported' / 'g.safetensors'}: translates AtoB"
    assert "imported from `horse`" in (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
