"""Read a picture file."""

from __future__ import annotations

from pathlib import Path

from cyclegan.data.picture import FilePicture


def read_picture(path: Path, *, at_least: int | None = None) -> FilePicture:
    """Read a picture file: upright, in its own units; of an animation or a stack of pages, the first.

    With `at_least`, a decoder that can reduce while it decodes (JPEG) may return a smaller picture, whose shorter side
    still has at least that many pixels.
    Raises UnreadableImage, whose message is one line with the path and the reason, for a file that is damaged or
    incomplete, has more than `LARGEST_FILE` bytes, or holds more than `Image.MAX_IMAGE_PIXELS` pixels.
    """
    raise NotImplementedError
