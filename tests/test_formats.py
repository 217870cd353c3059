"""Runs on pictures of any depth and any number of channels: trained, translated, and written in their own units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.checkpoint import read_newest
from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.config import DomainConfig
from cyclegan.data.convert import convert, values_of
from cyclegan.data.format import PictureFormat
from cyclegan.data.found import find_format
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.data.sources import Source
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.evaluate import evaluate_folders, evaluate_run
from cyclegan.inference.generator_file import read_generator, write_generator
from cyclegan.inference.model import open_model
from cyclegan.inference.translator import Translator
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.features import load_features
from cyclegan.networks.config import ResnetConfig, UnetConfig
from cyclegan.recipe import Recipe
from cyclegan.training.formats import known
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Channels, Direction
from tests.deep import FORMATS, GEO, waves, write_grey, write_slices, write_tiles
from tests.tiny import outputs, tiny_recipe, write_pictures

WRITE: dict[str, Callable[..., None]] = {"slices": write_slices, "tiles": write_tiles}
SUFFIX = {"slices": ".png", "tiles": ".tif"}


@pytest.fixture(scope="module", params=["slices", "tiles"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The kind of pictures, and a folder with a data set and a run of eight steps on it."""
    root, write = tmp_path_factory.mktemp(request.param), WRITE[request.param]
    for i, (domain, high) in enumerate((("A", 4000), ("B", 2000))):
        write(root / "data" / f"train{domain}", 5, high, seed=100 * i)
        write(root / "data" / f"test{domain}", 2, high, seed=100 * i + 50)
    train(tiny_recipe(root / "data"), root / "run")
    return request.param, root


def test_a_run_keeps_the_formats_that_it_found(trained: tuple[str, Path]) -> None:
    kind, root = trained
    a, b = read_newest(root / "run").recipe.data.formats.values()
    low = 0 if kind == "slices" else 200
    assert (a.range, b.range) == ((low, 4000), (low, 2000))
    assert (a.depth, a.channels, a.colour) == ("uint16", 1 if kind == "slices" else 4, "stored")
    assert a.view == ((1,) if kind == "slices" else (4, 3, 2)) and 0 < a.view_range[0] < a.view_range[1] < 4000


def test_translations_are_what_the_target_domain_is(trained: tuple[str, Path]) -> None:
    kind, root = trained
    translator = Translator.load(root / "run", "AtoB", device="cpu", precision="float32")
    translate_directory(translator, root / "data" / "testA", root / "out")
    for path in outputs(root / "out").values():
        values = read_picture(path).values
        assert (
            path.suffix == SUFFIX[kind] and values.dtype == np.uint16 and values.shape[2] == translator.target.channels
        )
        assert translator.target.range[0] <= values.min() < values.max() <= translator.target.range[1]
        expected = translator.translate_values(root / "data" / "testA" / path.name)
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("form", ["run", "exported"])
def test_a_model_carries_the_formats_of_its_pictures(form: str, trained: tuple[str, Path], tmp_path: Path) -> None:
    _, root = trained
    model = open_model(root / "run")
    if form == "exported":
        write_generator(model.generators[Direction.BtoA], Direction.BtoA, tmp_path / "g.safetensors", model.formats)
        model = open_model(tmp_path / "g.safetensors")
    assert model.formats == read_newest(root / "run").recipe.data.formats
    assert Translator.load(root / "run", "BtoA").target == model.formats["a"]


def test_an_exported_model_is_scored_on_pictures_of_its_formats(
    trained: tuple[str, Path], tmp_path: Path, weights: Path
) -> None:
    _, root = trained
    model, features = open_model(root / "run"), load_features("squeezenet1_1", weights)
    write_generator(model.generators[Direction.AtoB], Direction.AtoB, tmp_path / "g.safetensors", model.formats)
    scored = evaluate_run(tmp_path / "g.safetensors", features, data=root / "data", split="train", size=32)
    assert scored.scores[0].what == Direction.AtoB and scored.scores[0].images == 5
    assert scored.protocol["a_shown_as"] == model.formats["a"].shown


def test_a_resumed_run_takes_the_formats_of_its_checkpoint(trained: tuple[str, Path], tmp_path: Path) -> None:
    """Pictures that were added have other values; the networks have learned the old ones."""
    kind, root = trained
    recipe = tiny_recipe(root / "data", training={"lr_schedule": {"decay": "20 images"}})
    WRITE[kind](tmp_path / "more", 1, 65_535)
    added = root / "data" / "trainA" / f"more{SUFFIX[kind]}"
    (tmp_path / "more" / f"0{SUFFIX[kind]}").rename(added)
    try:
        trainer = Trainer(recipe, root / "run", resume=True)
    finally:
        added.unlink()
    assert trainer.recipe.data.formats == read_newest(root / "run").recipe.data.formats


