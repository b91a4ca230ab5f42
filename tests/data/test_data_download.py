import hashlib
import socket
import time
from pathlib import Path

import pytest
from file_server import server

from sweep.data import download as module
from sweep.data.download import Published, download
from sweep.errors import DataError

CONTENT = bytes(range(256)) * 4000


def published(url: str) -> Published:
    return Published(url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def test_a_file_is_fetched_with_progress(tmp_path: Path, told: list[str]) -> None:
    with server(CONTENT) as url:
        download(published(url), tmp_path / "file", told.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert told[0] == f"downloading {url} (1 MB)"
    assert told[-1] == f"downloading {url}: 100 %"
    assert 3 <= len(told) <= 11


@pytest.mark.parametrize(
    "content",
    [CONTENT[:-1], CONTENT[:-1] + b"x", b"", CONTENT + CONTENT],
    ids=["short", "changed", "empty", "long"],
)
def test_another_file_than_the_published_one_is_refused(
    tmp_path: Path, told: list[str], content: bytes
) -> None:
    with server(content) as url, pytest.raises(DataError, match="not the published one"):
        download(published(url), tmp_path / "file", told.append)


def test_no_more_than_the_published_size_is_fetched(tmp_path: Path, told: list[str]) -> None:
    with server(CONTENT * 20) as url, pytest.raises(DataError):
        download(published(url), tmp_path / "file", told.append)
    assert (tmp_path / "file").stat().st_size <= len(CONTENT) + module.CHUNK_BYTES


def test_a_connection_that_breaks_is_an_error(tmp_path: Path, told: list[str]) -> None:
    with (
        server(CONTENT[:1000], announced=len(CONTENT)) as url,
        pytest.raises(DataError, match="the download"),
    ):
        download(published(url), tmp_path / "file", told.append)


def test_an_answer_that_is_an_error_is_reported(tmp_path: Path, told: list[str]) -> None:
    with (
        server(b"", status=404) as url,
        pytest.raises(DataError, match="download failed") as raised,
    ):
        download(published(url), tmp_path / "file", told.append)
    assert "404" in str(raised.value.received)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://name.invalid/x", "nonsense"])
def test_no_server_is_an_error_with_a_way_out(tmp_path: Path, told: list[str], url: str) -> None:
    with pytest.raises(DataError, match="download failed") as raised:
        download(published(url), tmp_path / "file", told.append)
    assert "--data-dir" in str(raised.value.next_step)


def test_a_server_that_says_nothing_is_given_up_in_time(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(module, "STALL_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        started = time.monotonic()
        with pytest.raises(DataError, match="no answer within"):
            download(published(url), tmp_path / "file", told.append)
        assert time.monotonic() - started < 5
