"""What the check says about pictures that are no plain 8-bit colours, and the recipes that fit them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cyclegan.check.check import check
from cyclegan.check.finding import Finding
from cyclegan.check.first_recipe import first_recipe
from cyclegan.check.page import write_check
from cyclegan.check.result import Result
from cyclegan.check.text import as_text
from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.format import PictureFormat
from cyclegan.recipe import read_recipe, recipe_from
from cyclegan.training.trainer import train
from tests.check.conftest import fill, natural
from tests.deep import GEO, waves, write_slices, write_tiles
from tests.pictures import dicom

LETTERS = "AB"


def checked(root: Path) -> tuple[Result, dict[str, Finding]]:
    result = check(root, device="cpu").result
    return result, {each.kind: each for each in result.findings}


def two_domains(root: Path, write: Callable[[Path, int], object], number: int = 5) -> Path:
    """Files 0, 1, ... in trainA and trainB, each written by its path without a suffix and its seed."""
    for first, letter in enumerate(LETTERS):
        folder = root / f"train{letter}"
        folder.mkdir(parents=True)
        for i in range(number):
            write(folder / f"{letter}{i}", 100 * first + i)
    return root


def test_transparent_parts_are_noted_and_opaque_alpha_is_not(root: Path) -> None:
    clear, opaque = natural(1).convert("RGBA"), natural(2).convert("RGBA")
    clear.putpixel((3, 3), (0, 0, 0, 0))
    clear.save(root / "trainA" / "clear.png")
    opaque.save(root / "trainA" / "opaque.png")
    result, found = checked(root)
    assert found["transparent"].text == "trainA: 1 picture with transparent parts"
    assert [example.told for example in found["transparent"].examples] == ["trainA/clear.png"]
    assert result.folders[0].transparent == 1


def test_profiles_count_if_they_change_colours_and_cmyk_is_colour_too(root: Path) -> None:
    for i, space in enumerate(("display_p3", "srgb")):
        natural(10 + i).save(root / "trainA" / f"{space}.png", icc_profile=profile_of(space))
    natural(12).convert("CMYK").save(root / "trainA" / "print.jpg")
    result, found = checked(root)
    folder = result.folders[0]
    assert (folder.converted, folder.kinds, folder.channels) == (2, {"rgb": 8, "cmyk": 1}, {"3": 9})
    assert "when read:      2 converted to sRGB" in as_text(result) and "channels" not in found


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_turned_pictures_are_told_upright(suffix: str, root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    natural(20, 64, 48).save(root / "trainA" / f"phone{suffix}", exif=exif)
    facts = check(root, device="cpu").folders[0]
    row = facts.rows[[facts.path(i).stem for i in range(len(facts.rows))].index("phone")]
    assert (row["width"], row["height"]) == (48, 64)
    assert "when read:      1 turned upright" in as_text(checked(root)[0])


def test_files_of_another_depth_are_shown(root: Path) -> None:
    Image.fromarray(np.asarray(natural(30).convert("L")).astype(np.uint16) * 16).save(root / "trainB" / "deep.png")
    result, found = checked(root)
    assert found["depths"].text == "trainB: files have values of different types: 6 uint8, 1 uint16"
    assert [example.told for example in found["depths"].examples] == ["trainB/deep.png"]
    assert "values:" not in as_text(result).partition("trainB")[2].partition("testA")[0]


def test_tiles_of_bands_are_cropped_and_not_scaled(tmp_path: Path) -> None:
    for i, letter in enumerate(LETTERS):
        write_tiles(tmp_path / f"train{letter}", 4, seed=100 * i)
    suggested = {each.key: each.value for each in checked(tmp_path)[0].suggestions}
    assert suggested["data.transforms"][0] == {"RandomCrop": {"height": 64, "width": 64}}
    assert "data.fit" not in suggested and suggested["data.a.view"] == [4, 3, 2]
    assert suggested["data.a.range"] == [200, 9000]


def test_parts_without_data_are_noted_and_left_out_of_the_values(tmp_path: Path) -> None:
    def write(path: Path, seed: int) -> None:
        values = waves(seed, 200, 3000, channels=4).round().astype(np.int16)
        values[:4] = -9999
        tags = [(code, 12, len(numbers), numbers, True) for code, numbers in GEO.items()]
        nodata = (42113, "s", 0, "-9999", True)
        options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
        tifffile.imwrite(path.with_suffix(".tif"), values, extratags=[*tags, nodata], **options)

    result, found = checked(two_domains(tmp_path, write))
    assert found["holed"].text == "trainB: 5 pictures with pixels without data"
    assert result.folders[0].holed == 5 and result.folders[0].lowest == 200


def test_floats_get_the_range_of_the_folder(tmp_path: Path) -> None:
    def write(path: Path, seed: int) -> None:
        tifffile.imwrite(path.with_suffix(".tif"), waves(seed, -0.25, 1.5)[..., 0], metadata=None)

    result, _ = checked(two_domains(tmp_path, write))
    suggested = {each.key: each.value for each in result.suggestions}
    assert suggested["data.a.depth"] == "float32" and suggested["data.a.range"] == [-0.25, 1.5]
    assert result.folders[0].depths == {"float32": 5} and "-0.25 to 1.5" in as_text(result)


def test_slices_of_a_scanner_keep_their_units_and_are_shown_by_their_window(tmp_path: Path) -> None:
    def write(path: Path, seed: int) -> None:
        stored = waves(seed, 0, 3000)[..., 0].round().astype(np.int16)
        window = {"WindowCenter": 40, "WindowWidth": 401, "RescaleIntercept": -1024, "RescaleSlope": 1}
        dicom(stored, Modality="CT", **window)(path)  # scanners write no suffix

    result, found = checked(two_domains(tmp_path, write))
    suggested = {each.key: each.value for each in result.suggestions}
    assert result.folders[0].kinds == {"grey": 5} and "not_read" not in found
    assert suggested["data.a.range"] == [-1024, 1976] and suggested["data.a.view_range"] == [-160.5, 239.5]


def test_grey_of_twelve_bits_is_noted_because_its_range_is_found_anyway(tmp_path: Path) -> None:
    for i, letter in enumerate(LETTERS):
        write_slices(tmp_path / f"train{letter}", 4, high=4000, seed=100 * i)
    result, found = checked(tmp_path)
    assert (found["range"].level, found["range"].text[6:]) == ("note", ": the values have 12 bits, stored in 16")
    assert {each.key: each.value for each in result.suggestions}["data.a.range"] == [0, 4095]


def test_files_that_are_not_read_are_told_by_kind_and_sidecars_are_quiet(root: Path, tmp_path: Path) -> None:
    for name in ("a.DNG", "b.dng", "c.svg", "Thumbs.db", "notes.txt"):
        (root / "trainA" / name).write_bytes(b"?")
    result, found = checked(root)
    told = "2 Adobe raw (.dng), develop them to TIFF; 1 drawing (.svg), export them as PNG or TIFF"
    assert found["not_read"].text == f"trainA: 3 files are not read: {told}"
    assert sorted(result.folders[0].not_read.values()) == [1, 2, 2] and result.folders[0].not_read["sidecar"] == 2
    assert "sidecar" not in as_text(result)
    assert "Thumbs" not in write_check(check(root, quick=True), tmp_path / "x.html").read_text(encoding="utf-8")


def test_pairs_in_one_file_are_told_once_what_is_not_read(tmp_path: Path) -> None:
    fill(tmp_path / "train", 3, lambda seed: natural(seed, 128, 64))
    (tmp_path / "train" / "x.psd").touch()
    told = [each for each in check(tmp_path, device="cpu").result.findings if each.kind == "not_read"]
    assert len(told) == 1


@pytest.mark.parametrize("write", [write_slices, write_tiles])
def test_the_first_recipe_for_other_formats_trains(write: Callable[..., None], tmp_path: Path) -> None:
    for i, (letter, high) in enumerate(zip(LETTERS, (4000, 2000), strict=True)):
        write(tmp_path / "set" / f"train{letter}", 3, high, seed=100 * i)
    (tmp_path / "mine.yaml").write_text(first_recipe(tmp_path / "set", device="cpu").recipe, encoding="utf-8")
    short = read_recipe(tmp_path / "mine.yaml").to_dict()
    assert short["data"]["a"]["depth"] == "uint16" and PictureFormat(**short["data"]["a"])
    short["method"] |= {"generator": {"kind": "resnet", "width": 4, "blocks": 1}}
    short["training"]["lr_schedule"] |= {"constant": "1 images", "decay": "1 images"}
    short["speed"] |= {"compile": "off", "precision": "float32", "channels_last": "off"}
    assert train(recipe_from(short, "test"), tmp_path / "run").is_file()


def test_grey_that_is_stored_as_colour_with_a_profile_is_grey(root: Path) -> None:
    image = natural(40).convert("L").convert("RGB")
    image.save(root / "trainA" / "grey.png", icc_profile=profile_of("adobe_rgb"))
    assert checked(root)[1]["colourless"].text == "trainA: 1 picture in grey among 6 in colour"
