"""Kinds of files: which are read, which are not and what to do about them, and which only go along with pictures."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from cyclegan.data.codecs.signature import HEAD, format_of
from cyclegan.data.listing import Unread, split_suffix
from cyclegan.util.text import one_line

Standing = Literal["read", "unread", "sidecar"]


class FileKind(NamedTuple):
    """What becomes of a file in a folder of pictures."""

    name: str
    """In words: JPEG, Canon raw."""
    standing: Standing
    """`read`; `unread`: named in a line for its folder; `sidecar`: expected beside pictures, and counted quietly."""
    advice: str = ""
    """What to do about files that are not read."""


READ: dict[str, str] = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".jif": "JPEG", ".mpo": "JPEG",
    ".png": "PNG", ".apng": "PNG",
    ".webp": "WebP",
    ".bmp": "BMP", ".dib": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".gtiff": "TIFF", ".btf": "TIFF", ".tf8": "TIFF",
    ".ppm": "PPM", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM", ".pfm": "PPM",
    ".gif": "GIF",
    ".avif": "AVIF", ".avifs": "AVIF",
    ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF", ".heics": "HEIF", ".heifs": "HEIF",
    ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".jpx": "JPEG 2000", ".j2c": "JPEG 2000", ".jpc": "JPEG 2000",
    ".jpf": "JPEG 2000",
    ".npy": "NumPy",
    ".dcm": "DICOM", ".dicom": "DICOM",
    ".tga": "Targa", ".pcx": "PCX", ".qoi": "QOI", ".sgi": "SGI", ".bw": "SGI",
    ".dds": "DDS", ".ico": "ICO",
}  # fmt: skip
"""The name of the kind of each suffix that is read. Of the decoders of Pillow, these are its raster formats.

