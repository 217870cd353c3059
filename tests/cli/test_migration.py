"""Command lines of pytorch-CycleGAN-and-pix2pix and of CUT are answered with ours."""

import re
import shlex
from pathlib import Path

import pytest

from cyclegan.cli import parse
from cyclegan.cli.migration import answer
from cyclegan.cli.their_options import TEST, TRAIN
from cyclegan.cli.train import Train
from tests.cli.test_cli import run_main

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text(encoding="utf-8")
RESIZE = "interpolation: 2, area_for_downscale: image"


def rows() -> list[tuple[str, str]]:
    """Each option of theirs in the page's table that has an equivalent, with ours."""
    table = PAGE.partition("## Training options")[2].partition("## Test options")[0]
    return re.findall(r"^\| `(--[^`]+)` \| `([^`]+)` \|", table, re.M)


@pytest.mark.parametrize("theirs, ours", rows())
def test_the_page_says_what_the_program_answers(theirs: str, ours: str) -> None:
    assert f"use: cyclegan train {ours}" in str(answer("train", shlex.split(theirs)))


@pytest.mark.parametrize("theirs, ours", rows())
def test_every_answer_is_a_command_that_the_program_takes(theirs: str, ours: str) -> None:
    kinds = ("cyclegan", "cut", "pix2pix")
    taken = []
    for kind in kinds:
        try:
            parse("train", [*(() if "--method.kind" in ours else ("--method.kind", kind)), *shlex.split(ours)])
            taken.append(kind)
        except (ValueError, FileNotFoundError) as error:
            assert re.search("Unrecognized options: --method|no such recipe", str(error))
    assert taken


def test_the_page_lists_every_option_that_is_known() -> None:
    assert {f"--{name}" for name in (*TRAIN, *TEST)} <= set(re.findall(r"--\w+", PAGE))