def test_a_run_of_before_there_were_formats_resumes_without_a_word_about_them(tmp_path: Path) -> None:
    for domain in "AB":
        write_pictures(tmp_path / "data" / f"train{domain}", 3)
    recipe = tiny_recipe(tmp_path / "data")
    train(recipe, tmp_path / "run")
    saved = read_newest(tmp_path / "run")
    assert saved.recipe.data != recipe.data and known(replace(saved, recipe=recipe)).recipe == saved.recipe


ERRORS = {"floats": 2e-7}
"""The largest error of a value after a round trip, in units of the files; 0 for integers."""


@pytest.mark.parametrize("name", FORMATS)
def test_values_survive_a_round_trip_through_an_identity_generator(name: str) -> None:
    format_ = FORMATS[name]
    values = waves(1, *format_.range, channels=format_.channels)
    picture = FilePicture(values=values.astype(format_.depth), kind="rgb" if format_.space else "bands")
    translator = Translator(nn.Identity(), format_, format_, device="cpu", precision="float32")
    pixels = convert(picture, format_).pixels[None]
    back = values_of(translator.translate_pixels(pixels)[0], format_)
    assert back.dtype == format_.depth
    assert np.abs(back.astype(np.float64) - picture.values).max() <= ERRORS.get(name, 0)


@pytest.mark.parametrize("kind", ["slices", "tiles"])
def test_files_survive_a_round_trip_through_an_identity_generator(kind: str, tmp_path: Path) -> None:
    WRITE[kind](tmp_path / "in", 2)
    source = Source(tmp_path / "in")
    format_ = find_format(DomainConfig(), source, source.find())
    translator = Translator(nn.Identity(), format_, format_, device="cpu", precision="float32")
    for path in translate_directory(translator, tmp_path / "in", tmp_path / "out").translated:
        before, after = read_picture(path), read_picture(tmp_path / "out" / path.name)
        np.testing.assert_array_equal(before.values, after.values)
        assert {code: value for code, _, _, value in after.kept.tiff_tags} == (GEO if kind == "tiles" else {})


FROM_P3 = np.array([[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786361, 1.0982736]])
"""Linear sRGB of linear Display P3 (both have the white and the curve of sRGB)."""


def srgb_twin(p3: np.ndarray) -> np.ndarray:
    """The colours of a picture in Display P3, 8 bits, as sRGB; those that sRGB does not have are clipped."""
    shares = p3 / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ FROM_P3.T
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    twin: np.ndarray = (encoded * 255).round().astype(np.uint8)
    return twin


def test_a_picture_of_a_phone_and_its_twin_in_srgb_are_one(tmp_path: Path) -> None:
    """To 2 of 255: in a training batch, and in a translation."""
    twins = {name: tmp_path / name / "data" / "trainA" for name in ("p3", "srgb")}
    for path in write_pictures(twins["p3"], 3):
        pixels = np.asarray(Image.open(path))
        twin = srgb_twin(pixels)
        assert np.abs(pixels.astype(int) - twin).max() > 10  # the files do differ
        Image.fromarray(pixels).save(path, icc_profile=profile_of("display_p3"))
        twins["srgb"].mkdir(parents=True, exist_ok=True)
        Image.fromarray(twin).save(twins["srgb"] / path.name)
    seen: dict[str, tuple[Tensor, np.ndarray]] = {}
    for name, folder in twins.items():
        write_pictures(folder.with_name("trainB"), 3, seed=7)
        trainer = Trainer(tiny_recipe(folder.parent), tmp_path / name / "run")
        [batch] = trainer.loader.batches(0, 1)
        translator = Translator(nn.Identity(), device="cpu", precision="float32")
        translate_directory(translator, folder, tmp_path / name / "out")
        seen[name] = batch.a, np.asarray(Image.open(tmp_path / name / "out" / "0.png"))
    for one, other in zip(*seen.values(), strict=True):
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max() <= 2
    assert Image.open(tmp_path / "p3" / "out" / "0.png").info["icc_profile"] == profile_of("srgb")


def two_domains(root: Path) -> None:
    """Grey pictures in A, colour in B."""
    write_grey(root / "trainA", 4)
    write_pictures(root / "trainB", 4, seed=9)


def test_domains_may_differ_in_channels(tmp_path: Path) -> None:
    two_domains(tmp_path / "data")
    train(tiny_recipe(tmp_path / "data"), tmp_path / "run")
    model = open_model(tmp_path / "run")
    to_colour = model.generators[Direction.AtoB]
    assert (to_colour.inputs, to_colour.outputs) == (1, 3)
    grey = tmp_path / "data" / "trainA" / "0.png"
    assert Translator.load(tmp_path / "run", "AtoB", device="cpu").translate(grey).mode == "RGB"
    assert Translator.load(tmp_path / "run", "BtoA", device="cpu").translate(grey).mode == "L"


def test_there_is_no_identity_between_different_channels() -> None:
    method = CycleganConfig(generator=ResnetConfig(width=4, blocks=1)).build(Channels(1, 3))
    batch = Batch(torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32))
    assert not [name for name in method(batch) if name.startswith("identity")]
    assert "identity" not in method.samples(Direction.AtoB, batch, method.generators())
    assert method.remark == "method.identity: off, because A and B have 1 and 3 channels"


