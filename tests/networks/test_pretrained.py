"""Trained networks are downloaded once, verified each time, and never stored incompletely."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from cyclegan.metrics.features import load_features
from cyclegan.networks.pretrained import SOURCES, Source, downloaded, source_of


class Server(http.server.ThreadingHTTPServer):
    """Serves one file at any address, and counts the requests."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cut_after, self.asked = content, len(content), 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server from which SqueezeNet is downloaded into an empty cache folder."""
    content = weights.read_bytes()
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        source = Source(f"http://127.0.0.1:{server.server_port}/net.pth", sha256(content).hexdigest())
        monkeypatch.setitem(SOURCES, "squeezenet1_1", source)
        yield server
        server.shutdown()
        thread.join()


def kept(home: Path) -> list[str]:
    return [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]


def test_weights_are_downloaded_once_and_bear_the_plain_name(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        assert load_features("squeezenet1_1").name == "squeezenet1_1"
    assert server.asked == 1 and kept(tmp_path) == ["hub/checkpoints/net.pth"]


@pytest.mark.usefixtures("slow")
def test_a_slow_download_says_how_far_it_is(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    downloaded(SOURCES["squeezenet1_1"], "--weights")
    lines, whole = capsys.readouterr().err.splitlines(), len(server.content) // 2**20
    assert lines[0].startswith(f"net.pth: 2 of {whole} MiB (") and ", 0.0167 MiB/s, " in lines[0]
    assert lines[-1].startswith(f"net.pth: {whole} of {whole} MiB (100 %) in ")


def test_a_damaged_copy_is_fetched_anew(server: Server) -> None:
    path = downloaded(SOURCES["squeezenet1_1"], "--weights")
    path.write_bytes(server.content[:-1])
    assert downloaded(SOURCES["squeezenet1_1"], "--weights").read_bytes() == server.content and server.asked == 2


@pytest.mark.parametrize(
    "content, cut, told",
    [
        (b"other", 5, "(it has SHA-256 "),
        (None, 99, "connection lost after 99 of "),
        (None, 0, "connection lost after 0 of "),
    ],
)
def test_what_is_not_the_whole_file_is_never_kept(
    content: bytes | None, cut: int, told: str, server: Server, tmp_path: Path
) -> None:
    server.content, server.cut_after = content or server.content, cut
    with pytest.raises(ConnectionError, match=r"net\.pth could not be fetched \(") as caught:
        load_features("squeezenet1_1")
    said = str(caught.value)
    assert told in said and "\n" not in said and said.endswith("); pass the file with --features.weights")
    assert kept(tmp_path) == []


def test_without_the_network_it_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(SOURCES, "vgg16", Source("http://127.0.0.1:9/vgg16.pth", "0" * 64))
    with pytest.raises(ConnectionError) as caught:
        downloaded(SOURCES["vgg16"], "--weights")
    said = str(caught.value)
    assert said.startswith("http://127.0.0.1:9/vgg16.pth could not be fetched (") and "refused" in said
    assert "urlopen" not in said and "\n" not in said and kept(tmp_path) == []


def test_every_source_is_https_and_its_name_begins_its_sha256() -> None:
    for source in SOURCES.values():
        assert source.url.startswith("https://") and source.url.endswith(f"-{source.sha256[:8]}.pth")
        assert len(source.sha256) == 64


def test_any_classifier_of_torchvision_has_a_source() -> None:
    source = source_of("vgg19")
    assert source.url.startswith("https://") and source.file_name == f"vgg19-{source.sha256}.pth"
    with pytest.raises(ValueError, match="vgg99: no classifier of torchvision; take vgg19, "):
        source_of("vgg99")
