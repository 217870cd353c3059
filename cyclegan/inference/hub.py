"""Generators on the Hugging Face hub: fetched by their repository's name, pushed to it.

huggingface_hub takes most of a second to import, so only the functions that ask the hub import it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cyclegan.inference.generator_file import direction_of
from cyclegan.types import Direction
from cyclegan.util.text import one_line, reason

NAME = re.compile(
    r"(?!.*(?:--|\.\.))"  # the hub allows neither
    r"(?P<repository>[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?/[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?)"
    r"(?:@(?P<revision>[A-Za-z0-9_][\w.-]{0,250}))?",
    re.ASCII,
)
"""`user/name`, or `user/name@revision`."""

OURS = (".safetensors", ".pth", ".pt")
"""A path that ends so means a file on this disk."""

MOST = 8
"""Files of weights in a repository of generators; one with more was made for something else, and may be huge."""

LARGEST = 2 * 2**30
"""Bytes of weights that are loaded from one repository; a generator as in the reference takes 46 million."""

LIBRARY = "cyclegan"
"""The name under which the hub is asked."""

LOGIN = "log in by `hf auth login`, or set HF_TOKEN"

log = logging.getLogger(__name__)


def is_hub_name(path: Path) -> bool:
    """Whether a path can only mean a repository: nothing on this disk, not even its first part, and the form of one.

    So a typo below a folder that exists, `runs/hrose`, never asks the network.
    """
    name = path.as_posix()
    return bool(NAME.fullmatch(name)) and path.suffix not in OURS and not (path.exists() or path.parent.exists())


def fetch_generators(name: str) -> dict[Direction, Path]:
    """The generators in a repository, downloaded or from the library's cache, by the direction that each says it has.

    A file that does not say one, when it is alone, is given as AtoB: reading it tells what is wrong with it.
    Raises FileNotFoundError for what is not there, ValueError where a direction has several files or all are beyond
    `LARGEST`, PermissionError where the hub refuses, ConnectionError where it cannot be reached.
    """
    files = _fetch(name)
    if not files:
        raise FileNotFoundError(f"{name}: no .safetensors file at the top of this repository; is it one of cyclegan?")
    if len(files) == 1:
        return {direction_of(files[0]) or Direction.AtoB: files[0]}
    found: dict[Direction, Path] = {}
    for file in files:
        if (direction := direction_of(file)) in found:
            both = f"{one_line(found[direction].name, 80)} and {one_line(file.name, 80)}"
            raise ValueError(f"{name}: {both} translate {direction}; download the one you want, and give its path")
        if direction:
            found[direction] = file
    if not found:
        raise ValueError(f"{name}: none of its {len(files)} .safetensors files was written by `cyclegan export`")
    return found


def choose(name: str, direction: Direction | None) -> Path:
    """The generator of a repository that translates so; without a direction AtoB, or the only one there is.

    Raises ValueError where there is none, and what `fetch_generators` raises.
    """
    found = fetch_generators(name)
    if direction is None:
        return found.get(Direction.AtoB) or next(iter(found.values()))
    if direction not in found:
        raise ValueError(f"{name}: translates {' and '.join(found)}, not {direction}")
    return found[direction]


def push(name: str, files: Mapping[str, Path], *, private: bool) -> str:
    """Put files, by their names there, into a repository in one commit; it is made if need be. Returns its address.

    Raises PermissionError where the hub refuses, ConnectionError where it cannot be reached, ValueError for a name or
    card that it does not take.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name=LIBRARY)
    with _in_one_line(name):
        address = api.create_repo(name, private=private, exist_ok=True)
        additions = [CommitOperationAdd(there, str(here)) for there, here in files.items()]
        api.create_commit(name, additions, commit_message=f"Add {next(iter(files))}")
    return str(address)


def read_text(name: str, file: str) -> str | None:
    """A small text file of a repository as it is now; None where there is no such file or repository.

    Raises what `push` raises.
    """
    from huggingface_hub import errors, hf_hub_download

    with _in_one_line(name):
        try:
            return Path(hf_hub_download(name, file)).read_text(encoding="utf-8", errors="replace")
        except errors.LocalEntryNotFoundError:  # it says that the hub could not be asked
            raise
        except (errors.EntryNotFoundError, errors.RepositoryNotFoundError):
            return None


