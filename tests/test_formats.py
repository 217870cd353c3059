"""Pictures of any depth and any number of channels: read, trained on, translated, and written in their own units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.checkpoint import read_newest
from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.config import DataConfig, DomainConfig
from cyclegan.data.convert import Converted, convert, normalised, values_of
from cyclegan.data.enlarge import enlarging
from cyclegan.data.format import PictureFormat
from cyclegan.data.found import find_format
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.data.sources import Source
from cyclegan.data.transforms import Augment
from cyclegan.data.write import Output, encoded
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
from tests.pictures import dicom
from tests.tiny import outputs, tiny_recipe, write_pictures

GEO = {33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0)}
"""Tags that place a picture on the Earth: metres a pixel, and where its first pixel is."""


def waves(seed: int, low: float, high: float, channels: int = 1, size: int = 40) -> np.ndarray:
    """A smooth random picture (H, W, C) with values from `low` to `high`, both included."""
    coarse = np.random.default_rng(seed).random((5, 5, channels)).astype(np.float32)
    fine = [np.asarray(Image.fromarray(band).resize((size, size))) for band in np.moveaxis(coarse, 2, 0)]
    field: np.ndarray = np.stack(fine, axis=2)
    spread: np.ndarray = low + (field - field.min()) / (field.max() - field.min()) * (high - low)
    return spread


def write_slices(folder: Path, number: int, high: int = 4095, seed: int = 0) -> None:
    """Grey slices of 12 bits, in PNG files of 16 bits."""
    folder.mkdir(parents=True)
    for i in range(number):
        values = waves(seed + i, 0, high).round().astype(np.uint16)
        Image.fromarray(values[..., 0]).save(folder / f"{i}.png")


def write_tiles(folder: Path, number: int, high: int = 9000, seed: int = 0) -> None:
    """Tiles of four bands, in GeoTIFF."""
    folder.mkdir(parents=True)
    tags = [(code, 12, len(numbers), numbers, True) for code, numbers in GEO.items()]
    for i in range(number):
        values = waves(seed + i, 200, high, channels=4).round().astype(np.uint16)
        tifffile.imwrite(folder / f"{i}.tif", values, photometric="minisblack", planarconfig="contig", extratags=tags)


def write_grey(folder: Path, number: int, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    for i in range(number):
        Image.fromarray(waves(seed + i, 0, 255)[..., 0].astype(np.uint8)).save(folder / f"{i}.png")


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


FORMATS = {
    "8 bits": PictureFormat(),
    "grey of 12 bits in 16": PictureFormat(channels=1, depth="uint16", range=(0, 4095), colour="stored", view=(1,)),
    "Hounsfield units": PictureFormat(channels=1, depth="int16", range=(-1024, 3071), colour="stored", view=(1,)),
    "seven bands": PictureFormat(channels=7, depth="uint16", range=(0, 10_000), colour="stored", view=(4, 3, 2)),
    "colour of 16 bits": PictureFormat(depth="uint16", range=(0, 65_535)),
    "floats": PictureFormat(channels=2, depth="float32", range=(-0.5, 1.5), colour="stored", view=(1,)),
}
ERRORS = {"floats": 2e-7}
"""The largest error of a value after a round trip, in units of the files; 0 for integers."""


@pytest.mark.parametrize("name", FORMATS)
def test_values_survive_a_round_trip_through_an_identity_generator(name: str) -> None:
    format_ = FORMATS[name]
    values = waves(1, *format_.range, channels=format_.channels)
    picture = FilePicture(values=values.astype(format_.depth), kind="rgb" if format_.space else "bands")
    translator = Translator(nn.Identity(), format_, format_, device="cpu", precision="float32")
    pixels = torch.tensor(convert(picture, format_).pixels).permute(2, 0, 1)[None]
    back = values_of(translator.translate_pixels(pixels)[0].permute(1, 2, 0).numpy(), format_)
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


def test_what_is_beyond_the_range_is_clipped_and_told(tmp_path: Path) -> None:
    write_slices(tmp_path / "in", 2)
    format_ = FORMATS["grey of 12 bits in 16"]
    translator = Translator(
        nn.Identity(), replace(format_, range=(0, 1000)), format_, device="cpu", precision="float32"
    )
    notes: list[str] = []
    translate_directory(translator, tmp_path / "in", tmp_path / "out", note=notes.append)
    told = "2 pictures have values outside the 0 to 1000 of the training, which were clipped"
    assert notes == [f"{told}: {tmp_path}/in/0.png, ..."]


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


def test_many_bands_are_scaled_cropped_and_enlarged() -> None:
    pixels = np.random.default_rng(0).random((40, 60, 13), np.float32)
    augment = DataConfig(size=16).build()
    made, _ = enlarging(partial(augment, key=0), augment.prepare(pixels))
    assert made.shape == (16, 16, 13) and 0 <= made.min() < made.max() <= 1
    larger, enlarged = enlarging(Augment([{"CenterCrop": {"height": 80, "width": 80}}]).prepare, pixels)
    assert enlarged and larger.shape == (80, 80, 13)


@pytest.mark.parametrize("space", ["srgb", "adobe_rgb"])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_2000_of_16_bits_keeps_values_and_profile(space: Any, channels: int, tmp_path: Path) -> None:
    values = waves(3, 0, 65_535, channels).astype(np.uint16)
    (tmp_path / "x.jp2").write_bytes(encoded(values, tmp_path / "x.jp2", space=space))
    np.testing.assert_array_equal(read_picture(tmp_path / "x.jp2").values, values)


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}, {}])
def test_what_describes_the_layout_of_a_tiff_is_not_kept(options: dict[str, Any], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", waves(1, 0, 4000).astype(np.uint16)[..., 0], software="another", **options)
    picture = read_picture(tmp_path / "x.tif")
    (tmp_path / "y.tif").write_bytes(encoded(picture.values, tmp_path / "y.tif", kept=picture.kept))
    with tifffile.TiffFile(tmp_path / "y.tif") as written:
        assert not (written.is_ome or written.is_imagej or written.is_shaped)
        assert 305 not in written.pages.first.tags


def test_pixels_that_are_not_a_number_have_no_data(tmp_path: Path) -> None:
    values = waves(1, 0, 1).astype(np.float32)
    values[3, 4] = np.nan
    np.save(tmp_path / "x.npy", values)
    format_ = replace(FORMATS["floats"], channels=1)
    translator = Translator(nn.Identity(), format_, format_, device="cpu", precision="float32")
    translate_directory(translator, tmp_path / "x.npy", tmp_path / "out")
    np.testing.assert_array_equal(np.isnan(np.load(tmp_path / "out" / "x.npy")), np.isnan(values[..., 0]))


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


def test_a_view_may_be_set_before_the_channels_are_known(tmp_path: Path) -> None:
    write_tiles(tmp_path / "tiles", 1)
    source = Source(tmp_path / "tiles")
    config = DomainConfig(view=(3, 2, 1))
    assert config.format.channels == 3 and find_format(config, source, source.find()).view == (3, 2, 1)


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


GREY = FilePicture(values=np.full((2, 2, 1), 100, np.uint8), kind="grey")
COLOUR = FilePicture(values=np.full((2, 2, 3), (200, 100, 0), np.uint8), kind="rgb")
BANDS = FilePicture(values=np.arange(16, dtype=np.uint8).reshape(2, 2, 4), kind="bands")


def pixel(converted: Converted) -> list[float]:
    return [float(value) for value in converted.pixels[0, 0]]


def test_grey_and_colour_become_each_other() -> None:
    assert pixel(convert(GREY, PictureFormat())) == [100, 100, 100]
    assert pixel(convert(COLOUR, PictureFormat.of(1))) == [118]  # 0.299 x 200 + 0.587 x 100


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_bands_become_nothing_else(channels: int) -> None:
    with pytest.raises(ValueError, match=f"it has 4 channels, not the {channels} of its domain"):
        convert(BANDS, PictureFormat.of(channels))


def test_colour_with_more_bands_is_colour_where_that_is_wanted() -> None:
    assert pixel(convert(replace(BANDS, begins_with_rgb=True), PictureFormat())) == [0, 1, 2]


def test_parts_without_data_are_the_lowest_value() -> None:
    hole = replace(GREY, missing=np.array([[True, False], [False, False]]))
    assert convert(hole, replace(PictureFormat.of(1), depth="float32", range=(-5, 105))).pixels[..., 0].tolist() == [
        [0, pytest.approx(105 / 110)],
        [pytest.approx(105 / 110)] * 2,
    ]


def test_a_view_takes_three_bands_and_stretches_them() -> None:
    format_ = PictureFormat(channels=4, range=(0, 200), view=(4, 3, 2), view_range=(50, 150), colour="stored")
    images = normalised(torch.tensor([0.0, 0.25, 0.5, 0.75]).view(1, 4, 1, 1))  # 0, 50, 100, 150
    assert format_.as_rgb(images).flatten().tolist() == [1, 0, -1]
    assert format_.shown == "bands 4, 3, 2 as RGB, 50 to 150"


def write_float(path: Path, values: Any, **options: Any) -> None:
    tifffile.imwrite(path, np.asarray(values), metadata=None, **options)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (DomainConfig(), (-100.0, 1000.0)),
        (DomainConfig(range=(0, 500)), (0.0, 500.0)),
        (DomainConfig(range="percentiles"), (0.0, 10.0)),
    ],
)
def test_a_range_is_that_of_the_folder_unless_it_is_set(config: DomainConfig, expected: Any, tmp_path: Path) -> None:
    """One value in a thousand is odd: the percentiles leave it out."""
    values = np.tile(np.linspace(0, 10, 5000, dtype=np.float32), 4)
    values[:2] = -100, 1000
    write_float(tmp_path / "x.tif", values.reshape(100, 200))
    source = Source(tmp_path)
    found = find_format(config, source, source.find())
    assert found.depth == "float32" and found.range == pytest.approx(expected, abs=0.05)


def test_what_files_say_should_be_shown_is_shown(tmp_path: Path) -> None:
    """A slice in Hounsfield units, with the window for soft tissue: the range is that of its values."""
    values = np.linspace(-1000, 2000, 64, dtype=np.int16).reshape(8, 8)
    dicom(values, WindowCenter="40", WindowWidth="400")(tmp_path / "x.dcm")
    source = Source(tmp_path)
    found = find_format(DomainConfig(), source, source.find())
    assert (found.depth, found.range) == ("int16", (-1000, 2000))
    assert found.view_range == pytest.approx((-160, 240), abs=1)


def test_a_folder_of_grey_files_and_one_in_colour_is_in_colour(tmp_path: Path) -> None:
    write_grey(tmp_path / "grey", 3)
    write_pictures(tmp_path / "more", 1)
    source = Source(tmp_path)
    assert find_format(DomainConfig(), source, source.find()) == PictureFormat()


def test_a_folder_of_several_numbers_of_bands_is_refused_by_name(tmp_path: Path) -> None:
    write_tiles(tmp_path / "tiles", 3)
    tifffile.imwrite(tmp_path / "tiles" / "odd.tif", np.zeros((8, 8, 7), np.uint16), planarconfig="contig")
    source = Source(tmp_path / "tiles")
    with pytest.raises(ValueError, match=r"tiles: its pictures differ in channels: odd\.tif has 7, most have 4"):
        find_format(DomainConfig(), source, source.find())


def test_old_recipes_and_files_are_of_8_bit_colour(tmp_path: Path) -> None:
    assert Recipe().data.formats == {"a": PictureFormat(), "b": PictureFormat()}
    network = ResnetConfig(width=4, blocks=1).build()
    write_generator(network, Direction.AtoB, tmp_path / "g.safetensors")
    assert read_generator(tmp_path / "g.safetensors").formats == {"a": PictureFormat(), "b": PictureFormat()}


def test_transparency_and_metadata_of_the_source_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    pixels = np.dstack([np.full((8, 12, 3), 99, np.uint8), np.tile(np.arange(0, 240, 20).astype(np.uint8), (8, 1))])
    Image.fromarray(pixels).save(tmp_path / "in" / "x.png", exif=exif, dpi=(300, 300))
    translator = Translator(nn.Identity(), device="cpu", precision="float32")
    for name, strip in (("kept", False), ("stripped", True)):
        translate_directory(translator, tmp_path / "in", tmp_path / name, output=Output(strip=strip))
        with Image.open(tmp_path / name / "x.png") as image:
            assert image.size == (8, 12) and image.mode == "RGBA"
            np.testing.assert_array_equal(np.asarray(image)[..., 3], np.rot90(pixels[..., 3], -1))
            made = image.getexif()
            assert (made.get(0x010F), made.get(0x0112, 1)) == (None if strip else "maker", 1)
            assert (round(image.info.get("dpi", (0, 0))[0]) == 300) is not strip


@pytest.mark.parametrize(
    ("format_", "told"),
    [
        ("jpg", r"--output_format: \.jpg does not store 4 channels, uint16.*; \.tif does"),
        ("xyz", "expected one of .*, not xyz"),
    ],
)
def test_an_output_format_that_cannot_store_the_translations_is_refused(
    format_: str, told: str, trained: tuple[str, Path], tmp_path: Path
) -> None:
    kind, root = trained
    if kind == "slices":
        pytest.skip("the message about tiles")

    with pytest.raises(ValueError, match=told):
        translate_directory(
            Translator.load(root / "run"), root / "data" / "testA", tmp_path / "out", output=Output(format=format_)
        )


def test_two_sources_of_one_output_are_refused(tmp_path: Path) -> None:

    (tmp_path / "in").mkdir()
    for suffix in ("png", "jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / f"x.{suffix}")
    translator = Translator(nn.Identity(), device="cpu", precision="float32")
    with pytest.raises(ValueError, match=r"x\.jpg and x\.png would both be written to x\.webp; rename one of them"):
        translate_directory(translator, tmp_path / "in", tmp_path / "out", output=Output(format="webp"))


def test_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1)
    for name in ("a.DNG", "b.svg", "notes.txt", "Thumbs.db"):
        (tmp_path / "in" / name).write_bytes(b"?")
    translator, notes = Translator(nn.Identity(), device="cpu", precision="float32"), list[str]()
    translate_directory(translator, tmp_path / "in", tmp_path / "out", note=notes.append)
    assert notes == [
        f"{tmp_path}/in: 2 files are not read: 1 Adobe raw (.dng), develop them to TIFF; "
        "1 drawing (.svg), export them as PNG or TIFF"
    ]
    with pytest.raises(ValueError, match=r"a\.DNG: Adobe raw is not read; develop them to TIFF"):
        translate_directory(translator, tmp_path / "in" / "a.DNG", tmp_path / "out")
