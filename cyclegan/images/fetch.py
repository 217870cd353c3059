"""Known unpaired data sets: downloaded once, checked, unpacked whole or not at all."""

import errno
import hashlib
import re
import stat
import zlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from zipfile import BadZipFile, ZipFile, ZipInfo

AUTHORS = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
LARGEST = 100 * 2**30
"""Bytes an archive may unpack to; the largest known set needs a few GiB."""

ITS_FAULT = {errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
"""What the disk answers to offsets and names that no whole archive holds; other answers are about the disk."""

SILENCE = 60
"""Seconds a server may say nothing before we give up."""

Report = Callable[[int, int | None], None]
"""Told the bytes here so far, and all there will be (None where the server does not say)."""


class DataSet(NamedTuple):
    """Where a zip file of folders trainA, trainB, testA, testB lies, and what is in it."""

    url: str
    sha256: str | None
    about: str


class Fetched(NamedTuple):
    """A data set on this disk, and the SHA-256 of the archive it came in."""

    folder: Path
    sha256: str


# The pictures belong to their makers. The authors of CycleGAN state no licence; they ask to cite the sources.
_ABOUT = {
    "ae_photos": "photographs by A. Efros, to try the painting styles on; no training pictures",
    "apple2orange": "996 apples, 1020 oranges; ImageNet, for non-commercial research",
    "cezanne2photo": "584 paintings by Cezanne from WikiArt, 6853 landscape photographs from Flickr",
    "facades": "400 facades and their label maps; CMP Facades, for research",
    "horse2zebra": "939 horses, 1177 zebras; ImageNet, for non-commercial research",
    "iphone2dslr_flower": "1813 iPhone and 3316 DSLR photographs of flowers from Flickr",
    "maps": "1096 aerial photographs and maps, from Google Maps",
    "monet2photo": "1074 paintings by Monet from WikiArt, 6853 landscape photographs from Flickr",
    "summer2winter_yosemite": "1273 summer and 854 winter photographs of Yosemite from Flickr",
    "ukiyoe2photo": "1433 ukiyo-e prints from WikiArt, 6853 landscape photographs from Flickr",
    "vangogh2photo": "401 paintings by Van Gogh from WikiArt, 6853 landscape photographs from Flickr",
}

# The authors publish no checksums; `fetch` returns the one it saw, so that a run can record it.
DATA_SETS = {name: DataSet(f"{AUTHORS}/{name}.zip", None, about) for name, about in _ABOUT.items()}


def fetch(
    name: str, root: Path, *, data_sets: Mapping[str, DataSet] = DATA_SETS, report: Report | None = None
) -> Fetched:
    """Download a data set into the folder `root/name`; a download that was cut goes on where it stopped.

    Raises ValueError for an unknown name and for an archive that is damaged, unsafe or not the one expected (it is
    deleted), FileExistsError when `root/name` is there, ConnectionError when the network or the server fails.
    """
    if name not in data_sets:
        near = "".join(f" did you mean {match}?" for match in get_close_matches(name, data_sets, n=1))
        raise ValueError(f"no data set is called {name!r};{near} there are {', '.join(sorted(data_sets))}")
    data_set, folder, archive = data_sets[name], root / name, root / f"{name}.zip.part"
    if folder.exists():
        raise FileExistsError(f"{folder} is already there; use it, or delete it to fetch {name} anew")
    root.mkdir(parents=True, exist_ok=True)
    try:
        _download(data_set.url, archive, report or (lambda here, total: None))
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        raise ConnectionError(
            f"{data_set.url} could not be fetched ({_reason(error)}); "
            f"try again, or download it by hand and unzip it so that {folder / 'trainA'} exists"
        ) from error
    try:
        sha256 = _unpack(archive, folder, data_set.sha256)
    except ValueError:
        archive.unlink()  # going on from it, or trying it again, would fail for ever
        raise
    archive.unlink()
    return Fetched(folder, sha256)


def _download(url: str, part: Path, report: Report) -> None:
    """Make `part` the whole file at `url`, asking only for what it lacks."""
    here = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        answer = urlopen(request, timeout=SILENCE)
    except HTTPError as error:
        error.close()
        if error.code != 416 or not here:
            raise
        if error.headers.get("Content-Range") != f"bytes */{here}":  # else nothing was left to send
            part.unlink()
            _download(url, part, report)
        return
    with answer:
        if answer.status != 206:  # the server sends all of it, whatever we asked
            here = 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else here + int(length)
        with part.open("ab" if here else "wb") as file:
            report(here, total)
            while piece := answer.read(2**20):
                file.write(piece)
                here += len(piece)
                report(here, total)
    if total is not None and here != total:
        raise ConnectionError(f"the connection was cut after {here:,} of {total:,} bytes, which are kept")


def _unpack(archive: Path, folder: Path, expected: str | None) -> str:
    """Check an archive and make `folder` of its only top folder, or of all of it; returns its SHA-256."""
    with archive.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if expected not in (None, sha256):
        raise ValueError(f"{archive} has SHA-256 {sha256}, expected {expected}; deleted it, try again")
    try:
        with ZipFile(archive) as packed, TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            members = [member for member in packed.infolist() if not member.filename.startswith("__MACOSX/")]
            _refuse_unsafe(archive, members)
            whole = Path(beside, folder.name)
            whole.mkdir()
            packed.extractall(whole, members)
            tops = list(whole.iterdir())
            (tops[0] if len(tops) == 1 and tops[0].is_dir() else whole).rename(folder)
    except (BadZipFile, EOFError, RuntimeError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno not in ITS_FAULT:
            raise
        raise ValueError(f"{archive} is no whole zip file ({_reason(error)}); deleted it, try again") from error
    return sha256


def _refuse_unsafe(archive: Path, members: list[ZipInfo]) -> None:
    """Raise ValueError when unpacking would write outside its folder, make a link, or fill the disk."""
    for member in members:
        name = PurePosixPath(member.filename)
        drive = any(re.match(r"[A-Za-z]:", part) for part in name.parts)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename or drive:
            raise ValueError(
                f"{archive} would write outside its folder, to {member.filename!r}; refused and deleted it"
            )
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"{archive} holds a link or device, {member.filename!r}; refused and deleted it")
    size = sum(member.file_size for member in members)  # zipfile writes no more than a member declares
    if size > LARGEST:
        raise ValueError(f"{archive} unpacks to {size:,} bytes, more than {LARGEST:,}; refused and deleted it")


def _reason(error: Exception) -> str:
    """Why, in one line."""
    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return " ".join(str(error.reason if isinstance(error, URLError) else error).split()) or type(error).__name__
