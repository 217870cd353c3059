"""A data set arrives whole or not at all, over any connection, and writes nowhere else."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile, ZipInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyclegan.images.fetch import DATA_SETS, DataSet, _unpack, fetch

FILES = {"toy/trainA/2011-03-27 05:55:11.jpg": b"a" * 5000, "toy/trainB/x.jpg": bytes(range(256)) * 20}


def zipped(files: dict[str | ZipInfo, bytes] | dict[str, bytes]) -> bytes:
    with ZipFile(buffer := io.BytesIO(), "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one archive at /toy.zip, as well or as badly as a test asks, and remembers what it sent."""

    archive = zipped(FILES)
    knows_range = True
    cut_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sent: list[tuple[int, int]] = []  # status and bytes of each answer

    @property
    def data_sets(self) -> dict[str, DataSet]:
        return {"toy": DataSet(f"http://127.0.0.1:{self.server_port}/toy.zip", None, "a toy")}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path != "/toy.zip":
            self.send_error(404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.server.knows_range else 0
        size = len(self.server.archive)
        status, body = (206 if start else 200), self.server.archive[start:]
        if start and start >= size:
            status, body = 416, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header(
                "Content-Range", f"bytes */{size}" if status == 416 else f"bytes {start}-{size - 1}/{size}"
            )
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])
        self.server.sent.append((status, len(body[: self.server.cut_after])))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_data_set_arrives_unpacked_and_leaves_nothing_else(server: Server, tmp_path: Path) -> None:
    reports: list[tuple[int, int | None]] = []
    fetched = fetch("toy", tmp_path / "data", data_sets=server.data_sets, report=lambda *told: reports.append(told))
    assert fetched == (tmp_path / "data" / "toy", hashlib.sha256(server.archive).hexdigest())
    assert contents(tmp_path / "data") == FILES
    assert names(tmp_path / "data") == ["toy"]
    assert (reports[0], reports[-1]) == ((0, len(server.archive)), (len(server.archive), len(server.archive)))


def test_an_archive_without_a_top_folder_is_taken_as_it_is(server: Server, tmp_path: Path) -> None:
    server.archive = zipped({"trainA/x.jpg": b"a", "trainB/x.jpg": b"b", "__MACOSX/trainA/._x.jpg": b"c"})
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert contents(tmp_path / "toy") == {"trainA/x.jpg": b"a", "trainB/x.jpg": b"b"}