def test_a_method_with_one_encoder_makes_grey_and_colour_alike(tmp_path: Path) -> None:
    two_domains(tmp_path / "data")
    method = {"kind": "cut", "generator": {"kind": "resnet", "width": 4, "blocks": 1}, "head_width": 8, "patches": 8}
    trainer = Trainer(tiny_recipe(tmp_path / "data", method=method), tmp_path / "run")
    assert trainer.recipe.data.channels == (3, 3)
    grey = tiny_recipe(tmp_path / "data", method=method, data={"a": {"channels": 1}})
    with pytest.raises(ValueError, match=r"data\.a\.channels, data\.b\.channels: cut compares A with B, .*not 1 and 3"):
        Trainer(grey, tmp_path / "other")


@pytest.mark.parametrize("config", [ResnetConfig(width=4, blocks=1, skip=True), UnetConfig(width=4, depth=5)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 3), (4, 2), (13, 3)])
def test_a_generator_has_as_many_channels_as_its_domains(
    config: Any, inputs: int, outputs: int, tmp_path: Path
) -> None:
    network = config.build(inputs, outputs).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, inputs, 32, 32)).shape == (1, outputs, 32, 32)
    write_generator(network, Direction.AtoB, tmp_path / "g.safetensors")
    again = read_generator(tmp_path / "g.safetensors").network
    assert (again.inputs, again.outputs) == (inputs, outputs)


def test_a_generator_that_skips_starts_as_a_copy_of_the_mean_channel() -> None:
    network = ResnetConfig(width=4, blocks=1, skip=True).build(2, 3).eval()
    image = torch.rand(1, 2, 16, 16) * 2 - 1
    with torch.no_grad():
        expected = torch.tanh(torch.atanh(0.9 * image).mean(dim=1, keepdim=True)).expand(-1, 3, -1, -1)
        torch.testing.assert_close(network(image), expected)


def test_training_tells_what_it_clips_and_what_it_does_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for domain in "AB":
        write_slices(tmp_path / "data" / f"train{domain}", 4)
    (tmp_path / "data" / "trainB" / "x.nii.gz").write_bytes(b"?")
    train(tiny_recipe(tmp_path / "data", data={"a": {"range": [0, 1000]}}), tmp_path / "run")
    told = capsys.readouterr().err
    assert "trainA: 4 of 4 pictures have values outside 0 to 1000, which are clipped: 0.png, ...\n" in told
    assert "trainB: 1 file is not read: 1 NIfTI (.nii.gz), save their slices as .npy\n" in told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"view": [9]}, r"^data\.a\.view: give one or three of its 1 channel, not \[9\]"),
        ({"channels": 3, "view": [1, 2]}, r"^data\.a\.view: give one or three of its 3 channels"),
        ({"range": [9, 5]}, r"data\.a\.range: the first of \[9, 5\] must be lower than the second"),
        ({"view_range": [3, 3]}, r"data\.a\.view_range: the first of \[3, 3\]"),
    ],
)
def test_a_format_that_cannot_be_is_refused(settings: dict[str, Any], told: str, tmp_path: Path) -> None:
    for domain in "AB":
        write_slices(tmp_path / "data" / f"train{domain}", 2)
    with pytest.raises(ValueError, match=told):
        Trainer(tiny_recipe(tmp_path / "data", data={"a": settings}), tmp_path / "run")


def test_arrays_are_in_units_whatever_their_type() -> None:
    format_ = FORMATS["grey of 12 bits in 16"]
    translator = Translator(nn.Identity(), format_, format_, device="cpu", precision="float32")
    for kind in (np.uint8, np.uint16, np.int32, np.float64):
        assert translator.translate_values(np.full((8, 8), 100, kind)).flat[0] == 100


def test_a_difference_in_brightness_is_scored(tmp_path: Path, weights: Path) -> None:
    """Both folders are seen in the view of the real one."""
    for i, (name, high) in enumerate((("real", 4000), ("same", 4000), ("dark", 1000))):
        write_slices(tmp_path / name, 8, high, seed=10 * i)
    features = load_features("squeezenet1_1", weights)
    same, dark = (evaluate_folders(tmp_path / name, tmp_path / "real", features) for name in ("same", "dark"))
    assert dark.scores[0].figures["fid"].value > 2 * same.scores[0].figures["fid"].value
    assert same.protocol["shown_as"].startswith("grey, ")


def test_old_recipes_and_files_are_of_8_bit_colour(tmp_path: Path) -> None:
    assert Recipe().data.formats == {"a": PictureFormat(), "b": PictureFormat()}
    network = ResnetConfig(width=4, blocks=1).build()
    write_generator(network, Direction.AtoB, tmp_path / "g.safetensors")
    assert read_generator(tmp_path / "g.safetensors").formats == {"a": PictureFormat(), "b": PictureFormat()}
