"""Make a paired data set: photographs, and a painting of each by the built-in painter.

    python experiments/benchmarks/paint_pairs.py data/horse2zebra data/painted

Reads trainA and testA of a data set; writes trainA and trainB at 144 pixels, testA and testB at 128.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from cyclegan.data.files import find_images
from cyclegan.data.painted import paint
from cyclegan.data.read import read_image
from cyclegan.data.write import write_image

SIZES = {"train": 144, "test": 128}


def main() -> None:
    """Write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, help="data set whose trainA and testA are photographs")
    parser.add_argument("out", type=Path, help="data set to write")
    args = parser.parse_args()
    for split, size in SIZES.items():
        for path in find_images(args.photographs / f"{split}A"):
            photo = read_image(path).resize((size, size), Image.Resampling.LANCZOS)
            name = f"{path.stem}.png"
            write_image(photo, args.out / f"{split}A" / name)
            write_image(Image.fromarray(paint(np.asarray(photo))), args.out / f"{split}B" / name)


if __name__ == "__main__":
    main()
