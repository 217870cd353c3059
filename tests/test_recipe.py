import sys
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
import yaml

from cyclegan.data.config import DataConfig
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.networks.config import ResnetConfig
from cyclegan.recipe import Recipe, images_in, read_recipe, recipe_from, write_recipe
from tests.patience import run

EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*.yaml"))


def test_naming_the_method_alone_is_the_reference(tmp_path: Path) -> None:
    (tmp_path / "reference.yaml").write_text("method: {kind: cyclegan}\n", encoding="utf-8")
    recipe = read_recipe(tmp_path / "reference.yaml")
    assert recipe == Recipe()
    method, training = recipe.method, recipe.training
    assert isinstance(method, CycleganConfig) and isinstance(method.generator, ResnetConfig)
    assert (method.generator.width, method.generator.blocks, method.discriminator.width) == (64, 9, 64)
    assert (method.gan, method.cycle, method.identity, method.pool) == ("lsgan", 10, 5, 50)
    assert (training.batch_size, training.lr, training.betas, training.grad_clip) == (1, 2e-4, (0.5, 0.999), 0)
    assert (training.lr_schedule.constant, training.lr_schedule.decay, training.ema) == (
        "100 epochs",
        "100 epochs",
        None,
    )


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_recipe_of_experiments_is_valid(path: Path) -> None:
    read_recipe(path).data.build()


def test_a_written_recipe_reads_back_unchanged(tmp_path: Path) -> None:
    changed = {"training": {"ema": "500 images"}, "method": {"kind": "cut", "discriminator": {"kind": "pixel"}}}
    recipe = recipe_from(changed, "test")
    write_recipe(recipe, tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    "text, told",
    [
        ("method: {kind: cyclegan, cylce: 5}", "method.cylce: no such key; did you mean 'cycle'?"),
        ("traning: {batch_size: 2}", "traning: no such key; did you mean 'training'?"),
        (
            "method: {kind: cut, discriminator: {kind: patchgan, dept: 2}}",
            "method.discriminator.dept: no such key; did you mean",
        ),
        ("method: {kind: cyclegan, discriminator: {width: 2}}", "method.discriminator: its kind is missing"),
        ("method: {nce: 2}", "method: its kind is missing"),
        (
            "method: {kind: cyclogan}",
            "method.kind: 'cyclogan' is not one of 'cyclegan', 'cut', 'fastcut', 'pix2pix', 'munit', 'adain', "
            "'perceptual'; did you mean 'cyclegan'?",
        ),
        ("training: {batch_size: many}", "training.batch_size: input should be a valid integer"),
        ("training: {batch_size: 0}", "training.batch_size: input should be greater than 0 (got 0)"),
        (
            "training: {lr_schedule: {constant: 100}}",
            "training.lr_schedule.constant: input should be a valid string (got 100)",
        ),
        (
            "training: {lr_schedule: {constant: 100 steps}}",
            "training.lr_schedule.constant: '100 steps' is not a duration; write '100 epochs' or",
        ),
        ("training: 3", "training: expected keys and values, not 3"),
        ("- a\n- b", "the recipe: expected keys and values"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mistaken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: {told}") and "\n" not in str(caught.value)


def test_on_and_off_need_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("speed: {compile: off, graph: on}", encoding="utf-8")
    speed = read_recipe(tmp_path / "recipe.yaml").speed
    assert (speed.compile, speed.graph) == ("off", "on")


def test_a_missing_recipe_says_where_others_are() -> None:
    with pytest.raises(FileNotFoundError, match="experiments/ holds some"):
        read_recipe("nowhere.yaml")


def test_yaml_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text(f"data: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'touched'}]", encoding="utf-8")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_recipe(path)
    assert not (tmp_path / "touched").exists()


def test_spans_count_images_or_epochs() -> None:
    assert [images_in(span, epoch=1334) for span in ("500 images", "1 epoch", "2 epochs")] == [500, 1334, 2668]


def test_reading_a_recipe_imports_no_torch() -> None:
    code = (
        "import sys, cyclegan.cli; print({'torch', 'albumentations', 'kornia', 'huggingface_hub'} & set(sys.modules))"
    )
    assert run([sys.executable, "-c", code]).stdout == "set()\n"


def test_the_dump_is_plain_yaml() -> None:
    assert yaml.safe_load(yaml.safe_dump(Recipe().to_dict())) == Recipe().to_dict()


def test_paths_in_a_recipe_have_the_slashes_that_every_system_reads() -> None:
    place: Any = PureWindowsPath(r"C:\pictures\horses")
    recipe = replace(Recipe(), data=DataConfig(root=place), features=FeaturesConfig(weights=place))
    told = recipe.to_dict()
    assert told["data"]["root"] == told["features"]["weights"] == "C:/pictures/horses"