def test_only_the_missing_part_is_sent(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").write_bytes(server.archive[:4000])
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == [(206, len(server.archive) - 4000)]
    assert contents(tmp_path) == FILES


def test_a_server_that_knows_no_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.knows_range = False
    (tmp_path / "toy.zip.part").write_bytes(server.archive[:4000])
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == [(200, len(server.archive))]
    assert contents(tmp_path) == FILES


def test_a_complete_archive_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").write_bytes(server.archive)
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == [(416, 0)]
    assert contents(tmp_path) == FILES


def test_an_archive_longer_than_the_servers_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").write_bytes(server.archive + b"more")
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == [(416, 0), (200, len(server.archive))]
    assert contents(tmp_path) == FILES


def test_a_cut_connection_keeps_what_came_and_the_next_try_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut_after = 4000
    with pytest.raises(ConnectionError, match=r"cut after 4,000 of 10,\d+ bytes, which are kept\); try again"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == ["toy.zip.part"]
    server.cut_after = None
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == [(200, 4000), (206, len(server.archive) - 4000)]
    assert contents(tmp_path) == FILES


def test_a_known_checksum_is_checked(server: Server, tmp_path: Path) -> None:
    right, wrong = hashlib.sha256(server.archive).hexdigest(), "0" * 64
    toy = server.data_sets["toy"]
    with pytest.raises(ValueError, match=f"has SHA-256 {right}, expected {wrong}; deleted it"):
        fetch("toy", tmp_path, data_sets={"toy": toy._replace(sha256=wrong)})
    assert names(tmp_path) == []
    fetch("toy", tmp_path, data_sets={"toy": toy._replace(sha256=right)})
    assert contents(tmp_path) == FILES


def special(kind: int) -> ZipInfo:
    member = ZipInfo("toy/trainA/x.jpg")
    member.external_attr = (kind | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../escaped.txt", "would write outside"),
        ("toy/../../escaped.txt", "would write outside"),
        ("/tmp/escaped.txt", "would write outside"),
        ("C:/escaped.txt", "would write outside"),
        ("toy/C:/escaped.txt", "would write outside"),
        ("..\\escaped.txt", "would write outside"),
        ("toy\\..\\..\\escaped.txt", "would write outside"),
        ("//server/share/escaped.txt", "would write outside"),
        (special(stat.S_IFLNK), "holds a link or device"),
        (special(stat.S_IFCHR), "holds a link or device"),
        (special(stat.S_IFIFO), "holds a link or device"),
    ],
)
def test_an_unsafe_archive_is_refused_and_nothing_written(
    member: str | ZipInfo, reason: str, server: Server, tmp_path: Path
) -> None:
    server.archive = zipped({"toy/trainA/good.jpg": b"good", member: b"/etc/passwd"})
    with pytest.raises(ValueError, match=f"{reason}.*refused and deleted it") as caught:
        fetch("toy", tmp_path / "data", data_sets=server.data_sets)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == {}
    assert names(tmp_path / "data") == []


def test_a_bomb_is_refused(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclegan.images.fetch.LARGEST", 9999)
    with pytest.raises(ValueError, match="unpacks to 10,120 bytes, more than 9,999"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == []


def test_a_bomb_that_declares_less_than_it_holds_is_refused(server: Server, tmp_path: Path) -> None:
    server.archive = zipped({"toy/trainA/x.jpg": bytes(10**6)}).replace(struct.pack("<L", 10**6), struct.pack("<L", 9))
    with pytest.raises(ValueError, match="no whole zip file"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["toy/trainA/x", "toy/" + "x" * 300, "toy/trainA/x/y/z"])
def test_names_that_no_folder_can_hold_are_refused(name: str, server: Server, tmp_path: Path) -> None:
    server.archive = zipped({"toy/trainA/x/y": b"a", "toy/trainA": b"b", name: b"c"})
    with pytest.raises(ValueError, match=r"toy\.zip\.part is no whole zip file") as caught:
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == [] and "\n" not in str(caught.value)


quick = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@quick
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4))
def test_a_damaged_archive_is_unpacked_whole_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[float, bytes]]
) -> None:
    folder, content = tmp_path_factory.mktemp("damaged"), zipped(FILES)
    for place, new in places:
        at = int(place * len(content))
        content = content[:at] + new + content[at + 2 :]
    (folder / "toy.zip.part").write_bytes(content)
    try:
        _unpack(folder / "toy.zip.part", folder / "toy", None)
    except ValueError as error:
        assert "toy.zip.part" in str(error) and "\n" not in str(error)
        assert names(folder) == ["toy.zip.part"]
    else:
        assert set(contents(folder / "toy").values()) <= set(FILES.values())


@pytest.mark.parametrize("archive", [b"<html>moved</html>", zipped(FILES).replace(b"aaaa", b"aaab"), b""])
def test_what_is_no_whole_zip_file_is_deleted(archive: bytes, server: Server, tmp_path: Path) -> None:
    server.archive = archive
    with pytest.raises(ValueError, match=r"toy\.zip\.part is no whole zip file"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == []


def test_a_data_set_that_is_there_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    with pytest.raises(FileExistsError, match="already there"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == []


def test_an_unknown_name_shows_the_nearest_and_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'horse2zebr'; did you mean horse2zebra\? there are ae_photos, apple2orange"):
        fetch("horse2zebr", tmp_path)


def test_a_missing_archive_says_how_to_go_on_by_hand(server: Server, tmp_path: Path) -> None:
    gone = server.data_sets["toy"]._replace(url=server.data_sets["toy"].url + ".gone")
    with pytest.raises(ConnectionError, match=r"the server answered 404 Not Found\).*download it by hand") as caught:
        fetch("toy", tmp_path, data_sets={"toy": gone})
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_says_so(tmp_path: Path) -> None:
    with Server() as closed:
        data_sets = closed.data_sets
    with pytest.raises(ConnectionError, match=r"could not be fetched \(.*refused"):
        fetch("toy", tmp_path, data_sets=data_sets)


def test_known_data_sets_are_the_authors() -> None:
    assert len(DATA_SETS) == 11
    assert all(data_set.url.endswith(f"/{name}.zip") for name, data_set in DATA_SETS.items())
