"""Encode DICOM: a data set derived from that of the source, with other pixels (PS3.3 C.7.6.1 to C.7.6.3, C.11.1)."""

from __future__ import annotations

import copy
import hashlib
import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.decode_dicom import group_of
from cyclegan.data.picture import Values

NO_LONGER_TRUE = (
    "NumberOfFrames", "FrameIncrementPointer", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
    "PlanarConfiguration", "SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingRangeLimit",
    "PixelPaddingValue", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction",
    "VOILUTSequence", "ModalityLUTSequence", "PresentationLUTShape", "ICCProfile", "IconImageSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
    "PixelDataProviderURL", "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
"""Attributes that describe the stored pixels of the source."""

REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "ReferringPhysicianName", "AccessionNumber", "Modality", "SeriesNumber", "InstanceNumber",
)  # fmt: skip
"""Attributes that every picture has, if only without a value."""

LONGEST_NUMBER = 16
"""Characters of a decimal string (VR DS)."""


def encode(contents: Contents) -> bytes:
    """Encode a DICOM file whose values, after its rescaling, are the given ones.

    It belongs to the study of the source, as a derived picture of a new series. Grey values are stored as the source
    stores its own, if it scales them; integers otherwise as they are, and floats in 65,536 steps over their range.
    Without a source, or with `strip`, it is a secondary capture without a patient. Identifiers follow from the source
    and the pixels, so that the same picture has the same ones.
    """
    source = contents.kept.dicom if contents.kept.dicom is not None else Dataset()
    with warnings.catch_warnings(action="ignore"):  # pydicom warns about every odd element of the source
        dataset = _derived(source)
        _place(dataset, source, contents)
        if contents.values.shape[2] == 3:
            stored: npt.NDArray[Any] = contents.values
            dataset.PlanarConfiguration = 0
        else:
            stored = _grey(dataset, source, contents)
        _describe(dataset, stored)
        return _file(dataset, source, stored)


def _derived(source: Dataset) -> Dataset:
    """Return a copy of what still holds of the source."""
    dataset = copy.deepcopy(source)
    for name in NO_LONGER_TRUE:
        if name in dataset:
            delattr(dataset, name)
    for tag in [tag for tag in dataset.keys() if 0x6000 <= tag.group <= 0x60FF]:  # noqa: SIM118 - overlays
        del dataset[tag]
    is_enhanced = "SharedFunctionalGroupsSequence" in source
    if is_enhanced or "SOPClassUID" not in dataset:
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.ConversionType = "WSD"
    kind = list(dataset.get("ImageType") or [])
    dataset.ImageType = ["DERIVED", *(kind[1:] or ["SECONDARY"])]
    dataset.DerivationDescription = "Translated by cyclegan"
    for name in REQUIRED:
        if name not in dataset:
            setattr(dataset, name, "OT" if name == "Modality" else None)
    return dataset


def _place(dataset: Dataset, source: Dataset, contents: Contents) -> None:
    """Set the size of a pixel in the body, and where the centre of the first one lies."""
    across, down = contents.enlargement
    measures = group_of(source, "PixelMeasuresSequence")
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if (spacing := measures.get(name)) and len(spacing) == 2:
            setattr(dataset, name, [_decimal(float(spacing[0]) / down), _decimal(float(spacing[1]) / across)])
    if measures.get("SliceThickness") is not None:
        dataset.SliceThickness = measures.SliceThickness
    position = group_of(source, "PlanePositionSequence").get("ImagePositionPatient")
    directions = group_of(source, "PlaneOrientationSequence").get("ImageOrientationPatient")
    spacing = measures.get("PixelSpacing")
    if not (position and directions and spacing):
        return
    right, below = np.array(directions[:3], float), np.array(directions[3:], float)
    moved = right * float(spacing[1]) * (1 / across - 1) / 2 + below * float(spacing[0]) * (1 / down - 1) / 2
    dataset.ImagePositionPatient = [_decimal(number) for number in np.array(position, float) + moved]
    dataset.ImageOrientationPatient = directions


def _grey(dataset: Dataset, source: Dataset, contents: Contents) -> npt.NDArray[Any]:
    """Return the numbers (H, W) to store, and set the scale that makes values in units of them."""
    values = contents.values[..., 0]
    group = group_of(source, "PixelValueTransformationSequence")
    slope, intercept = float(group.get("RescaleSlope") or 1), float(group.get("RescaleIntercept") or 0)
    limits = _limits(values, source, is_scaled=(slope, intercept) != (1, 0))
    if limits is None:  # of floats without a scale in the source
        finite = values[np.isfinite(values)]
        intercept, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        limits, slope = np.iinfo(np.uint16), (most - intercept) / 65535 or 1.0
        dataset.RescaleType = group.get("RescaleType") or "US"
    slope, intercept = float(_decimal(slope)), float(_decimal(intercept))
    known = np.nan_to_num(values.astype(np.float64), nan=intercept)
    stored = ((known - intercept) / slope).round().clip(limits.min, limits.max).astype(limits.dtype)
    dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(slope), _decimal(intercept)
    padding = source.get("PixelPaddingValue")
    if contents.missing is not None and isinstance(padding, int) and limits.min <= padding <= limits.max:
        dataset.add_new("PixelPaddingValue", "SS" if limits.min < 0 else "US", padding)
        stored[contents.missing] = padding
    return stored


def _limits(values: npt.NDArray[Any], source: Dataset, *, is_scaled: bool) -> Any:
    """Return the integers in which values are stored, or None for floats whose range decides."""
    if is_scaled:
        return np.iinfo(np.int16 if source.get("PixelRepresentation") == 1 else np.uint16)
    if values.dtype.kind == "f":
        return None
    if values.dtype != np.int32:
        return np.iinfo(np.dtype(values.dtype.name))
    fits = not values.size or (values.min() >= -(2**15) and values.max() < 2**15)
    return np.iinfo(np.int16 if fits else np.int32)


def _describe(dataset: Dataset, stored: Values | npt.NDArray[Any]) -> None:
    """Set the attributes of the stored pixels."""
    bits = 8 * stored.dtype.itemsize
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 1 if stored.dtype.kind == "i" else 0
    data = np.ascontiguousarray(stored).astype(stored.dtype.newbyteorder("<")).tobytes()
    dataset.add_new("PixelData", "OB" if bits == 8 else "OW", data + bytes(len(data) % 2))


def _file(dataset: Dataset, source: Dataset, stored: npt.NDArray[Any]) -> bytes:
    """Return a file of a data set, with identifiers that follow from the source and the pixels."""
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    origin, series = (str(source.get(name) or "") for name in ("SOPInstanceUID", "SeriesInstanceUID"))
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["cyclegan", origin, digest])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["cyclegan", series or digest])
    if "StudyInstanceUID" not in dataset:
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=["cyclegan study", series or digest])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(file := io.BytesIO(), enforce_file_format=True, implicit_vr=False, little_endian=True)
    return file.getvalue()


def _decimal(number: float) -> str:
    """Return a number as a decimal string, as exactly as its 16 characters can."""
    for digits in range(16, 0, -1):
        if len(text := f"{number:.{digits}g}") <= LONGEST_NUMBER:
            return text
    return "0"
