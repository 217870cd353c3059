import io
import os
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.cli import COMMANDS, main, parse
from cyclegan.cli.others import Show
from cyclegan.cli.train import Train
from cyclegan.recipe import read_recipe, recipe_from, write_recipe
from cyclegan.training.trainer import train
from tests.patience import run as run_to_the_end
from tests.tiny import tiny_recipe, write_pictures

LONG = {"translate": 110, "stylize": 110}
"""Lines of the help of commands with many options, at most."""


def run_main(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    return int(done.value.code or 0)


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    train(tiny_recipe(data), tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option_with_meaning_and_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(command, "--help") == 0
    told = capsys.readouterr().out
    options = [line for line in told.splitlines() if line.startswith("│ --")]
    assert options or command in ("show",)
    assert told.count("(default") + told.count("(required") >= len(options) - 3 * (command == "evaluate")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_into_a_page_of_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_main(*command.split(), "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= LONG.get(command, 40) and max(map(len, lines)) <= 80


@pytest.mark.parametrize("kind", ["cyclegan", "cut", "fastcut", "pix2pix", "munit", "adain", "perceptual"])
def test_every_option_of_a_recipe_is_on_the_help_page_of_its_group(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_main("train", "--help", "--method.kind", kind) == 0
    groups = [line.split()[0] for line in capsys.readouterr().out.partition("GROUP lists")[2].splitlines()[1:]]
    recipe = recipe_from({"method": {"kind": kind}, **({"data": {"pairs": "stem"}} if kind == "pix2pix" else {})}, "")
    for group in groups:
        assert run_main("train", "--help", group, "--method.kind", kind) == 0
        page = capsys.readouterr().out
        part: object = recipe
        for name in group.split("."):
            part = getattr(part, name)
        assert part.__doc__ and part.__doc__.splitlines()[0] in page
        for name, value in vars(part).items():
            assert (f"│ --{group}.{name}" in page) != is_dataclass(value)
        assert "{None}" not in page and "{fixed}" not in page
        assert max(map(len, page.splitlines())) <= 80 and len(page.splitlines()) <= 40


@pytest.mark.parametrize(
    "words, expected",
    [
        ("--method.kind=cut", {"method": {"kind": "cut"}}),
        ("--method.kind cut --method.nce 2", {"method": {"kind": "cut", "nce": 2}}),
        (
            "--method.generator.kind unet --method.generator.depth 7 --method.cycle 5",
            {"method": {"kind": "cyclegan", "cycle": 5, "generator": {"kind": "unet", "depth": 7}}},
        ),
        (
            "--method.kind fastcut --method.direction BtoA --method.discriminator.kind pixel",
            {"method": {"kind": "fastcut", "direction": "BtoA", "discriminator": {"kind": "pixel"}}},
        ),
        ("--training.ema none --log.wandb null", {}),
        (
            "--training.players {discriminators:_{lr:_0.1}}",
            {"training": {"players": {"discriminators": {"lr": 0.1}}}},
        ),
        (
            "--data.transforms [{HorizontalFlip:_{p:_1}}] --log.feature_maps [0,_3]",
            {"data": {"transforms": [{"HorizontalFlip": {"p": 1}}]}, "log": {"feature_maps": [0, 3]}},
        ),
        ("--training.betas 0.5 0.9 --training.seed 3", {"training": {"betas": [0.5, 0.9], "seed": 3}}),
    ],
)
def test_any_value_of_a_recipe_can_be_given_on_the_command_line(words: str, expected: dict[str, object]) -> None:
    parsed = parse(
        "train", [word.replace("_{", " {").replace(":_", ": ").replace(",_", ", ") for word in words.split()]
    )
    assert isinstance(parsed, Train) and parsed.settings == recipe_from(expected, "expected")


def test_the_kind_of_the_recipe_keeps_its_values_and_another_has_its_own(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method: {kind: cyclegan, cycle: 3, generator: {kind: resnet, blocks: 6}}", encoding="utf-8")
    kept, changed = (parse("train", [str(recipe), "--method.kind", kind]) for kind in ("cyclegan", "cut"))
    assert isinstance(kept, Train) and kept.settings == read_recipe(recipe)
    assert isinstance(changed, Train) and changed.settings == recipe_from({"method": {"kind": "cut"}}, "expected")


def test_help_needs_no_torch() -> None:
    code = (
        "import sys, cyclegan.cli\n"
        "try: cyclegan.cli.main(['train', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules, file=sys.stderr)"
    )
    assert run_to_the_end([sys.executable, "-c", code]).stderr == "False\n"


@pytest.mark.parametrize(
    "asked, told",
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_that_wait_soon_leave_their_core_to_others_unless_asked_otherwise(
    asked: dict[str, str], told: str
) -> None:
    code = (
        "import os, sys, cyclegan.cli\n"
        "try: cyclegan.cli.main(['--version'])\n"
        "except SystemExit: print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules, file=sys.stderr)"
    )
    others = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    assert run_to_the_end([sys.executable, "-c", code], others | asked).stderr == f"{told} False\n"


def test_a_character_that_the_output_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output to a file has the old code page on Windows, and ASCII under LANG=C."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(Show, "run", lambda command: sys.stdout.write(f"Grüße {command.model}\n") * 0)
    assert run_main("show", "猫") == 0
    output.seek(0)
    assert output.read() == "Gr\\xfc\\xdfe \\u732b\n"


@pytest.mark.parametrize("words", ["", "--help", "-h", "help", "help nothing"])
def test_without_words_it_says_what_it_can(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(*words.split()) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in COMMANDS)


@pytest.mark.parametrize(
    "words, told",
    [
        ("trian", "no command 'trian'; did you mean train?"),
        ("train nowhere.yaml", "nowhere.yaml: no such recipe"),
        ("train nowhere", "nowhere: no such recipe"),
        ("train --out nowhere.yaml --data.root nothing", "nothing/trainA: no such folder"),
        ("train --training.btach_size 3", "did you mean --training.batch_size?"),
        ("train --training.batch_size few", "train: --training.batch_size: expected a whole number, not 'few'"),
        ("train --training.batch_size 0", "training.batch_size: input should be greater than 0"),
        ("train --data.root nowhere", "nowhere"),
        ("translate nowhere in out", "nowhere: no such run folder"),
        ("translate nowhere in out --direction AtoC", "--direction"),
        (
            "translate nowhere",
            "translate: SOURCE, OUT are missing; usage: cyclegan translate [OPTIONS] MODEL SOURCE OUT",
        ),
        ("report", "report: RUN is missing; usage: cyclegan report RUN [--pictures N]"),
        (
            "train experiments",
            "experiments: is a folder, not a recipe; to train on its pictures, use --data.root experiments",
        ),
        ("train --batch-size=4", "train: no option --batch-size; did you mean --training.batch_size?"),
        ("train --epochs 5", "train: no option --epochs; did you mean --training.lr_schedule.constant?"),
        ("train --method cut", "train: no option --method; did you mean --method.kind?"),
        ("translate nowhere in out --size some", "--size: expected a whole number, not 'some'"),
        ("translate nowhere in out --direction atob", "expected AtoB or BtoA, not 'atob'; did you mean AtoB?"),
        ("train --training.lr_schedule.shape cosin", "or plateau, not 'cosin'; did you mean cosine?"),
        (
            "train --method.kind cutt",
            "--method.kind: expected one of cyclegan, cut, fastcut, pix2pix, munit, adain, perceptual, not 'cutt'",
        ),
        ("train --method.kind cut --method.generator.kind vit", "expected one of resnet, unet, not 'vit'"),
        ("train --method.kind cut --method.cycle 5", "Unrecognized options: --method.cycle"),
        ("train --training.players {a:{lr:1}", "--training.players: not valid YAML: "),
        ("train --training.players {a:{rate:5}}", "--training.players: a.'rate:5': unexpected"),
        ("train --log.feature_maps [0,x]", "--log.feature_maps: 1: input should be a valid integer"),
        ("train --data.transforms 5", "--data.transforms: the value: input should be a valid tuple"),
        ("train --method.no_cycle", "Unrecognized options: --method.no_cycle"),
        ("train --help nowhere", "no group 'nowhere'; the groups are data, data.a, data.b, method, "),
        ("translate nowhere in out --size 0", "--size: must be at least 1"),
        ("export nowhere g.pth", "the name must end in one of .safetensors, .onnx"),
        ("import nowhere g.pth", "the name must end in .safetensors"),
        ("import nowhere g.safetensors", "nowhere: no such run folder"),
        ("show nowhere", "nowhere: no such run folder"),
        ("fetch zebra", "did you mean horse2zebra?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(*words.split()) == 2
    captured = capsys.readouterr()
    assert told in captured.err and captured.err.count("\n") == 1
    assert captured.err.startswith("cyclegan: ") and not captured.out


def test_help_and_version_are_commands_too(capsys: pytest.CaptureFixture[str]) -> None:
    for one, other in (("help show", "show --help"), ("version", "--version")):
        assert run_main(*one.split()) == 0
        told = capsys.readouterr().out
        assert run_main(*other.split()) == 0
        assert told and told == capsys.readouterr().out


def test_the_recipe_is_what_stands_alone_and_not_what_ends_in_yaml(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(tiny_recipe(data), tmp_path / "recipe")
    write_recipe(tiny_recipe(data, training={"lr_schedule": {"constant": "99 images"}}), tmp_path / "other.yaml")
    assert run_main("train", "--data.root", tmp_path / "other.yaml", tmp_path / "recipe") == 2
    assert f"{tmp_path / 'other.yaml'}/trainA" in capsys.readouterr().err
    parsed = parse("train", ["--out", str(tmp_path / "other.yaml"), str(tmp_path / "recipe")])
    assert isinstance(parsed, Train) and parsed.settings == tiny_recipe(data)


def test_a_mistaken_transform_is_told_with_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mistaken.yaml").write_text("data: {transforms: [Resize: {height: 0, width: 3}]}", encoding="utf-8")
    assert run_main("train", tmp_path / "mistaken.yaml") == 2
    told = (
        f"cyclegan: {tmp_path}/mistaken.yaml: data.transforms.0.Resize.height: input should be greater than or equal to"
    )
    assert capsys.readouterr().err.startswith(told)


def test_numbers_on_the_line_change_the_recipe(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recipe(tiny_recipe(data), tmp_path / "tiny.yaml")
    out = tmp_path / "run"
    assert (
        run_main(
            "train",
            tmp_path / "tiny.yaml",
            "--out",
            out,
            "--training.lr_schedule.decay",
            "2 images",
            "--method.cycle",
            "7",
        )
        == 0
    )
    assert f"cyclegan translate {out}" in capsys.readouterr().out
    assert run_main("show", out) == 0
    told = capsys.readouterr().out
    assert "images: 6" in told and "cycle: 7.0" in told and "a_to_b: " in told


def test_resume_of_an_absent_run_starts_it(data: Path, tmp_path: Path) -> None:
    write_recipe(tiny_recipe(data), tmp_path / "tiny.yaml")
    assert run_main("train", tmp_path / "tiny.yaml", "--out", tmp_path / "run", "--resume") == 0


def test_a_run_that_exists_is_refused(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recipe(tiny_recipe(data), run.parent / "tiny.yaml")
    assert run_main("train", run.parent / "tiny.yaml", "--out", run) == 2
    assert "--resume" in capsys.readouterr().err


def test_translate_exits_with_3_and_lists_what_it_could_not_read(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "in", 3)
    (tmp_path / "in" / "1.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "in" / os.fsdecode(b"two\nlines, \xff.png")).write_text("no picture", encoding="utf-8")
    assert run_main("translate", run, tmp_path / "in", tmp_path / "out", "--direction", "BtoA") == 3
    captured = capsys.readouterr()
    assert "2 translated" in captured.out and "1.png" in captured.err and r"two\nlines, \xff.png" in captured.err
    lines = [line for line in captured.err.splitlines() if not line.startswith("translating: ")]  # on a slow machine
    assert len(lines) == 2 and captured.err.encode()


def test_export_then_translate(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("export", run, tmp_path / "g.safetensors", "--direction", "BtoA") == 0
    assert run_main("show", tmp_path / "g.safetensors") == 0
    assert "direction: BtoA" in capsys.readouterr().out
    assert run_main("translate", tmp_path / "g.safetensors", data / "testB" / "0.png", tmp_path / "out") == 0
    assert Image.open(tmp_path / "out" / "0.png").size == (40, 40)