The others are left out: EPS, WMF, BUFR, GRIB and HDF5 run other programs or decode nothing; PSD holds the finished
picture only if its author chose so; FITS and McIDAS hold physical data of any shape; the rest is extinct.
"""

TO_TIFF, TO_PNG = "develop them to TIFF", "export them as PNG or TIFF"
FRAMES, SLICES, TO_NPY = "extract their frames as PNG", "save their slices as .npy", "save their pictures as .npy"

UNREAD: dict[str, tuple[str, str]] = {
    ".dng": ("Adobe raw", TO_TIFF), ".cr2": ("Canon raw", TO_TIFF), ".cr3": ("Canon raw", TO_TIFF),
    ".crw": ("Canon raw", TO_TIFF), ".nef": ("Nikon raw", TO_TIFF), ".nrw": ("Nikon raw", TO_TIFF),
    ".arw": ("Sony raw", TO_TIFF), ".sr2": ("Sony raw", TO_TIFF), ".srf": ("Sony raw", TO_TIFF),
    ".orf": ("Olympus raw", TO_TIFF), ".raf": ("Fujifilm raw", TO_TIFF), ".rw2": ("Panasonic raw", TO_TIFF),
    ".pef": ("Pentax raw", TO_TIFF), ".srw": ("Samsung raw", TO_TIFF), ".raw": ("raw", TO_TIFF),
    ".iiq": ("Phase One raw", TO_TIFF), ".3fr": ("Hasselblad raw", TO_TIFF), ".x3f": ("Sigma raw", TO_TIFF),
    ".psd": ("Photoshop", TO_PNG), ".psb": ("Photoshop", TO_PNG), ".xcf": ("GIMP", TO_PNG), ".kra": ("Krita", TO_PNG),
    ".svg": ("drawing", TO_PNG), ".svgz": ("drawing", TO_PNG), ".ai": ("Illustrator", TO_PNG),
    ".eps": ("PostScript", TO_PNG), ".ps": ("PostScript", TO_PNG), ".pdf": ("PDF", TO_PNG), ".emf": ("drawing", TO_PNG),
    ".wmf": ("drawing", TO_PNG), ".djvu": ("DjVu", TO_PNG), ".jxl": ("JPEG XL", TO_PNG), ".jxr": ("JPEG XR", TO_PNG),
    ".wdp": ("JPEG XR", TO_PNG), ".icns": ("Apple icon", TO_PNG), ".exr": ("OpenEXR", "save them as float TIFF"),
    ".hdr": ("Radiance", "save them as float TIFF"), ".bpg": ("BPG", TO_PNG), ".flif": ("FLIF", TO_PNG),
    ".ecw": ("ECW", "save them as GeoTIFF"), ".sid": ("MrSID", "save them as GeoTIFF"),
    ".img": ("disk or ERDAS image", "save them as GeoTIFF"), ".vrt": ("GDAL virtual", "save them as GeoTIFF"),
    ".mp4": ("video", FRAMES), ".mov": ("video", FRAMES), ".avi": ("video", FRAMES), ".mkv": ("video", FRAMES),
    ".webm": ("video", FRAMES), ".m4v": ("video", FRAMES), ".mpg": ("video", FRAMES), ".mpeg": ("video", FRAMES),
    ".wmv": ("video", FRAMES), ".mts": ("video", FRAMES), ".3gp": ("video", FRAMES),
    ".nii": ("NIfTI", SLICES), ".nii.gz": ("NIfTI", SLICES), ".mha": ("MetaImage", SLICES),
    ".mhd": ("MetaImage", SLICES), ".nrrd": ("NRRD", SLICES), ".mgz": ("FreeSurfer", SLICES),
    ".czi": ("Zeiss", "save them as TIFF"), ".nd2": ("Nikon microscope", "save them as TIFF"),
    ".lif": ("Leica", "save them as TIFF"), ".svs": ("slide", "cut them to tiles"),
    ".ndpi": ("slide", "cut them to tiles"), ".mrxs": ("slide", "cut them to tiles"),
    ".fits": ("FITS", TO_NPY), ".fit": ("FITS", TO_NPY), ".mat": ("MATLAB", TO_NPY), ".npz": ("NumPy archive", TO_NPY),
    ".h5": ("HDF5", TO_NPY), ".hdf5": ("HDF5", TO_NPY), ".nc": ("NetCDF", TO_NPY), ".zarr": ("Zarr", TO_NPY),
    ".pt": ("tensor", TO_NPY), ".pth": ("tensor", TO_NPY), ".tfrecord": ("TFRecord", TO_NPY),
    ".parquet": ("Parquet", "save their pictures as files"), ".lmdb": ("LMDB", "save their pictures as files"),
    ".zip": ("archive", "unpack them"), ".tar": ("archive", "unpack them"), ".gz": ("archive", "unpack them"),
    ".tgz": ("archive", "unpack them"), ".7z": ("archive", "unpack them"), ".rar": ("archive", "unpack them"),
    ".bz2": ("archive", "unpack them"), ".xz": ("archive", "unpack them"),
    ".crdownload": ("half written", "finish the download"),
}  # fmt: skip
"""The name and the advice of suffixes that are known, and not read."""

SIDECARS = frozenset({
    ".txt", ".md", ".rst", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg",
    ".html", ".htm", ".log", ".db", ".lnk", ".url", ".py", ".sh", ".ipynb", ".aae", ".xmp", ".thm", ".pp3", ".dop",
    ".ovr", ".msk", ".aux", ".tfw", ".tifw", ".jgw", ".jpgw", ".pgw", ".pngw", ".wld", ".prj", ".cpg", ".dbf", ".shp",
    ".shx", ".qgz", ".geojson", ".kml", ".points", ".license", ".sha256", ".md5", ".bak", ".tmp", ".part",
    ".ds_store", ".gitignore", ".gitkeep", ".gitattributes",
})  # fmt: skip
"""Suffixes of files that go along with pictures: lists, notes, annotations, world files, previews, checksums."""

SIDECAR_NAMES = frozenset(
    {"thumbs.db", "desktop.ini", ".ds_store", "dicomdir", "license", "licence", "readme", "makefile"}
)
"""Names in lower case of files that go along with pictures."""

SIDECAR = "sidecar"
"""The kind of files that go along with pictures."""

DICOM = (".dcm", ".dicom")

LARGEST_NUMBER_OF_KINDS = 6
"""Kinds that one line names; the others are counted together."""


def kind_of(path: Path) -> FileKind:
    """Return what becomes of a file, by its name; of a name without a known suffix, by its first bytes.

    Slices of scanners are called `IM0001` or `1.2.840.113619`. Never raises: a file that cannot be opened is `unread`,
    or `read` if it has the suffix of a picture, so that reading it reports why.
    """
    name, suffix = path.name.lower(), path.suffix.lower()
    if name in SIDECAR_NAMES or suffix in SIDECARS:
        return FileKind(SIDECAR, "sidecar")
    if suffix in READ:
        return _read(READ[suffix])
    for end in ("".join(path.suffixes[-2:]).lower(), suffix):
        if end in UNREAD:
            return FileKind(UNREAD[end][0], "unread", UNREAD[end][1])
    if (found := _by_content(path)) is not None:
        return _read(found)
    return FileKind("unknown", "unread", "convert them to PNG or TIFF if they are pictures")


def other_kind(folder: Path, name: str) -> str | None:
    """Return None for the name of a picture below a folder, else what `told_unread` says of its kind, or `SIDECAR`."""
    suffix = split_suffix(name)[1].lower()
    if suffix in READ and suffix not in DICOM:  # quick, because a folder may have a million pictures
        return None
    kind = kind_of(folder / name)
    if kind.standing == "read":
        return None
    return SIDECAR if kind.standing == "sidecar" else f"{kind.name} ({_suffix(Path(name))}), {kind.advice}"


def told_unread(others: Mapping[str, Unread]) -> str | None:
    """Return the line about the files of a folder that are not read, by `other_kind`; None if there are none.

    "3 files are not read: 2 Canon raw (.cr2), develop them to TIFF; 1 drawing (.svg), export them as PNG or TIFF"
    """
    counts = Counter({kind: found.number for kind, found in others.items() if kind != SIDECAR})
    if not counts:
        return None
    groups = sorted(counts.items(), key=lambda group: (-group[1], group[0]))[:LARGEST_NUMBER_OF_KINDS]
    parts = [f"{number:,} {kind}" for kind, number in groups]
    if rest := counts.total() - sum(number for _, number in groups):
        parts.append(f"{rest:,} of other kinds")
    total = counts.total()
    return f"{total:,} {'file is' if total == 1 else 'files are'} not read: {'; '.join(parts)}"


def _read(name: str) -> FileKind:
    if name == "DICOM" and importlib.util.find_spec("pydicom") is None:
        return FileKind(name, "unread", "run pip install 'cyclegan[dicom]'")
    return FileKind(name, "read")


def _by_content(path: Path) -> str | None:
    """Return the format of a regular file by its first bytes, or None."""
    try:
        if not path.is_file():  # opening a pipe would wait forever
            return None
        with path.open("rb") as file:
            return format_of(file.read(HEAD), Path(path.stem))  # without its suffix, which is none that is known
    except OSError:
        return None


def _suffix(path: Path) -> str:
    """Return the suffix of a name as a line shows it."""
    for end in ("".join(path.suffixes[-2:]).lower(), path.suffix.lower()):
        if end in UNREAD:
            return end
    suffix = path.suffix.lower()
    return one_line(suffix, 20) if 1 < len(suffix) <= 12 else "no suffix"
