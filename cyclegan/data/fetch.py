"""Download known data sets, verify them, and unpack them completely or not at all."""

import errno
import re
import stat
import zlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.error import HTTPError
from zipfile import BadZipFile, ZipFile, ZipInfo

from cyclegan.util.download import FAILURES, open_url, sha256_of, why

AUTHORS = "efrosgans.eecs.berkeley.edu/cyclegan/datasets"
LARGEST = 100 * 2**30
"""Most bytes that an archive may unpack to; the largest known data set needs a few GiB."""

ITS_FAULT = {errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
"""The errors that offsets and names in a damaged archive cause; any other OSError is about the disk."""

Report = Callable[[int, int | None], None]
"""Called with the bytes downloaded so far and their total (None if the server does not send it)."""


class DataSet(NamedTuple):
    """The addresses of a zip file with a data set, its checksum, and what it contains."""

    urls: tuple[str, ...]
    """Tried in this order; an address that is not https is used only if `sha256` is known."""
    sha256: str | None
    """SHA-256 of the zip file in hexadecimal, if known."""
    size: int | None
    """Size of the zip file in bytes, if known."""
    about: str
    """What the pictures are, in one line."""


class Fetched(NamedTuple):
    """A downloaded data set."""

    folder: Path
    sha256: str
    """SHA-256 of the archive in hexadecimal."""
    expected: bool
    """Whether the SHA-256 was known in advance; if not, only https protects the download."""


class WrongArchive(ValueError):
    """An address serves another file than the expected one; the next address may have it."""


# The pictures belong to their creators. The authors of CycleGAN state no licence; they ask to cite the sources.
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

# The authors publish no checksums. These sizes and SHA-256 are those of TensorFlow Datasets 4.9.10, url_checksums/
# cycle_gan.txt, which fetches the same files from the same host; none are published for ae_photos.
_SUMS = {
    "apple2orange": (78456409, "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8"),
    "cezanne2photo": (279885071, "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff"),
    "facades": (35135868, "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0"),
    "horse2zebra": (116867962, "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1"),
    "iphone2dslr_flower": (339964458, "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113"),
    "maps": (1476754427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e"),
    "monet2photo": (305231073, "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04"),
    "summer2winter_yosemite": (132640856, "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9"),
    "ukiyoe2photo": (292946532, "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08"),
    "vangogh2photo": (306590349, "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff"),
}


def _of_authors(name: str) -> DataSet:
    size, sha256 = _SUMS.get(name, (None, None))
    return DataSet((f"https://{AUTHORS}/{name}.zip", f"http://{AUTHORS}/{name}.zip"), sha256, size, _ABOUT[name])


DATA_SETS = {name: _of_authors(name) for name in _ABOUT}


def fetch(
    name: str, root: Path, *, data_sets: Mapping[str, DataSet] = DATA_SETS, report: Report | None = None
) -> Fetched:
    """Download a data set into the folder `root/name`; an interrupted download continues where it stopped.

    The addresses are tried in order. `report` is called with the progress.
    Raises ValueError for an unknown name and for an archive that is damaged, unsafe or not the expected one (it is
    deleted), FileExistsError when `root/name` exists, and ConnectionError when the network or every server fails.
    """
    if name not in data_sets:
        near = "".join(f" did you mean {match}?" for match in get_close_matches(name, data_sets, n=1))
        raise ValueError(f"no data set is called {name!r};{near} choose one of {', '.join(sorted(data_sets))}")
    data_set, folder, archive = data_sets[name], root / name, root / f"{name}.zip.part"
    if folder.exists():
        raise FileExistsError(f"{folder} already exists; use it, or delete it to fetch {name} again")
    root.mkdir(parents=True, exist_ok=True)
    sha256 = _from_anywhere(data_set, folder, archive, report or (lambda here, total: None))
    try:
        _unpack(archive, folder)
    except ValueError:
        archive.unlink()  # to continue or unpack it again would fail every time
        raise
    archive.unlink()
    return Fetched(folder, sha256, expected=data_set.sha256 is not None)


def _from_anywhere(data_set: DataSet, folder: Path, archive: Path, report: Report) -> str:
    """Download the complete `archive` from the first address that has it; returns its SHA-256."""
    problems: dict[str, Exception] = {}
    for url in data_set.urls:
        try:
            if not (data_set.sha256 or url.startswith("https:")):
                raise WrongArchive("it is not https, and no SHA-256 is known to verify it")
            return _from(url, data_set, archive, report)
        except (*FAILURES, WrongArchive) as error:
            problems[url] = error
    told = "; ".join(f"{url} could not be fetched ({why(error)})" for url, error in problems.items())
    helps = f"try again, or download it by hand and unzip it so that {folder / 'trainA'} exists"
    wrong = all(isinstance(error, WrongArchive) for error in problems.values())
    raise (ValueError if wrong else ConnectionError)(f"{told}; {helps}") from next(iter(problems.values()))


def _from(url: str, data_set: DataSet, archive: Path, report: Report) -> str:
    """Download `archive` from `url`; returns its SHA-256. Raises WrongArchive if it is not the expected file."""
    begun = archive.exists()
    try:
        _download(url, data_set, archive, report)
        sha256 = sha256_of(archive)
        if data_set.sha256 not in (None, sha256):
            raise WrongArchive(f"it has SHA-256 {sha256}, expected {data_set.sha256}; deleted it")
    except WrongArchive:
        archive.unlink(missing_ok=True)
        if begun:  # the first part is from an earlier call, perhaps from another address: start over once
            return _from(url, data_set, archive, report)
        raise
    return sha256


def _download(url: str, data_set: DataSet, part: Path, report: Report) -> None:
    """Download `url` into `part`, and request only the bytes that are missing."""
    here = part.stat().st_size if part.exists() else 0
    most = data_set.size or LARGEST
    if here > most:
        raise WrongArchive(f"{part} is larger than {most:,} bytes")
    wanted = {"Range": f"bytes={here}-"} if here else {}
    try:  # without a checksum, a redirect to http would be as insecure as http
        answer = open_url(url, wanted, only_https=data_set.sha256 is None)
    except HTTPError as error:
        error.close()
        if error.code != 416 or not here:
            raise
        if error.headers.get("Content-Range") != f"bytes */{here}":  # equal means that `part` is complete
            raise WrongArchive(f"it is not the file that {part} is the beginning of") from None
        return
    with answer:
        if answer.status != 206:  # the server ignored the range and sends the whole file
            here = 0
        length = answer.headers.get("Content-Length")
        total = here + int(length) if length and length.isdecimal() else None
        if total and data_set.size and total != data_set.size:
            raise WrongArchive(f"it has {total:,} bytes, expected {data_set.size:,}")
        with part.open("ab" if here else "wb") as file:
            report(here, total)
            while piece := answer.read(2**20):
                file.write(piece)
                here += len(piece)
                report(here, total)
                if here > most:
                    raise WrongArchive(f"it has more than {most:,} bytes; deleted it")
    if total is not None and here != total:
        raise ConnectionError(f"the connection was lost after {here:,} of {total:,} bytes, which are kept")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into `folder`, without its top folder if it has only one. Raises ValueError if it is bad."""
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
        raise ValueError(f"{archive} is not a complete zip file ({why(error)}); deleted it, try again") from error


def _refuse_unsafe(archive: Path, members: list[ZipInfo]) -> None:
    """Raise ValueError if unpacking would write outside the folder, create a link, or fill the disk."""
    for member in members:
        name = PurePosixPath(member.filename)
        drive = any(re.match(r"[A-Za-z]:", part) for part in name.parts)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename or drive:
            raise ValueError(
                f"{archive} would write outside its folder, to {member.filename!r}; refused and deleted it"
            )
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"{archive} contains a link or device, {member.filename!r}; refused and deleted it")
    size = sum(member.file_size for member in members)  # zipfile writes no more than a member declares
    if size > LARGEST:
        raise ValueError(f"{archive} unpacks to {size:,} bytes, more than {LARGEST:,}; refused and deleted it")
