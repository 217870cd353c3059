"""What a run shows of itself is true, is read back from its event file, and changes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor, nn

from cyclegan.data.overlay import FAKE, MOST, REAL, overlaid
from cyclegan.machine.device import Arithmetic
from cyclegan.networks.base import Critic
from cyclegan.recipe import Recipe, read_recipe
from cyclegan.training.charts import charts
from cyclegan.training.grids import FRAME, GUTTER, channels, grid, header
from cyclegan.training.observer import Observer, flat
from cyclegan.training.samples import looking
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Direction, Scores
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import assert_equal, events, everything

NETWORKS = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps that shows all it can."""
    root = tmp_path_factory.mktemp("observed")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 4, seed=seed)
    shown = {"histograms_every": "4 images", "feature_maps": [0, 2], "graph": True}
    shown |= {"scalars_every": "2 images", "samples_every": "4 images", "samples": 2, "checkpoint_every": "4 images"}
    train(tiny_recipe(root / "data", log=shown), root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def seen(run: Path) -> EventAccumulator:
    return events(run)


def test_every_number_has_its_tag(seen: EventAccumulator) -> None:
    losses = {f"loss/{kind}_{x}" for kind in ("gan", "cycle", "identity", "discriminator") for x in "ab"}
    scores = {f"score/{kind}_{x}" for kind in ("real", "fake", "right") for x in "ab"}
    grad_norms = {f"training/grad_norm_{name}" for name in NETWORKS}
    training = {f"training/{x}" for x in ("lr", "images_per_second", "memory_gib")}
    assert set(seen.Tags()["scalars"]) == losses | scores | grad_norms | training
    assert [e.step for e in seen.Scalars("loss/gan_a")] == [2, 4, 6, 8]


def test_numbers_are_in_their_ranges(seen: EventAccumulator) -> None:
    assert all(0 <= event.value <= 1 for x in "ab" for event in seen.Scalars(f"score/right_{x}"))
    assert all(event.value > 0 for name in NETWORKS for event in seen.Scalars(f"training/grad_norm_{name}"))
    assert all(0.05 < event.value < 100 for event in seen.Scalars("training/memory_gib"))


def test_twins_share_a_chart(seen: EventAccumulator) -> None:
    tensor = seen.Tensors("custom_scalars__config__")[-1]
    layout = Layout.FromString(tensor.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["Losses", "Discriminators", "Training"]
    shared = {chart.title: list(chart.multiline.tag) for category in layout.category for chart in category.chart}
    assert shared["GAN loss"] == ["loss/gan_a$", "loss/gan_b$"]
    assert shared["gradient norm, generators, L2"] == [f"training/grad_norm_{x}$" for x in ("a_to_b", "b_to_a")]
    assert shared["learning rate"] == ["training/lr$"] and shared["peak memory, GiB"] == ["training/memory_gib$"]


def test_every_chart_of_the_layout_shows_its_own_tags_and_no_others(seen: EventAccumulator) -> None:
    layout = Layout.FromString(seen.Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0])
    tags = seen.Tags()["scalars"]
    for pattern in [tag for category in layout.category for chart in category.chart for tag in chart.multiline.tag]:
        assert [tag for tag in tags if re.match(pattern, tag)] == [pattern.removesuffix("$")]


def test_tensorboard_orders_losses_and_samples_before_everything_else(seen: EventAccumulator) -> None:
    """Its dashboard Time Series sorts all tags, and opens the first two groups."""
    tags = seen.Tags()["scalars"] + seen.Tags()["images"] + seen.Tags()["histograms"]
    groups = sorted({tag.partition("/")[0] for tag in tags})
    assert groups == ["loss", "samples", "score", "stages", "training", "weights", "weights_grad"]


def test_charts_come_in_the_order_of_groups_and_lose_no_tag() -> None:
    both = ["validation/kid_AtoB", "validation/kid_BtoA"]
    shown = charts(["training/lr", "loss/nce", "loss/gan_b", "loss/gan_a", "mine/own", "validation/kid", *both])
    assert [(one.group, one.heading, one.tags) for one in shown] == [
        ("Losses", "NCE loss", {"loss/nce": ""}),
        ("Losses", "GAN loss", {"loss/gan_a": "A", "loss/gan_b": "B"}),
        ("Validation scores", "KID", {"validation/kid": "mean"} | dict(zip(both, ("AtoB", "BtoA"), strict=True))),
        ("Training", "learning rate", {"training/lr": ""}),
        ("mine", "own", {"mine/own": ""}),
    ]


def test_the_mean_over_one_direction_is_not_drawn() -> None:
    [shown] = charts(["validation/kid", "validation/kid_AtoB"])
    assert shown.tags == {"validation/kid_AtoB": "AtoB"}


def test_histograms_show_weights_and_gradients_of_every_layer(seen: EventAccumulator, run: Path) -> None:
    trainer = Trainer(read_recipe(run / "recipe.yaml"), run, resume=True)
    names = {name for name, _ in trainer.learner.method.named_parameters()}
    assert set(seen.Tags()["histograms"]) == {
        f"{kind}/{name}" for kind in ("weights", "weights_grad") for name in names
    }
    last = seen.Histograms("weights/a_to_b.head.weight")[-1]
    assert last.step == 8
    weight = trainer.learner.method.state_dict()["a_to_b.head.weight"]
    assert last.histogram_value.sum == pytest.approx(float(weight.sum()), abs=1e-5)


def test_pictures_show_samples_objections_and_feature_maps(seen: EventAccumulator) -> None:
    expected = {f"samples/{way}{what}" for what in ("", "_patches") for way in ("AtoB", "BtoA")}
    expected |= {f"stages/{way}/{stage}" for stage in (0, 2) for way in ("AtoB", "BtoA")}
    assert set(seen.Tags()["images"]) == expected
    assert [e.step for e in seen.Images("samples/AtoB_patches")] == [1, 4, 8]


def test_the_recipe_and_where_the_run_comes_from_are_there_as_text(seen: EventAccumulator) -> None:
    [recipe] = seen.Tensors("recipe/text_summary")
    assert b"histograms_every: 4 images" in recipe.tensor_proto.string_val[0]
    [provenance] = seen.Tensors("provenance/text_summary")
    told = provenance.tensor_proto.string_val[0].decode()
    assert f"| torch | {torch.__version__.partition('+')[0]}" in told and "| device | " in told


def test_settings_stand_in_the_table_of_hyperparameters(seen: EventAccumulator) -> None:
    about = seen.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    settings = HParamsPluginData.FromString(about).session_start_info.hparams
    assert settings["method.cycle"].number_value == 10
    assert settings["training.lr_schedule.constant"].string_value == "4 images"
    assert "_hparams_/experiment" not in seen.summary_metadata  # it would announce scores, and this run has none


def test_the_table_of_hyperparameters_has_a_column_for_each_score_that_the_run_will_have(data: Path) -> None:
    def metrics(**changes: Any) -> list[str]:
        recipe = tiny_recipe(data, **changes)
        learner = SimpleNamespace(generators=dict.fromkeys(recipe.method.directions))
        return Observer._scored(cast(Observer, SimpleNamespace(recipe=recipe, learner=learner)))

    scored = {"evaluate_every": "2 images"}
    assert metrics() == []
    assert {"validation/kid", "validation/fid_BtoA", "test/kid_AtoB"} <= {*metrics(log=scored)}
    assert (
        "validation/kid_AtoB" in (one := metrics(log=scored, method={"kind": "cut"}))
        and "validation/kid_BtoA" not in one
    )
    shutil.rmtree(data / "testB")
    assert not any(tag.startswith("test/") for tag in metrics(log=scored))


def test_the_graph_is_there_when_asked_for(seen: EventAccumulator) -> None:
    assert seen.Tags()["graph"]


def test_settings_are_flat_and_plain(recipe: Recipe) -> None:
    settings = dict(flat(recipe.to_dict()))
    assert settings["method.generator.width"] == 4 and settings["training.ema"] == "null"
    assert all(isinstance(value, bool | int | float | str) for value in settings.values())


def test_showing_everything_changes_nothing(data: Path, tmp_path: Path) -> None:
    dropout: dict[str, Any] = {"generator": {"kind": "resnet", "width": 4, "blocks": 1, "dropout": 0.5}}
    often = dict.fromkeys(("scalars_every", "samples_every", "histograms_every"), "1 images")
    never = {"scalars_every": "0 images", "samples_every": "0 images", "histograms_every": None, "samples": 0}
    train(tiny_recipe(data, method=dropout, log=often), tmp_path / "often")
    train(tiny_recipe(data, method=dropout, log=never), tmp_path / "never")
    assert_equal(everything(tmp_path / "often"), everything(tmp_path / "never"))


def test_gradient_norms_are_those_of_the_networks(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    move = trainer.learner.step(next(trainer.loader.batches(0, 1)))
    assert len(move.grad_norms) == 4
    for name, norm in move.grad_norms.items():
        squares = [
            p.grad.square().sum() for p in trainer.learner.method.get_submodule(name).parameters() if p.grad is not None
        ]
        torch.testing.assert_close(norm, torch.stack(squares).sum().sqrt())


def test_a_stage_that_is_not_there_is_refused_before_the_first_step(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, log={"feature_maps": [0, 99]})
    with pytest.raises(ValueError, match=r"log\.feature_maps: the generators have stages 0 to 5, not 99"):
        train(recipe, tmp_path / "run")


def test_objections_are_coloured_on_either_side_of_the_boundary_and_grey_between() -> None:
    leaning = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    shown = overlaid(-torch.ones(1, 3, 2, 30), leaning)[0, :, 0]
    black, fake, real = -torch.ones(3), torch.tensor(FAKE) / 127.5 - 1, torch.tensor(REAL) / 127.5 - 1
    torch.testing.assert_close(shown[:, 0], torch.lerp(black, fake, MOST))
    torch.testing.assert_close(shown[:, -1], torch.lerp(black, real, MOST))
    assert (shown[:, 14:16] + 1).max() < 0.1


@pytest.mark.parametrize("width", [28, 32, 96, 256])
def test_a_grid_names_its_columns(width: int) -> None:
    names = ["real", "fake", "cycle", "identity"]
    strip = (header(names, width) * 127.5 + 127.5).round()[0]
    bright = (strip > 100).any(dim=0).nonzero().flatten().tolist()
    found = {(x - GUTTER) // (width + GUTTER) for x in bright}
    assert found == {0, 1, 2, 3} and strip.shape[1] == GUTTER + 4 * (width + GUTTER)
    assert all((x - GUTTER) % (width + GUTTER) < width for x in bright)  # nothing between the columns: no overlap


def test_a_grid_is_dark_around_pictures_and_keeps_their_shape() -> None:
    white = torch.ones(2, 3, 16, 24)
    shown = grid({"real": white, "fake": white})
    frame = FRAME / 127.5 - 1
    strip = shown.shape[1] - 2 * (16 + GUTTER) - GUTTER
    assert strip > 0 and shown.shape[2] == 2 * (24 + GUTTER) + GUTTER
    torch.testing.assert_close(shown[:, :, :GUTTER], torch.full_like(shown[:, :, :GUTTER], frame))
    pictures = shown[:, strip + GUTTER : strip + GUTTER + 16]
    assert (pictures == 1).sum() == 3 * 16 * 2 * 24


def test_a_constant_channel_is_shown_and_not_divided_by_nothing() -> None:
    assert channels(torch.ones(3, 4, 4)).isfinite().all()


class Planted(Critic):
    """Finds white real and everything else fake."""

    conditional = False

    def forward(self, x: Tensor) -> Scores:
        return ((x.mean(dim=1, keepdim=True) > 0.99).float(),)


def test_critics_are_right_as_often_as_they_are(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the real patches are white, no fake is: right in 3 of 4."""
    trainer = Trainer(recipe, tmp_path / "run")
    with trainer.log:
        trainer._prepare()
        monkeypatch.setattr(trainer.learner.method, "critics", lambda: {Direction.AtoB: Planted()})
        white = torch.ones(1, 3, 8, 8)
        white[..., 4:] = 0
        scores = dict(trainer.observer._scores(Batch(torch.zeros(1, 3, 8, 8), white)))
    assert scores["score/real_b"] == 0.5 and scores["score/fake_b"] == 0 and scores["score/right_b"] == 0.75


class Divided(Planted):
    """Sees one scale as `Planted` does, and finds all real at another of fewer patches."""

    def forward(self, x: Tensor) -> Scores:
        return (*super().forward(x), torch.ones(len(x), 1, 2, 2))


def test_each_scale_of_a_critic_counts_alike(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    with trainer.log:
        trainer._prepare()
        monkeypatch.setattr(trainer.learner.method, "critics", lambda: {Direction.AtoB: Divided()})
        scores = dict(trainer.observer._scores(Batch(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))))
    assert scores["score/real_b"] == scores["score/fake_b"] == scores["score/right_b"] == 0.5


def test_networks_are_left_as_they_were_looked_at() -> None:
    learning, done = nn.Dropout(), nn.Dropout().eval()
    with pytest.raises(RuntimeError), looking([learning, done], Arithmetic(torch.device("cpu"), "float32")):
        assert not learning.training and not torch.is_grad_enabled()
        raise RuntimeError
    assert learning.training and not done.training and torch.is_grad_enabled()


def test_numbers_that_are_not_finite_are_no_histogram_and_no_picture(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    with trainer.log as log:
        log.histogram("weights/x", torch.tensor([1.0, np.nan]), 1)
        assert not log.picture("samples/x", torch.full((3, 2, 2), np.inf), 1)
    assert not set(events(tmp_path / "run").Tags()["histograms"]) | set(events(tmp_path / "run").Tags()["images"])
