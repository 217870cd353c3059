"""A transform that scales a picture to a width or to a shorter side, and keeps its aspect ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
from pydantic import Field

from cyclegan.data.enlarge import LONGEST, resized, without_ends
from cyclegan.util.untouched import environment

if TYPE_CHECKING:
    from cyclegan.data.fit import Size
    from cyclegan.data.picture import Pixels

with environment(NO_ALBUMENTATIONS_UPDATE="1"):  # otherwise the import looks for a newer version on the network
    import albumentations as A
    from albumentations.core.transforms_interface import BaseTransformInitSchema


def scaled_size(size: Size, *, width: int | None = None, shortest: int | None = None, multiple: int = 1) -> Size:
    """Return the size (H, W) of a picture of another size after `Scale`."""
    most = LONGEST * min(size)
    height, across = min(size[0], most), min(size[1], most)
    growth = width / across if width else (shortest or min(height, across)) / min(height, across)
    return _rounded(height * growth, multiple), _rounded(across * growth, multiple)


class Scale(A.DualTransform):  # type: ignore[misc]  # albumentations has no types
    """Scale a picture to a `width`, or its shorter side to `shortest` pixels, and keep its aspect ratio.

    Sides are rounded to a multiple of `multiple`. Bicubic, and by areas when shrinking. Strips longer than 16:1 lose
    their ends, so that no picture grows without limit.
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]  # noqa: D106  # described above
        width: int | None = Field(ge=1)
        shortest: int | None = Field(ge=1)
        multiple: int = Field(ge=1)

    def __init__(
        self, width: int | None = None, shortest: int | None = None, multiple: int = 1, p: float = 1.0
    ) -> None:
        super().__init__(p=p)
        if (width is None) == (shortest is None):
            raise ValueError("takes either width or shortest")
        self.width, self.shortest, self.multiple = width, shortest, multiple

    def apply(self, img: Pixels, **_: Any) -> Pixels:
        """Scale a picture (H, W, C)."""
        whole = without_ends(img)
        height, width = scaled_size(img.shape[:2], width=self.width, shortest=self.shortest, multiple=self.multiple)
        if (height, width) == whole.shape[:2]:
            return whole
        shrinks = height < whole.shape[0] or width < whole.shape[1]
        return resized(whole, (height, width), cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _rounded(side: float, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple
