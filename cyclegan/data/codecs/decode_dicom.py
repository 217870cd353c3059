"""Decode DICOM, the files of scanners in medicine, in their own units (PS3.3 C.7.6.3, C.7.6.16, C.11.1, C.11.2)."""

from __future__ import annotations

import io
import logging
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cyclegan.data.codecs.dicom_frame import first_frame
from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.samples import as_values
from cyclegan.data.picture import FilePicture, Kept, Values

logging.getLogger("pydicom").addHandler(logging.NullHandler())

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class Scale(NamedTuple):
    """How stored numbers become values in units: value = slope * stored + intercept."""

    slope: float
    intercept: float


def decode(data: bytes) -> FilePicture:
    """Decode the first frame of a DICOM file: grey in units after its rescaling (such as Hounsfield units), or RGB.

    Where 0 means white (MONOCHROME1), values are mirrored within their range, so that larger is brighter. The window
    is not applied, but returned.
    Raises almost anything on damaged files.
    """
    with warnings.catch_warnings(action="ignore"):  # pydicom warns about every odd element
        dataset = dcmread(io.BytesIO(data), force=True)
        return _decoded(dataset)


def group_of(dataset: Dataset, sequence: str) -> Dataset:
    """Return where attributes of the first frame are: a functional group of a file of many frames, or the file."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        frames = dataset.get(groups)
        if frames and frames[0].get(sequence):
            return frames[0][sequence].value[0]
    return dataset


def _decoded(dataset: FileDataset) -> FilePicture:
    if not any(name in dataset for name in PIXELS) or dataset.get("Rows") is None:
        raise ValueError("it is a DICOM file without pixels" if len(dataset) else "it is damaged, or not DICOM")
    samples = int(dataset.get("SamplesPerPixel", 1))
    check_size(int(dataset.Columns), int(dataset.Rows), samples * int(dataset.BitsAllocated) // 8 or 1)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    stored, photometric = first_frame(dataset), str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    kept = Dataset()
    kept.update({tag: dataset[tag] for tag in dataset.keys() if tag.group != 0x7FE0})  # noqa: SIM118 - yields tags
    profile = dataset.get("ICCProfile")
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3:
        values = as_values(stored)
        return FilePicture(
            values=values,
            kind="rgb",
            profile=profile,
            kept=Kept(dicom=kept, size=(int(dataset.Columns), int(dataset.Rows))),
        )
    low, high = _limits(dataset, stored)
    missing = _padding(dataset, stored)
    if photometric == "MONOCHROME1":
        stored = (low + high - stored.astype(np.float64 if stored.dtype.kind == "f" else np.int64)).astype(stored.dtype)
    values, scale = _in_units(dataset, stored, low, high)
    window = _window(dataset)
    if window is not None and photometric == "MONOCHROME1":
        mirror = scale.slope * (low + high) + 2 * scale.intercept
        window = (mirror - window[1], mirror - window[0])
    return FilePicture(
        values=values[..., None],
        kind="grey",
        missing=missing,
        window=window,
        profile=None,
        kept=Kept(dicom=kept, size=(int(dataset.Columns), int(dataset.Rows))),
    )


def _limits(dataset: Dataset, stored: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest number that can be stored; of floats, those that are."""
    if stored.dtype.kind == "f":
        return float(np.nanmin(stored)), float(np.nanmax(stored))
    bits = int(dataset.get("BitsStored", dataset.BitsAllocated))
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if stored.dtype.kind == "i" else (0, 2**bits - 1)


def _in_units(dataset: Dataset, stored: npt.NDArray[Any], low: float, high: float) -> tuple[Values, Scale]:
    """Return values in units, and how they were scaled.

    Integers stay integers if slope and intercept are; their type depends on what can be stored, so that it is the same
    for all slices of a series.
    """
    group = group_of(dataset, "PixelValueTransformationSequence")
    if "ModalityLUTSequence" in group:
        return as_values(apply_modality_lut(stored, group)), Scale(1, 0)
    scale = Scale(float(group.get("RescaleSlope") or 1), float(group.get("RescaleIntercept") or 0))
    if scale == Scale(1, 0):
        return as_values(stored), scale
    if stored.dtype.kind == "f" or not (scale.slope.is_integer() and scale.intercept.is_integer()):
        return (stored * scale.slope + scale.intercept).astype(np.float32), scale
    ends = [scale.slope * end + scale.intercept for end in (low, high)]
    values = stored.astype(np.int64) * int(scale.slope) + int(scale.intercept)
    for kind in (np.int16, np.int32):
        if min(ends) >= np.iinfo(kind).min and max(ends) <= np.iinfo(kind).max:
            return values.astype(kind), scale
    return values.astype(np.float32), scale


def _padding(dataset: Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Return (H, W), true outside of what the scanner sees, or None."""
    padding = dataset.get("PixelPaddingValue")
    if not isinstance(padding, int) or stored.dtype.kind == "f":
        return None
    other = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, other if isinstance(other, int) else padding))
    if stored.dtype.kind == "i" and low > np.iinfo(np.int16).max:  # written as unsigned, as some scanners do
        low, high = low - 2**16, high - 2**16
    missing: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return missing if missing.any() else None


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """Return the first window of a file: the values of black and white."""
    group = group_of(dataset, "FrameVOILUTSequence")
    try:
        centre, width = (float(np.atleast_1d(group[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    if not width >= 1:
        return None
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
