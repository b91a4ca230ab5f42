"""Fetch a published file over HTTP: with progress, in bounded time, and verified."""

import hashlib
import http.client
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import DataError

CONNECT_SECONDS = 8.0
STALL_SECONDS = 20.0
CHUNK_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Published:
    """A file as its publisher describes it.

    Attributes:
        url: Where it is.
        sha256: Its checksum, hexadecimal.
        size_bytes: Its exact size.
    """

    url: str
    sha256: str
    size_bytes: int


def download(file: Published, path: Path, progress: Callable[[str], None]) -> None:
    """Download a file to `path`.

    Args:
        file: What to fetch.
        path: Where to write it; what is there after an error is rubbish.
        progress: Told how far it is, every tenth of the way.

    Raises:
        DataError: The server cannot be reached within `CONNECT_SECONDS`, sends nothing for
            `STALL_SECONDS`, or sends another file.
    """
    progress(f"downloading {file.url} ({file.size_bytes / 1e6:.0f} MB)")
    try:
        with _connect(file.url) as response:
            digest, received = _save(response, file, path, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(
            "the download failed",
            where=file.url,
            received=str(error) or type(error).__name__,
            next_step="check the network, or name a directory that has the data with --data-dir",
        ) from error
    if digest != file.sha256:
        raise DataError(
            "the downloaded file is not the published one",
            where=file.url,
            expected=f"{file.size_bytes} bytes, SHA-256 {file.sha256}",
            received=f"{received} bytes, SHA-256 {digest}",
            next_step="try again, or name a directory that has the data with --data-dir",
        )


def _connect(url: str) -> http.client.HTTPResponse:
    """Open the URL in a thread: looking up a host name heeds no timeout and may take minutes."""
    answers: queue.SimpleQueue[http.client.HTTPResponse | OSError] = queue.SimpleQueue()

    def open_url() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=STALL_SECONDS))
        except urllib.error.HTTPError as error:
            error.close()
            answers.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=open_url, name="sweep-download", daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} seconds") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _save(
    response: http.client.HTTPResponse,
    file: Published,
    path: Path,
    progress: Callable[[str], None],
) -> tuple[str, int]:
    digest = hashlib.sha256()
    received, tenths = 0, 0
    with path.open("wb") as target:
        while received <= file.size_bytes and (chunk := response.read(CHUNK_BYTES)):
            target.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if received * 10 // file.size_bytes > tenths:
                tenths = received * 10 // file.size_bytes
                progress(f"downloading {file.url}: {min(tenths, 10) * 10} %")
    return digest.hexdigest(), received
