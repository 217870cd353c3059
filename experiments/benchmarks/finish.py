"""Draw the pictures that show what the options of `cyclegan translate` about scale, place and colour do.

    cyclegan train experiments/painted_128.yaml
    python experiments/benchmarks/finish.py runs/painted_128 experiments/pictures

Writes scale.jpg and finish.jpg, of a photograph in scikit-image (Rachel Michetti, CC0).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cyclegan.data.painted import photographs
from cyclegan.data.picture import Pixels
from cyclegan.data.resample import scaled_strips
from cyclegan.inference.detail import with_detail
from cyclegan.inference.finish import Finish, finished
from cyclegan.inference.masks import SoftMask
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.translator import Translator

TRAINED = 128
"""The size of the training, in pixels."""

PART = slice(0, 300), slice(70, 460)
"""The part of the photograph in which its scale is shown."""

BAR, TEXT = 22, 15
"""Height of the bar under a panel, and of its letters."""


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="run of experiments/painted_128.yaml")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    photo = photographs(600)["coffee"]
    translator = Translator.load(args.model, device="cpu", precision="float32", channels_last=False, compile_="off")
    _draw(args.out / "scale.jpg", _scale(photo, translator), columns=2)
    _draw(args.out / "finish.jpg", _finish(photo, translator), columns=3)


def _scale(photo: Pixels, translator: Translator) -> dict[str, Pixels]:
    """Return panels of a photograph that is three times as large as the pictures of the training."""
    small, size = _small(photo), (photo.shape[0], photo.shape[1])
    translated = _translated(small, translator)
    whole = {
        "photograph of 600 x 400 pixels": photo,
        "translated as it is; trained at 128": _translated(photo, translator),
        "--size 128 (enlarged here)": scaled_strips(translated, size),
        "--size 128 --detail": with_detail(photo, small, translated),
    }
    return {name: panel[PART] for name, panel in whole.items()}


def _finish(photo: Pixels, translator: Translator) -> dict[str, Pixels]:
    """Return panels of what can be done to a translation."""
    small = _small(photo)
    translated = with_detail(photo, small, _translated(small, translator))
    mask = SoftMask.of(_saucer(photo), (photo.shape[0], photo.shape[1]), feather=3)
    return {
        "photograph": photo,
        "translation, --size 128 --detail": translated,
        "--mask cup.png --feather 3": finished(photo, translated, Finish(), mask),
        "--strength 0.5": finished(photo, translated, Finish(strength=0.5)),
        "--keep_colour": finished(photo, translated, Finish(keep_colour=True)),
        "--match_colour": finished(photo, translated, Finish(match_colour=True)),
    }


def _small(photo: Pixels) -> Pixels:
    return scaled_strips(photo, Sizing(size=TRAINED).of((photo.shape[0], photo.shape[1])).translated)


def _translated(photo: Pixels, translator: Translator) -> Pixels:
    return np.asarray(translator.translate(Image.fromarray(photo)))


def _saucer(photo: Pixels) -> npt.NDArray[np.uint8]:
    """Return the mask of the cup and its saucer, white on black, (H, W, 1)."""
    mask = Image.new("L", photo.shape[1::-1])
    draw = ImageDraw.Draw(mask)
    draw.ellipse((75, 60, 480, 386), fill=255)
    draw.ellipse((170, 15, 412, 215), fill=255)
    draw.polygon([(392, 130), (400, 64), (424, 68), (414, 200)], fill=255)
    return np.asarray(mask)[..., None]


def _draw(path: Path, panels: dict[str, Pixels], columns: int) -> None:
    """Write panels of one size as a grid, each with its name below."""
    height, width = next(iter(panels.values())).shape[:2]
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (width * columns, (height + BAR) * rows), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for number, (name, panel) in enumerate(panels.items()):
        left, top = number % columns * width, number // columns * (height + BAR)
        sheet.paste(Image.fromarray(panel), (left, top))
        draw.text((left + width / 2, top + height + BAR / 2), name, fill="black", font=font, anchor="mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.thumbnail((1200, 1200))
    sheet.save(path, quality=85)


if __name__ == "__main__":
    main()
