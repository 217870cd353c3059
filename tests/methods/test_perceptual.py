"""Perceptual losses: targets that are means over training, losses that fall, one picture of a style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cyclegan.checkpoint import read_newest
from cyclegan.cli import main
from cyclegan.inference.model import open_model
from cyclegan.losses.style import gram
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.config import PerceptualConfig
from cyclegan.methods.perceptual import Perceptual
from cyclegan.methods.running_mean import RunningMean
from cyclegan.networks.config import BackboneConfig, ResnetConfig
from cyclegan.recipe import Recipe, TrainingConfig, write_recipe
from cyclegan.training.learner import Learner
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Channels, Direction
from tests.tiny import outputs, tiny_recipe, write_pictures
from tests.training.halves import resumed_bit_for_bit

TINY = ResnetConfig(width=4, blocks=1)


def built(weights: Path, **changes: Any) -> Perceptual:
    torch.manual_seed(0)
    backbone = BackboneConfig(network="squeezenet1_1", weights=weights)
    method = PerceptualConfig(generator=TINY, backbone=backbone, **changes).build()
    method.load_backbone()
    return method


def batch(seed: int, n: int = 2) -> Batch:
    random = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, n, 3, 32, 32, generator=random) * 2 - 1
    return Batch(a, b)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five contents and one picture of a style, without tests."""
    write_pictures(tmp_path / "data" / "trainA", 5)
    write_pictures(tmp_path / "data" / "trainB", 1, seed=1)
    return tmp_path / "data"


@pytest.fixture
def recipe(data: Path, weights: Path) -> Recipe:
    return recipe_of(data, weights)


def recipe_of(data: Path, weights: Path, **changes: Any) -> Recipe:
    method = {
        "kind": "perceptual",
        "generator": {"kind": "resnet", "width": 4, "blocks": 1},
        "backbone": {"network": "squeezenet1_1", "weights": str(weights)},
    }
    sections: dict[str, Any] = {"method": method} | changes
    return tiny_recipe(data, **sections)


def test_targets_are_the_mean_gram_matrices_of_all_crops(weights: Path) -> None:
    method, batches = built(weights), [batch(seed) for seed in range(3)]
    for each in batches:
        images = method(each)
    assert method.backbone
    layers = method.backbone(torch.cat([each.b for each in batches]), method.layers.style)
    for number, layer in enumerate(layers):
        torch.testing.assert_close(images[f"style_{number}"], gram(layer).mean(dim=0, keepdim=True))
    [content] = method.backbone(torch.cat([each.a for each in batches]), [method.layers.content])
    torch.testing.assert_close(images["content_power"], content.square().mean())
    assert method.targets.count == 6


def test_at_rest_targets_do_not_change(weights: Path) -> None:
    method = built(weights)
    method.targets.rests = True
    first = method(batch(0))
    assert method.targets.count == 0 and not method.targets.mean.numel()  # until there are others, those of the batch
    method.targets.rests = False
    torch.testing.assert_close(method(batch(0))["style_1"], first["style_1"])
    before = method.targets.mean.clone()
    method.targets.rests = True
    other = method(batch(1))
    assert torch.equal(method.targets.mean, before) and torch.equal(other["style_1"], first["style_1"])


def test_a_vector_that_is_not_finite_does_not_count() -> None:
    mean, bad = RunningMean(), torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [3.0, torch.inf]])
    assert torch.equal(mean(bad[1:]), torch.zeros(2)) and mean.count == 0
    assert torch.equal(mean(bad), torch.tensor([1.0, 2.0])) and mean.count == 1


def test_every_process_has_the_mean_of_all() -> None:
    method = PerceptualConfig(generator=TINY).build()
    own, others = torch.rand(2, 3), torch.rand(2, 3)
    mean, gathered = method.targets, list[Tensor]()

    def gather(sums: Tensor) -> tuple[Tensor, slice]:
        gathered.append(sums)
        theirs = torch.cat([others.sum(dim=0), torch.tensor([2.0])])
        return torch.cat([sums, theirs[None]]), slice(0, 1)

    method.share(gather, None)
    torch.testing.assert_close(mean(own), torch.cat([own, others]).mean(dim=0))
    assert mean.count == 4
    mean.rests = True
    mean(own)
    assert len(gathered) == 1  # no exchange


def test_losses_are_shares_of_the_mean_square_of_their_targets(weights: Path) -> None:
    method, given = built(weights, content=3.0, style=2.0), batch(0)
    images = method(given)
    assert method.backbone
    content, *layers = method.backbone(images["fake"], [method.layers.content, *method.layers.style])
    [wanted] = method.backbone(given.a, [method.layers.content])
    losses = method.generator_loss(given, images)
    torch.testing.assert_close(losses["content"], 3 * (content - wanted).square().mean() / wanted.square().mean())
    targets = [images[f"style_{number}"] for number in range(4)]
    shares = [(gram(x) - y).square().mean() / y.square().mean() for x, y in zip(layers, targets, strict=True)]
    torch.testing.assert_close(losses["style"], 2 * torch.stack(shares).mean())


def test_a_copy_has_no_content_loss_and_the_style_itself_no_style_loss(weights: Path) -> None:
    method, given = built(weights), batch(0, n=1)
    images = method(given)
    copy = method.generator_loss(given, images | {"fake": given.a})
    assert copy["content"] == 0 and copy["style"] > 1e-4
    style = method.generator_loss(given, images | {"fake": given.b})
    assert style["style"] < 1e-10 and style["content"] > 1e-4


