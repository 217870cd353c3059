"""Read a picture file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cyclegan.data.files import as_seen, read_image
from cyclegan.data.picture import FilePicture


def read_picture(path: Path, *, at_least: int | None = None) -> FilePicture:
    """Read a picture file: upright, in its own units; of an animation or a stack of pages, the first.

    With `at_least`, a decoder that can reduce while it decodes (JPEG) may return a smaller picture, whose shorter side
    still has at least that many pixels.
    Raises UnreadableImage, whose message is one line with the path and the reason, for a file that is damaged or
    incomplete, has more than `LARGEST_FILE` bytes, or holds more than `Image.MAX_IMAGE_PIXELS` pixels.
    """
    return FilePicture(values=np.asarray(read_image(path)), kind="rgb")


def from_pillow(image: Image.Image) -> FilePicture:
    """Convert a picture of Pillow."""
    return FilePicture(values=np.asarray(as_seen(image)), kind="rgb")
