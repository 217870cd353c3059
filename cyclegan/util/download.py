"""Downloads with a timeout and short error messages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from ssl import SSLError
from typing import IO, cast
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

SILENCE = 60
"""Seconds without data from the server after which a download fails."""

FAILURES = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError)
"""The exceptions that are raised when the network or a server fails."""


def open_url(url: str, headers: Mapping[str, str] | None = None, *, only_https: bool) -> HTTPResponse:
    """Request a URL and return the open response. `only_https` refuses redirects to anything but https.

    Raises one of `FAILURES` when the network or the server fails.
    """
    opener = build_opener(*([_OnlyHttps] if only_https else []))
    return cast(HTTPResponse, opener.open(Request(url, headers=dict(headers or {})), timeout=SILENCE))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def why(error: Exception) -> str:
    """Return the reason of a failed download, in one line."""
    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return " ".join(str(error.reason if isinstance(error, URLError) else error).split()) or type(error).__name__


class _OnlyHttps(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Raise URLError for a redirect to anything but https."""
        if not newurl.startswith("https:"):
            raise URLError(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