@pytest.mark.parametrize(
    "typed, told",
    [
        ("train --dataroot D", " is an option of pytorch-CycleGAN-and-pix2pix; use: cyclegan train --data.root D"),
        (
            "train --dataroot ./datasets/maps --name maps --model cycle_gan --netG unet_256",
            "--dataroot, --name, --model, --netG are options of pytorch-CycleGAN-and-pix2pix; use: cyclegan train"
            " --data.root ./datasets/maps --out runs/maps --method.kind cyclegan --method.generator.kind unet"
            " --method.generator.depth 8 --method.generator.norm instance --method.generator.dropout 0",
        ),
        (
            "train --dataroot datasets/facades --name f --model pix2pix --direction BtoA --netG unet_256",
            " --data.root datasets/facades --out runs/f --method.kind pix2pix --data.pairs side_by_side"
            " --method.direction BtoA --method.generator.kind unet --method.generator.depth 8\n",
        ),
        ("train --model cycle_gan --direction BtoA", "--direction: cyclegan learns both directions; choose one"),
        ("train experiments/maps_pix2pix.yaml --continue_train", "train experiments/maps_pix2pix.yaml --resume"),
        ("train --training.lr 1e-3 --lr_policy=cosine", "--training.lr 1e-3 --training.lr_schedule.shape cosine"),
        (
            "train --preprocess scale_width --load_size 300 --no_flip",
            f"--data.transforms '[{{LongestMaxSize: {{max_size_hw: [null, 300], {RESIZE}}}}}]'\n",
        ),
        ("train --gan_mode wgangp", "--gan_mode: wgangp is not offered; hinge with spectral norm also bounds"),
        ("train --input_nc 1 --output_nc 4", "use: cyclegan train --data.a.channels 1 --data.b.channels 4\n"),
        ("train --input_nc 1 --model pix2pix --direction BtoA", "train --data.b.channels 1 --method.kind pix2pix"),
        ("train --output_nc 1 --model cycle_gan --which_direction BtoA", "cyclegan train --data.a.channels 1 --method"),
        ("train --gpu_ids -1", "use: cyclegan train --speed.device cpu\n"),
        ("train --gpu_ids 0,1", "CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc-per-node 2 -m cyclegan train"),
        ("train --use_wandb --wandb_project_name zebras", "use: cyclegan train --log.wandb zebras\n"),
        ("train --num_test 50", "--num_test: only applies to cyclegan translate"),
        ("train --lambda_A 5 --lambda_identity 0.5", "train --method.cycle_a 5 --method.identity 2.5; --lambda"),
        ("train --n_epochs 50 --lr_policy step", "constant '0 epochs' --training.lr_schedule.decay '150 epochs'"),
        ("train --netG stylegan2", "--netG: stylegan2 is not offered"),
        ("train --CUT_mode FastCUT", "--method.kind fastcut --training.lr_schedule.constant '150 epochs' --training.l"),
        ("train --model cut --n_epochs 9", "constant '9 epochs' --training.lr_schedule.decay '200 epochs'\n"),
        ("train --n_epochs 100", "use: cyclegan train --training.lr_schedule.constant '100 epochs'\n"),
        ("train --norm batch --netG unet_256", "--method.generator.norm batch --method.discriminator.norm batch --me"),
        ("train --norm none --netG unet_256", "--method.discriminator.norm none --method.generator.kind unet"),
        ("train --model pix2pix --pool_size 0", "--data.pairs side_by_side; --pool_size: has no effect with"),
        ("train --CUT_mode foo", "--CUT_mode: foo is not offered"),
        ("test --dataroot D --name N --model pix2pix", "use: cyclegan evaluate runs/N --data D --pairs side_by_side\n"),
        ("train --netG", "--netG: this value is not offered"),
        ("test", "'test'; use: cyclegan translate runs/NAME DATA/testA results/NAME; for scores: cyclegan evaluate"),
        ("test --dataroot D --name N --direction BtoA", "cyclegan translate runs/N D/testB results/N --direction BtoA"),
        ("test --dataroot D/testA --name N --model test --no_dropout", "cyclegan translate runs/N D/testA results/N;"),
        ("translate --name N --num_test 5", "translate: --name, --num_test are options of"),
        ("evaluate --name N --dataroot D", "use: cyclegan evaluate runs/N --data D\n"),
    ],
)  # fmt: skip
def test_their_command_lines_are_answered_in_one_line(
    typed: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(*shlex.split(typed)) == 2
    captured = capsys.readouterr()
    assert told in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_a_checkpoint_folder_of_theirs_is_translated_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("checkpoints/zebras").mkdir(parents=True)
    assert run_main("test", "--name", "zebras", "--dataroot", "D") == 2
    assert "use: cyclegan translate checkpoints/zebras D/testA results/zebras" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "--dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --pool_size 50 --no_dropout",
        "--dataroot ./datasets/facades --name facades_pix2pix --model pix2pix --netG unet_256 --direction BtoA"
        " --lambda_L1 100 --dataset_mode aligned --norm batch --pool_size 0",
        "--dataroot ./datasets/grumpifycat --name grumpycat_CUT --CUT_mode CUT",
        "--dataroot ./datasets/grumpifycat --name grumpycat_FastCUT --CUT_mode FastCUT",
        "--dataroot D --model pix2pix --lambda_A 10 --nce_T 0.1 --netD pixel --norm none --lr_policy step",
        "--dataroot D --model cycle_gan --norm batch --netG unet_128 --netD n_layers --n_layers_D 4 --gan_mode wgangp",
    ],
)
def test_the_answer_to_a_line_of_their_scripts_is_a_command_that_the_program_takes(line: str) -> None:
    answered = re.search("use: cyclegan train ([^;]*)", str(answer("train", line.split())))
    assert answered and isinstance(parse("train", shlex.split(answered[1])), Train)


@pytest.mark.parametrize("words", ["train --training.lr few", "train --nmae x", "export --name x", "show"])
def test_other_mistakes_are_answered_as_ever(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(*words.split()) == 2
    assert "pix2pix" not in capsys.readouterr().err
