"""Stylize one picture, from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from cyclegan.data.codecs.limits import most_pixels
from cyclegan.data.convert import as_image
from cyclegan.data.fit import scaled
from cyclegan.inference.inputs import Picture, picture_from
from cyclegan.inference.sizes import Sizing
from cyclegan.machine.device import choose_device
from cyclegan.networks.backbones import load_backbone
from cyclegan.painting.extractor import Extractor
from cyclegan.painting.inputs import Mask, shares_of, styles_of
from cyclegan.painting.painting import Painting
from cyclegan.painting.settings import Settings
from cyclegan.painting.usual import usual_for
from cyclegan.types import Device, Precision
from cyclegan.util.untouched import untouched

TINY = 64
"""Pixels on a side of the picture on which layers are tried."""


@untouched()
def stylize(
    content: Picture,
    style: Picture | Sequence[Picture],
    settings: Settings | None = None,
    *,
    masks: Sequence[Mask] = (),
    style_masks: Sequence[Mask] = (),
    device: Device = "auto",
    precision: Literal["auto"] | Precision = "auto",
    extractor: Extractor | None = None,
    report: Callable[[Painting], object] = lambda painting: None,
    note: Callable[[str], object] = lambda line: None,
    **changes: Any,
) -> Image.Image:
    """Paint the content of one picture in the style of another, or of several (Gatys et al. 2016 and 2017).

    ```python
    cyclegan.stylize("photo.jpg", "monet.jpg", size=512, seconds=60).save("painted.jpg")
    ```

    Pictures are paths, bytes of files, Pillow images or arrays, see `picture_from`. `changes` are fields of `Settings`,
    which replace those of `settings`. For each style, `masks` may have a mask of the shape of the content, white where
    the style is wanted, and `style_masks` one of the shape of the style, white in the part that counts. What no mask
    covers stays as it is. `extractor` is used instead of loading a network anew, see `load_extractor`; it has its own
    device and precision. `report` is called after each step: `Painting.share` is what is done, `Painting.preview()`
    what can be seen.

    Returns an 8-bit RGB image of the size of the content, or of `size`.

    Raises ValueError for values that are not possible, unreadable pictures, and unsuitable weights; FileNotFoundError
    when the file of weights is missing; ConnectionError when they cannot be downloaded; MemoryError or RuntimeError
    when memory runs out.
    """
    settings = changed(settings or Settings(), changes)
    extractor = extractor or load_extractor(settings, device=device, precision=precision)
    pictures: Sequence[Any] = style if isinstance(style, list | tuple) else [style]
    pixels = picture_from(content)
    size = Sizing(size=settings.size).of((pixels.shape[0], pixels.shape[1]), most_pixels()).output
    styles = styles_of(pictures, settings, size, masks=masks, style_masks=style_masks)
    start = shares_of(picture_from(settings.init)) if isinstance(settings.init, Path) else None
    painting = Painting(shares_of(scaled(pixels, size)), styles, settings, extractor, start=start, note=note)
    while painting.advance():
        report(painting)
    report(painting)
    return as_image(painting.pixels())


def load_extractor(
    settings: Settings, *, device: Device = "auto", precision: Literal["auto"] | Precision = "auto"
) -> Extractor:
    """Load the network that compares pictures, once for many paintings.

    Raises ValueError for an unknown network or layer, a layer without positions, a device that this machine lacks, and
    `normalise` with another network than a VGG; FileNotFoundError and ConnectionError as `load_backbone` does.
    """
    usual, chosen = usual_for(settings), choose_device(device)
    backbone = load_backbone(settings.network, settings.weights, pooling=usual.pooling, option="--weights")
    extractor = Extractor(backbone, usual, chosen, precision)
    with torch.no_grad():
        seen = extractor(torch.zeros(1, 3, TINY, TINY, device=chosen))
    if flat := next((name for name, layer in seen.items() if layer.ndim != 4), None):
        raise ValueError(f"{settings.network}: layer {flat} has no positions; choose another one")
    if settings.normalise:
        extractor.normalised([torch.zeros(1, 3, TINY, TINY, device=chosen)])
    return extractor


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """Return settings with some fields replaced. Raises ValueError for unknown names and impossible values."""
    names = [each.name for each in fields(Settings)]
    if unknown := next((name for name in changes if name not in names), None):
        raise ValueError(f"stylize has no option {unknown}; it has {', '.join(names)}")
    for name, kind in (("style_weights", tuple), ("content_layers", tuple), ("style_layers", tuple), ("weights", Path)):
        if changes.get(name) is not None:
            changes[name] = kind(changes[name])
    if isinstance(init := changes.get("init"), str) and init not in ("content", "noise"):
        changes["init"] = Path(init)
    return replace(settings, **changes)
