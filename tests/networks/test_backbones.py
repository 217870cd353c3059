"""Frozen networks give the layers one asks for, pass gradients on, and stay out of what is saved."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from cyclegan.networks.backbones import (
    MEAN,
    NORMALISED,
    STD,
    VGG,
    Backbone,
    build_network,
    equalise,
    load_backbone,
    vgg_names,
)


def random_backbone(name: str) -> Backbone:
    torch.manual_seed(0)
    return Backbone(name, "", build_network(name))


def images(size: int = 48) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_layers_are_those_of_torchvision() -> None:
    backbone = random_backbone("vgg11")
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    x, by_hand = (images() + 1) / 2, list[Tensor]()
    x = (x - mean) / std
    features = backbone.network.get_submodule("features")
    assert isinstance(features, nn.Sequential)
    for module in features[:9]:
        x = module(x)
        by_hand.append(x)
    found = backbone(images(), ["conv1_1", "relu2_1", "features.8"])
    for layer, place in zip(found, (0, 4, 8), strict=True):
        assert torch.equal(layer, by_hand[place])


@pytest.mark.parametrize("name", VGG)
def test_every_name_of_the_literature_is_the_module_it_says(name: str) -> None:
    with torch.device("meta"):
        network = build_network(name)
    kinds = {"conv": nn.Conv2d, "relu": nn.ReLU, "pool": nn.MaxPool2d}
    names = vgg_names(name)
    assert all(isinstance(network.get_submodule(place), kinds[layer[:4]]) for layer, place in names.items())
    assert len(names) == len([*network.get_submodule("features").children()])


def test_gradients_flow_to_the_images_and_not_to_the_weights() -> None:
    backbone, given = random_backbone("squeezenet1_1"), images().requires_grad_()
    (gradient,) = torch.autograd.grad(backbone(given, ["features.3"])[0].square().mean(), given)
    assert gradient.abs().sum() > 0
    assert all(not weights.requires_grad for weights in backbone.network.parameters())


def test_it_is_no_part_of_what_a_method_trains_and_saves() -> None:
    backbone = random_backbone("squeezenet1_1")
    method = nn.Sequential(nn.Conv2d(3, 3, 1), backbone)
    assert len([*method.parameters()]) == 2 and len(method.state_dict()) == 2
    method.load_state_dict(copy.deepcopy(method.state_dict()))
    method.train()
    assert not any(module.training for module in backbone.network.modules())


def test_it_moves_with_the_method() -> None:
    method = nn.Sequential(random_backbone("squeezenet1_1"))
    assert method[0](images(), ["features.1"])[0].dtype == torch.float32
    assert method.double()[0](images().double(), ["features.1"])[0].dtype == torch.float64


def test_a_layer_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"vgg11 has no layer relu9_9; it has conv1_1, .*, and others") as caught:
        random_backbone("vgg11")(images(), ["relu1_1", "relu9_9"])
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"squeezenet1_1 has no layer features.99;"):
        random_backbone("squeezenet1_1")(images(), ["features.3", "features.99"])


def test_average_pooling_changes_what_follows_a_pooling(weights: Path) -> None:
    maximum, average = (load_backbone("squeezenet1_1", weights, pooling=how) for how in ("max", "average"))
    before, after = (backbone(images(), ["features.1", "features.3"]) for backbone in (maximum, average))
    assert torch.equal(before[0], after[0]) and before[1].shape == after[1].shape
    assert not torch.allclose(before[1], after[1])
    assert average.name.startswith("squeezenet1_1, average pooling (")


def test_any_classifier_of_torchvision_is_read_by_layer_names(tmp_path: Path) -> None:
    network = get_model("resnet18", weights=None)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    backbone = load_backbone("resnet18", tmp_path / "net.pth")
    assert [layer.shape[1] for layer in backbone(images(), ["relu", "layer2.0.relu", "layer3"])] == [64, 128, 256]


def test_other_weights_are_refused_in_one_line(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the weights of vgg19") as caught:
        load_backbone("vgg19", weights)
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="no such file of weights"):
        load_backbone("vgg19", tmp_path / "none.pth")
    with pytest.raises(ValueError, match=f"--method.weights: {NORMALISED} has no address"):
        load_backbone(NORMALISED, option="--method.weights")


def test_a_normalised_vgg_has_mean_activations_of_one_and_the_same_output() -> None:
    backbone, pictures = random_backbone("vgg11"), [images(), images(64)]
    layers = ["relu1_1", "relu3_2", "relu5_1"]
    before = backbone(images(), layers)
    equalise(backbone, pictures)
    for layer in layers:
        means = torch.cat([backbone(each, [layer])[0].mean(dim=(2, 3)) for each in pictures]).mean(dim=0)
        alive = means > 1e-3  # a channel that is never active has no mean to scale
        torch.testing.assert_close(means[alive], torch.ones_like(means[alive]), rtol=1e-3, atol=0)
    for old, new in zip(before, backbone(images(), layers), strict=True):
        scale = new.amax(dim=(0, 2, 3), keepdim=True) / old.amax(dim=(0, 2, 3), keepdim=True).clamp(min=1e-12)
        torch.testing.assert_close(new, old * scale, rtol=1e-3, atol=1e-3)
    assert backbone.name == "vgg11, normalised"
    with pytest.raises(ValueError, match="only a VGG"):
        equalise(random_backbone("squeezenet1_1"), [images()])


def test_the_file_of_the_adain_authors_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    twin, convolutions = build_network("vgg19"), [nn.Conv2d(3, 3, 1)]
    convolutions += [module for module in twin.modules() if isinstance(module, nn.Conv2d)]
    state = {
        f"{3 * i}.{name}": weights for i, each in enumerate(convolutions) for name, weights in each.state_dict().items()
    }
    torch.save(state, tmp_path / "vgg_normalised.pth")
    backbone = load_backbone(NORMALISED, tmp_path / "vgg_normalised.pth")
    (found,) = backbone(images(32), ["relu1_2"])
    x = convolutions[0]((images(32) + 1) / 2)
    expected = convolutions[2](convolutions[1](x).relu()).relu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
