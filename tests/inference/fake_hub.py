"""A local stand-in for the hub: the part of the Hugging Face API that pushing and loading a generator use."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGENTS = "/api/agent-harnesses"
"""What the library asks once a day by itself where it takes its user for a program; not recorded."""


class FakeHub(http.server.ThreadingHTTPServer):
    """Repositories by name, each a dictionary of files; `asked` records all requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.sizes: dict[str, int | None] = {}
        """Sizes to report instead of the true ones, by file name."""
        self.commits: list[list[str]] = []
        self.asked: list[str] = []
        self.uploaded: dict[str, bytes] = {}
        self.answer: int | None = None
        """The answer to every request, if it is set."""
        self.token = "token"

    def commit(self, name: str) -> str:
        """The commit hash; the library assumes that a commit never changes."""
        return hashlib.sha1(repr(sorted(self.repositories[name].items())).encode()).hexdigest()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(content))} | {k.replace("_", "-"): v for k, v in headers.items()}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, data: Any, status: int = 200, **headers: str) -> None:
        self._send(status, json.dumps(data).encode(), Content_Type="application/json", **headers)

    def _begin(self) -> tuple[str, bytes]:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, self.query = self.path.partition("?")
        if path != AGENTS:
            self.server.asked.append(f"{self.command} {path}")
        return path, body

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _ = self._begin()
        if self.server.answer:
            return self._json({"error": "as the test wants"}, self.server.answer)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            return self._info(match[1], match[2])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(match[1], match[2], match[3])
        self._json({"error": "no such page"}, 404)

    def _info(self, name: str, revision: str | None) -> None:
        if name not in self.server.repositories:
            return self._json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        if revision not in (None, "main", self.server.commit(name)):
            return self._json({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
        siblings: list[dict[str, Any]] = [{"rfilename": file} for file in self.server.repositories[name]]
        if "blobs=" in self.query:
            for file in siblings:
                content = self.server.repositories[name][file["rfilename"]]
                file["size"] = self.server.sizes.get(file["rfilename"], len(content))
        about = {"id": name, "modelId": name, "tags": [], "downloads": 0, "likes": 0, "private": False}
        self._json(about | {"sha": self.server.commit(name), "siblings": siblings})

    def _file(self, name: str, revision: str, file: str) -> None:
        if name not in self.server.repositories:
            return self._json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        content, commit = self.server.repositories[name].get(file), self.server.commit(name)
        if content is None:
            return self._json({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self._send(200, content, ETag=etag, X_Repo_Commit=commit, Accept_Ranges="bytes")

    def do_PUT(self) -> None:
        path, body = self._begin()
        self.server.uploaded[path.rsplit("/", 1)[1]] = body
        self._send(200)

    def do_POST(self) -> None:
        path, body = self._begin()
        if self.server.answer:
            return self._json({"error": "as the test wants"}, self.server.answer)
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self._json({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path.endswith("/preupload/main"):
            modes = [
                {"path": path, "shouldIgnore": False, "uploadMode": "regular" if path.endswith(".md") else "lfs"}
                for path in (file["path"] for file in json.loads(body)["files"])
            ]
            return self._json({"files": modes})
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                thing | {"actions": {"upload": {"href": f"{self.server.address}/lfs/{thing['oid']}", "header": {}}}}
                for thing in json.loads(body)["objects"]
            ]
            return self._json({"transfer": "basic", "objects": objects})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            return self._commit(match[1], body)
        self._json({"error": "no such page"}, 404)

    def _create(self, told: dict[str, Any]) -> None:
        name = f"{told['organization']}/{told['name']}" if told.get("organization") else f"someone/{told['name']}"
        url = f"{self.server.address}/{name}"
        if name in self.server.repositories:
            return self._json({"error": "You already created this model repo", "url": url}, 409)
        self.server.repositories[name] = {}
        self.server.private[name] = told.get("private") is True or told.get("visibility") == "private"
        self._json({"url": url, "name": name})

    def _commit(self, name: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        files: dict[str, bytes] = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.uploaded[value["oid"]]
        self.server.repositories[name] |= files
        self.server.commits.append(sorted(files))
        oid = self.server.commit(name)
        url = f"{self.server.address}/{name}/commit/{oid}"
        self._json({"success": True, "commitUrl": url, "commitOid": oid, "pullRequestUrl": None})
