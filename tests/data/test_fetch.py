"""A data set is downloaded completely or not at all, over any connection, and nothing is written elsewhere."""

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
from urllib.request import Request
from zipfile import ZipFile, ZipInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyclegan.data.fetch import DATA_SETS, DataSet, _unpack, fetch
from tests.cli.test_cli import run_main

FILES = {"toy/trainA/2011-03-27 05:55:11.jpg": b"a" * 5000, "toy/trainB/x.jpg": bytes(range(256)) * 20}


def zipped(files: dict[str | ZipInfo, bytes] | dict[str, bytes]) -> bytes:
    with ZipFile(buffer := io.BytesIO(), "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one archive at /toy.zip with the faults that a test asks for, and records what it sent."""

    archive = zipped(FILES)
    knows_range = True
    cut_after: int | None = None

    sends_on_to: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sent: list[tuple[int, int]] = []  # status and bytes of each answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/toy.zip"

    @property
    def data_sets(self) -> dict[str, DataSet]:
        """A data set whose expected archive is the server's."""
        sha256 = hashlib.sha256(self.archive).hexdigest()
        return {"toy": DataSet((self.url,), sha256, len(self.archive), "a toy")}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.sends_on_to:
            self.send_response(302)
            self.send_header("Location", self.server.sends_on_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path != "/toy.zip":
            self.send_error(404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.server.knows_range else 0
        size = len(self.server.archive)
        status, body = (206 if start else 200), self.server.archive[start:]
        if start and start >= size:
            status, body = 416, b""
        self.server.sent.append((status, len(body[: self.server.cut_after])))  # before the client has any of it
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header(
                "Content-Range", f"bytes */{size}" if status == 416 else f"bytes {start}-{size - 1}/{size}"
            )
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving()


@pytest.fixture
def mirror() -> Iterator[Server]:
    """Another server, with the right archive."""
    yield from serving()


def serving() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def on_both(server: Server, mirror: Server) -> dict[str, DataSet]:
    """The data set of the mirror, with the address of the server before that of the mirror."""
    return {"toy": mirror.data_sets["toy"]._replace(urls=(server.url, mirror.url))}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_data_set_arrives_unpacked_and_leaves_nothing_else(server: Server, tmp_path: Path) -> None:
    reports: list[tuple[int, int | None]] = []
    fetched = fetch("toy", tmp_path / "data", data_sets=server.data_sets, report=lambda *told: reports.append(told))
    assert fetched == (tmp_path / "data" / "toy", hashlib.sha256(server.archive).hexdigest(), True)
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
    fetch("toy", tmp_path, data_sets={"toy": server.data_sets["toy"]._replace(size=None)})
    assert server.sent == [(416, 0), (200, len(server.archive))]
    assert contents(tmp_path) == FILES


def test_a_cut_connection_keeps_what_came_and_the_next_try_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut_after = 4000
    with pytest.raises(ConnectionError, match=r"lost after 4,000 of 10,\d+ bytes, which are kept\); try again"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == ["toy.zip.part"]
    server.cut_after = None
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == [(200, 4000), (206, len(server.archive) - 4000)]
    assert contents(tmp_path) == FILES


def test_a_beginning_of_another_archive_is_given_up(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").write_bytes(bytes(4000))
    fetch("toy", tmp_path, data_sets=server.data_sets)
    assert [status for status, _ in server.sent] == [206, 200]
    assert contents(tmp_path) == FILES


def test_an_archive_with_another_checksum_is_refused(server: Server, tmp_path: Path) -> None:
    right, wrong = hashlib.sha256(server.archive).hexdigest(), "0" * 64
    toy = server.data_sets["toy"]
    with pytest.raises(ValueError, match=rf"toy\.zip could not be fetched \(it has SHA-256 {right}, expected {wrong}"):
        fetch("toy", tmp_path, data_sets={"toy": toy._replace(sha256=wrong)})
    assert names(tmp_path) == []


def test_an_archive_of_another_size_is_not_even_fetched(server: Server, tmp_path: Path) -> None:
    toy = server.data_sets["toy"]._replace(size=99)
    with pytest.raises(ValueError, match=r"it has 10,\d+ bytes, expected 99"):
        fetch("toy", tmp_path, data_sets={"toy": toy})
    assert names(tmp_path) == []


def test_without_a_checksum_only_https_will_do(server: Server, tmp_path: Path) -> None:
    toy = server.data_sets["toy"]._replace(sha256=None)
    with pytest.raises(ValueError, match="it is not https, and no SHA-256 is known to verify it"):
        fetch("toy", tmp_path, data_sets={"toy": toy})
    assert names(tmp_path) == [] and server.sent == []


def test_without_a_checksum_nobody_is_sent_on_to_http(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test has no certificate, so it redirects to http and checks that https was requested."""
    server.sends_on_to = "http://127.0.0.1:9/toy.zip"
    monkeypatch.setattr("cyclegan.util.download.Request", lambda url, **rest: Request(f"http{url[5:]}", **rest))
    toy = server.data_sets["toy"]._replace(sha256=None, urls=(server.url.replace("http", "https"),))
    with pytest.raises(ConnectionError, match=r"it redirects to http://127\.0\.0\.1:9/toy\.zip, which is not https"):
        fetch("toy", tmp_path, data_sets={"toy": toy})


def test_without_a_checksum_it_is_said_that_https_alone_vouches(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cyclegan.util.download.Request", lambda url, **rest: Request(f"http{url[5:]}", **rest))
    toy = server.data_sets["toy"]._replace(sha256=None, urls=(server.url.replace("http", "https"),))
    monkeypatch.setitem(DATA_SETS, "toy", toy)
    assert run_main("fetch", "toy", "--root", tmp_path) == 0
    told = capsys.readouterr().out
    assert f"SHA-256 {hashlib.sha256(server.archive).hexdigest()}, no published checksum; downloaded over https" in told


def test_where_the_first_address_is_down_the_next_one_is_asked(server: Server, mirror: Server, tmp_path: Path) -> None:
    data_sets = on_both(server, mirror)
    data_sets["toy"] = data_sets["toy"]._replace(urls=(server.url + ".gone", "http://127.0.0.1:9/toy.zip", mirror.url))
    fetch("toy", tmp_path, data_sets=data_sets)
    assert mirror.sent == [(200, len(mirror.archive))] and contents(tmp_path) == FILES


def test_where_the_first_address_has_other_bytes_the_next_one_is_asked(
    server: Server, mirror: Server, tmp_path: Path
) -> None:
    server.archive = mirror.archive.replace(b"aaaa", b"aaab")
    fetch("toy", tmp_path, data_sets=on_both(server, mirror))
    assert server.sent == mirror.sent == [(200, len(mirror.archive))]
    assert contents(tmp_path) == FILES


def test_the_next_address_goes_on_where_the_first_one_was_cut(server: Server, mirror: Server, tmp_path: Path) -> None:
    server.cut_after = 4000
    fetch("toy", tmp_path, data_sets=on_both(server, mirror))
    assert mirror.sent == [(206, len(mirror.archive) - 4000)] and contents(tmp_path) == FILES


def test_a_cut_beginning_of_other_bytes_is_given_up_at_the_next_address(
    server: Server, mirror: Server, tmp_path: Path
) -> None:
    server.archive, server.cut_after = mirror.archive.replace(b"aaaa", b"aaab"), 4000
    fetch("toy", tmp_path, data_sets=on_both(server, mirror))
    assert [status for status, _ in mirror.sent] == [206, 200] and contents(tmp_path) == FILES


def test_where_all_addresses_fail_each_says_why_on_one_line(server: Server, mirror: Server, tmp_path: Path) -> None:
    data_sets = on_both(server, mirror)
    server.archive, mirror.archive = b"other", b"bytes"
    data_sets["toy"] = data_sets["toy"]._replace(urls=(server.url, mirror.url + ".gone", "http://127.0.0.1:9/toy.zip"))
    with pytest.raises(ConnectionError) as caught:
        fetch("toy", tmp_path, data_sets=data_sets)
    told = str(caught.value)
    assert "(it has 5 bytes, expected 10," in told and "404" in told and "refused" in told and "\n" not in told
    assert told.endswith(f"download it by hand and unzip it so that {tmp_path / 'toy' / 'trainA'} exists")
    assert names(tmp_path) == []


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
        (special(stat.S_IFLNK), "contains a link or device"),
        (special(stat.S_IFCHR), "contains a link or device"),
        (special(stat.S_IFIFO), "contains a link or device"),
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
    monkeypatch.setattr("cyclegan.data.fetch.LARGEST", 9999)
    with pytest.raises(ValueError, match="unpacks to 10,120 bytes, more than 9,999"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == []


def test_a_bomb_that_declares_less_than_it_holds_is_refused(server: Server, tmp_path: Path) -> None:
    server.archive = zipped({"toy/trainA/x.jpg": bytes(10**6)}).replace(struct.pack("<L", 10**6), struct.pack("<L", 9))
    with pytest.raises(ValueError, match="is not a complete zip file"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["toy/trainA/x", "toy/" + "x" * 300, "toy/trainA/x/y/z"])
def test_names_that_no_folder_can_hold_are_refused(name: str, server: Server, tmp_path: Path) -> None:
    server.archive = zipped({"toy/trainA/x/y": b"a", "toy/trainA": b"b", name: b"c"})
    with pytest.raises(ValueError, match=r"toy\.zip\.part is not a complete zip file") as caught:
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
        _unpack(folder / "toy.zip.part", folder / "toy")
    except ValueError as error:
        assert "toy.zip.part" in str(error) and "\n" not in str(error)
        assert names(folder) == ["toy.zip.part"]
    else:
        assert set(contents(folder / "toy").values()) <= set(FILES.values())


@pytest.mark.parametrize(
    "archive",
    [b"<html>moved</html>", zipped(FILES).replace(b"aaaa", b"aaab"), b""],
    ids=["a page", "a damaged file", "nothing"],  # an archive has the time in it
)
def test_what_is_no_whole_zip_file_is_deleted(archive: bytes, server: Server, tmp_path: Path) -> None:
    server.archive = archive
    with pytest.raises(ValueError, match=r"toy\.zip\.part is not a complete zip file"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert names(tmp_path) == []


def test_a_data_set_that_is_there_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    with pytest.raises(FileExistsError, match="already exists"):
        fetch("toy", tmp_path, data_sets=server.data_sets)
    assert server.sent == []


def test_an_unknown_name_shows_the_nearest_and_all(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'horse2zebr'; did you mean horse2zebra\? choose one of ae_photos, apple2orange"
    ):
        fetch("horse2zebr", tmp_path)


def test_a_missing_archive_says_how_to_go_on_by_hand(server: Server, tmp_path: Path) -> None:
    gone = server.data_sets["toy"]._replace(urls=(server.url + ".gone",))
    with pytest.raises(ConnectionError, match=r"the server answered 404 Not Found\).*download it by hand") as caught:
        fetch("toy", tmp_path, data_sets={"toy": gone})
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_says_so(tmp_path: Path) -> None:
    with Server() as closed:
        data_sets = closed.data_sets
    with pytest.raises(ConnectionError, match=r"could not be fetched \(.*refused"):
        fetch("toy", tmp_path, data_sets=data_sets)


def test_known_data_sets_are_the_authors_https_first_and_all_but_one_pinned() -> None:
    assert len(DATA_SETS) == 11
    for name, data_set in DATA_SETS.items():
        assert [url.partition(":")[0] for url in data_set.urls] == ["https", "http"]
        assert all(url.endswith(f".berkeley.edu/cyclegan/datasets/{name}.zip") for url in data_set.urls)
        assert (data_set.sha256 is None) == (data_set.size is None) == (name == "ae_photos")
        assert data_set.sha256 is None or re.fullmatch("[0-9a-f]{64}", data_set.sha256)
