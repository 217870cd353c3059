"""Generators on the Hugging Face hub: download them by repository name, and push them.

huggingface_hub takes most of a second to import, so only the functions that contact the hub import it.
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
    r"(?!.*(?:--|\.\.))"  # the hub forbids both
    r"(?P<repository>[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?/[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?)"
    r"(?:@(?P<revision>[A-Za-z0-9_][\w.-]{0,250}))?",
    re.ASCII,
)
"""`user/name`, or `user/name@revision`."""

OURS = (".safetensors", ".pth", ".pt")
"""Suffixes that always mean a file on this disk."""

MOST = 8
"""Largest number of weight files in a repository; one with more was made for something else, and may be huge."""

LARGEST = 2 * 2**30
"""Largest total size, in bytes, of weights downloaded from a repository; a default generator has 46 million bytes."""

LIBRARY = "cyclegan"
"""The library name sent to the hub with each request."""

LOGIN = "log in with `hf auth login`, or set HF_TOKEN"

log = logging.getLogger(__name__)


def is_hub_name(path: Path) -> bool:
    """Return whether a path must be a hub repository: it has the form of one, and neither it nor its parent exists.

    So a typo below an existing folder, such as `runs/hrose`, does not contact the hub.
    """
    name = path.as_posix()
    return bool(NAME.fullmatch(name)) and path.suffix not in OURS and not (path.exists() or path.parent.exists())


def fetch_generators(name: str) -> dict[Direction, Path]:
    """Download the generators of a repository, or take them from the cache; returns their files by direction.

    A single file without a direction is returned as AtoB; reading it raises the error about it.
    Raises FileNotFoundError when the repository or its weights do not exist, ValueError when a direction has several
    files or the files exceed `LARGEST` bytes, PermissionError when the hub denies access, and ConnectionError when it
    cannot be reached.
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
    """Download the generator of a direction; without a direction, AtoB or the only one. Returns its file.

    Raises ValueError when the repository has no generator of this direction, and what `fetch_generators` raises.
    """
    found = fetch_generators(name)
    if direction is None:
        return found.get(Direction.AtoB) or next(iter(found.values()))
    if direction not in found:
        raise ValueError(f"{name}: translates {' and '.join(found)}, not {direction}")
    return found[direction]


def push(name: str, files: Mapping[str, Path], *, private: bool) -> str:
    """Upload files, given by their names in the repository, in one commit; returns the URL of the repository.

    The repository is created if it does not exist. Raises PermissionError when the hub denies access, ConnectionError
    when it cannot be reached, and ValueError when it rejects the name or the model card.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name=LIBRARY)
    with _in_one_line(name):
        address = api.create_repo(name, private=private, exist_ok=True)
        additions = [CommitOperationAdd(there, str(here)) for there, here in files.items()]
        api.create_commit(name, additions, commit_message=f"Add {next(iter(files))}")
    return str(address)


def read_text(name: str, file: str) -> str | None:
    """Return the current text of a small file in a repository; None if the file or the repository does not exist.

    Raises what `push` raises.
    """
    from huggingface_hub import errors, hf_hub_download

    with _in_one_line(name):
        try:
            return Path(hf_hub_download(name, file)).read_text(encoding="utf-8", errors="replace")
        except errors.LocalEntryNotFoundError:  # the hub could not be reached
            raise
        except (errors.EntryNotFoundError, errors.RepositoryNotFoundError):
            return None


def check_name(name: str) -> None:
    """Raise ValueError unless this is a valid name of a repository."""
    match = NAME.fullmatch(name)
    if match is None or match["revision"]:
        raise ValueError(f"{one_line(name, 100)}: not the name of a repository; write user/name")


def _fetch(name: str) -> list[Path]:
    """Download the .safetensors files at the top of a repository; if the hub cannot be reached, use the cached copy."""
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
            log.warning("%s: no answer from the hub; using the cached copy", name)
            return kept
        sizes = {file.rfilename: file.size for file in told if re.fullmatch(r"[^/]+\.safetensors", file.rfilename)}
        _refuse_large(name, sizes)
        return [Path(hf_hub_download(filename=file, **place)) for file in sorted(sizes)]


def _refuse_large(name: str, sizes: Mapping[str, int | None]) -> None:
    """Raise ValueError, before anything is downloaded, when there are too many files or they are too large."""
    if len(sizes) > MOST:
        raise ValueError(
            f"{name}: has {len(sizes)} .safetensors files, more than the {MOST} that are loaded; download the one that "
            f"you want, and give its path"
        )
    if unknown := [file for file, size in sizes.items() if size is None]:
        raise ValueError(f"{name}: the hub does not say how large {one_line(unknown[0], 80)} is; download it by hand")
    if (total := sum(size or 0 for size in sizes.values())) > LARGEST:
        raise ValueError(
            f"{name}: its .safetensors files take {total / 2**30:,.1f} GiB, more than the {LARGEST // 2**30} GiB that "
            f"are loaded; download the one that you want, and give its path"
        )


def _kept(place: dict[str, Any]) -> list[Path]:
    """Return the .safetensors files of a revision that are in the library's cache."""
    from huggingface_hub import errors, snapshot_download

    try:
        return sorted(Path(snapshot_download(**place, local_files_only=True)).glob("*.safetensors"))
    except errors.LocalEntryNotFoundError:
        return []


@contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    """Replace the library's long errors by one-line errors about the repository."""
    try:
        yield
    except Exception as error:  # transport, xet and API each raise their own types, which change between versions
        if type(error) is ValueError and str(error).startswith(name):  # raised above
            raise
        raise _told(name, error) from None


def _told(name: str, error: Exception) -> Exception:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    why = reason(error.__cause__ or error)
    match error:
        case errors.OfflineModeIsEnabled():
            return ConnectionError(f"{name}: HF_HUB_OFFLINE is set, and there is no cached copy")
        case errors.LocalEntryNotFoundError():
            return ConnectionError(f"{name}: the hub cannot be reached, and there is no cached copy: {why}")
        case errors.GatedRepoError():
            return PermissionError(f"{name}: access is restricted; request it on the repository's page, then {LOGIN}")
        case errors.RevisionNotFoundError():
            return FileNotFoundError(f"{name}: the repository exists on the hub, but this revision does not")
        case errors.RepositoryNotFoundError():
            return FileNotFoundError(f"{name}: no such file, folder or repository; if it is private, {LOGIN}")
        case errors.HfHubHTTPError() if status == 401:
            return PermissionError(f"{name}: the hub requires a login; {LOGIN}")
        case errors.HfHubHTTPError() if status == 403:
            return PermissionError(f"{name}: the hub denies access; check who owns it and that your token may write")
        case errors.HfHubHTTPError() if status is not None:
            return ConnectionError(f"{name}: the hub answered {status}: {_server_says(error)}")
        case ValueError():
            return ValueError(f"{name}: {reason(error)}")
        case OSError() if type(error).__module__ == "builtins" and not isinstance(error, ConnectionError):
            return OSError(f"{name}: {reason(error)}")  # from this machine, such as a full disk
    return ConnectionError(f"{name}: the hub cannot be reached: {why}")


def _server_says(error: Any) -> str:
    return one_line(str(getattr(error, "server_message", None) or error))


def _unreachable(error: Exception) -> bool:
    """Return whether the hub did not answer at all."""
    return getattr(error, "response", None) is None and not isinstance(error, ValueError)