def test_the_style_loss_falls_when_the_style_is_approached(weights: Path) -> None:
    method, given = built(weights), batch(0, n=1)
    images = method(given)
    on_the_way = [torch.cat([given.b[:, :, :rows], given.a[:, :, rows:]], dim=2) for rows in (0, 16, 28, 32)]
    found = [float(method.generator_loss(given, images | {"fake": fake})["style"]) for fake in on_the_way]
    assert found == sorted(found, reverse=True)


def test_training_lowers_the_loss(weights: Path) -> None:
    method, given = built(weights, content=0.1), batch(0)
    [player] = method.players
    optimizer = PlayerOptimizer(player, TrainingConfig(lr=1e-2))
    autocast = Arithmetic(torch.device("cpu"), "float32")
    found = list[float]()
    for _ in range(10):
        losses = optimizer.step(optimizer.differentiate(given, method(given), autocast)).losses
        found.append(float(sum(losses.values())))
    assert found[-1] < 0.8 * found[0]


def test_gram_matrices_and_losses_are_float32_in_bf16(weights: Path) -> None:
    method, given = built(weights), batch(0)
    method.targets.rests = True
    plain = method.generator_loss(given, method(given))
    with Arithmetic(torch.device("cpu"), "bf16"):
        images = method(given)
        losses = method.generator_loss(given, images)
    assert {tensor.dtype for tensor in (*losses.values(), images["style_0"])} == {torch.float32}
    for name, loss in losses.items():
        torch.testing.assert_close(loss, plain[name], rtol=0.1, atol=1e-3, msg=name)


def test_without_its_backbone_it_says_what_is_missing() -> None:
    with pytest.raises(AssertionError, match="load_backbone has not been called"):
        PerceptualConfig(generator=TINY).build()(batch(0))


def test_the_backbone_is_not_in_what_is_saved(weights: Path) -> None:
    names = {name.partition(".")[0] for name in built(weights).state_dict()}
    assert names == {"generator", "targets"}


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"network": "resnet50"}, "method.content_layer and style_layers: say which for resnet50; they are known for"),
        ({"network": "resnet50", "content": "layer1"}, "method.style_layers: say which for resnet50"),
    ],
)
def test_layers_of_an_unknown_network_must_be_chosen(changes: dict[str, str], told: str) -> None:
    config = PerceptualConfig(backbone=BackboneConfig(network=changes["network"]), content_layer=changes.get("content"))
    with pytest.raises(ValueError, match=told):
        config.build()


def test_layers_that_the_network_does_not_have_are_told_when_it_is_loaded(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"^method\.content_layer, method\.style_layers: .* no layer features\.99"):
        built(weights, style_layers=("features.1", "features.99"))


def test_pictures_must_have_three_channels() -> None:
    with pytest.raises(ValueError, match=r"three channels, but A and B have 1 and 3 channels"):
        PerceptualConfig().build(Channels(1, 3))


def test_resume_continues_bit_for_bit(recipe: Recipe, tmp_path: Path) -> None:
    saved = resumed_bit_for_bit(recipe, tmp_path)
    assert saved.method["targets.count"] == 8


def test_speed_trials_do_not_count(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    learner, pixels = trainer.learner, next(trainer.loader.batches(0, 1))
    with learner.at_rest():
        learner.probe(pixels)
    targets = learner.method.get_submodule("targets")
    assert isinstance(targets, RunningMean) and targets.count == 0 and not targets.rests


def test_one_picture_of_a_style_is_enough(
    recipe: Recipe, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_recipe(recipe, tmp_path / "recipe.yaml")
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")])
    told = capfd.readouterr().err
    assert "5 + 1 pictures" in told and "times as many" not in told
    saved = read_newest(tmp_path / "run")
    assert (saved.images, saved.epoch) == (8, 5)
    assert (tmp_path / "run" / "samples" / "0000000008_AtoB.png").is_file()
    assert saved.method["targets.count"] == 8


def test_its_model_translates_without_the_backbone(recipe: Recipe, data: Path, weights: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.pth"
    moved.write_bytes(weights.read_bytes())
    train(recipe_of(data, moved), tmp_path / "run")
    moved.unlink()
    assert [*open_model(tmp_path / "run").generators] == [Direction.AtoB]
    with pytest.raises(SystemExit, match="0"):
        main(["translate", str(tmp_path / "run"), str(data / "trainA"), str(tmp_path / "out")])
    assert len(outputs(tmp_path / "out")) == 5


def test_scores_on_one_picture_of_a_style_are_refused(data: Path, weights: Path, tmp_path: Path) -> None:
    write_pictures(data / "trainA", 60)
    recipe = recipe_of(data, weights, log={"evaluate_every": "2 images"})
    with pytest.raises(ValueError, match=r"trainB: has 1 picture, too few to hold out .* log\.evaluate_every to null"):
        Trainer(recipe, tmp_path / "run")


def test_a_learner_loads_the_backbone(recipe: Recipe) -> None:
    learner = Learner(recipe, torch.device("cpu"), epoch=5)
    assert isinstance(learner.method, Perceptual) and learner.method.backbone
    assert learner.method.backbone.name.startswith("squeezenet1_1")