def check_name(name: str) -> None:
    """Raise ValueError unless a repository may have this name."""
    match = NAME.fullmatch(name)
    if match is None or match["revision"]:
        raise ValueError(f"{one_line(name, 100)}: no name of a repository; write user/name")


def _fetch(name: str) -> list[Path]:
    """Every .safetensors file at the top of a repository; where the hub cannot be reached, of the copy kept here."""
    from huggingface_hub import HfApi, hf_hub_download

    match = NAME.fullmatch(name)
    assert match
    place: dict[str, Any] = {"repo_id": match["repository"], "revision": match["revision"]}
    with _in_one_line(name):
        try:
            told = HfApi(library_name=LIBRARY).model_info(**place, files_metadata=True).siblings or []
        except Exception as error:
            if not _unreachable(error) or not (kept := _kept(place)):
                raise
            log.warning("%s: the hub was not asked, taking the copy kept from last time", name)
            return kept
        sizes = {file.rfilename: file.size for file in told if re.fullmatch(r"[^/]+\.safetensors", file.rfilename)}
        _refuse_large(name, sizes)
        return [Path(hf_hub_download(filename=file, **place)) for file in sorted(sizes)]


def _refuse_large(name: str, sizes: Mapping[str, int | None]) -> None:
    """Raise ValueError, before anything is downloaded, for more than a repository of generators holds."""
    if len(sizes) > MOST:
        raise ValueError(f"{name}: it holds {len(sizes)} .safetensors files; is it a repository of cyclegan?")
    if unknown := [file for file, size in sizes.items() if size is None]:
        raise ValueError(f"{name}: the hub does not say how large {one_line(unknown[0], 80)} is; download it by hand")
    if (total := sum(size or 0 for size in sizes.values())) > LARGEST:
        raise ValueError(
            f"{name}: its .safetensors files take {total / 2**30:,.1f} GiB, more than the {LARGEST // 2**30} GiB that "
            f"are loaded from there; download the one that you want, and give its path"
        )


def _kept(place: dict[str, Any]) -> list[Path]:
    """What the library's cache holds of a revision."""
    from huggingface_hub import errors, snapshot_download

    try:
        return sorted(Path(snapshot_download(**place, local_files_only=True)).glob("*.safetensors"))
    except errors.LocalEntryNotFoundError:
        return []


@contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    """Turn what the library raises, pages with addresses in them, into one line about the repository."""
    try:
        yield
    except Exception as error:  # transport, xet and API each raise their own, and others in other versions
        if type(error) is ValueError and str(error).startswith(name):  # ours
            raise
        raise _told(name, error) from None


def _told(name: str, error: Exception) -> Exception:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    why = reason(error.__cause__ or error)
    match error:
        case errors.OfflineModeIsEnabled():
            return ConnectionError(f"{name}: HF_HUB_OFFLINE is set, and no copy of it is kept here")
        case errors.LocalEntryNotFoundError():
            return ConnectionError(f"{name}: the hub cannot be reached, and no copy of it is kept here: {why}")
        case errors.GatedRepoError():
            return PermissionError(f"{name}: its owner decides who may load it; ask on its page, and {LOGIN}")
        case errors.RevisionNotFoundError():
            return FileNotFoundError(f"{name}: the hub knows the repository, but not the revision")
        case errors.RepositoryNotFoundError():
            return FileNotFoundError(f"{name}: not on this disk, and no such repository; if it is private, {LOGIN}")
        case errors.HfHubHTTPError() if status == 401:
            return PermissionError(f"{name}: the hub does not know who you are; {LOGIN}")
        case errors.HfHubHTTPError() if status == 403:
            return PermissionError(f"{name}: the hub refuses; is it yours, and may your token write?")
        case errors.HfHubHTTPError() if status is not None:
            return ConnectionError(f"{name}: the hub answered {status}: {_server_says(error)}")
        case ValueError():
            return ValueError(f"{name}: {reason(error)}")
        case OSError() if type(error).__module__ == "builtins" and not isinstance(error, ConnectionError):
            return OSError(f"{name}: {reason(error)}")  # a full disk, not the hub
    return ConnectionError(f"{name}: the hub cannot be reached: {why}")


def _server_says(error: Any) -> str:
    return one_line(str(getattr(error, "server_message", None) or error))


def _unreachable(error: Exception) -> bool:
    """Whether the hub gave no answer at all."""
    return getattr(error, "response", None) is None and not isinstance(error, ValueError)
