"""Objects in an S3-compatible server that runs beside the tests, and one that refuses."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from postgres_server import free_port
from s3_server import SECRET, TestBucket

from sweep.errors import CheckpointError, SweepError, UsageError
from sweep.executors.artifacts import Checkpoints
from sweep.executors.s3 import S3Objects
from sweep.executors.s3_address import S3Address

WRITER = """
import sys
from sweep.executors.artifacts import Checkpoints
checkpoints = Checkpoints.at(sys.argv[1])
while True:
    for letter in b"xyz":
        checkpoints.write("checkpoint-0-a", bytes([letter]) * 8_000_000)
"""


@pytest.fixture
def objects(s3: TestBucket) -> S3Objects:
    return S3Objects(S3Address.parse(s3.address))


def fails(objects: S3Objects, message: str) -> SweepError:
    with pytest.raises(SweepError, match=message) as caught:
        objects.check()
    assert SECRET not in str(caught.value)
    assert objects.bucket in str(caught.value.where)
    return caught.value


def test_what_was_written_last_is_read(objects: S3Objects, s3: TestBucket) -> None:
    for content in (b"first", b"", b"x" * 9_000_000):
        objects.write("a", io.BytesIO(content))
        with objects.open_reader("a") as reader:
            assert reader.read() == content
    assert s3.keys() == ["some/prefix/a"]
    objects.remove("a")
    objects.remove("a")
    assert s3.keys() == []
    with pytest.raises(ArtifactNotFound):
        objects.open_reader("a")


def test_names_are_those_of_the_prefix_alone(objects: S3Objects, s3: TestBucket) -> None:
    for key in ("a", "some/prefixed", "some/prefix/deeper/a", "some/prefix/b", "some/prefix/a"):
        s3.put(key)
    assert objects.names() == ["a", "b"]
    assert S3Objects(S3Address(s3.name)).names() == ["a"]


@pytest.mark.parametrize("name", ["../a", "/a", "..", "", "a/b", "a\0"])
def test_no_name_leads_out_of_the_prefix(objects: S3Objects, s3: TestBucket, name: str) -> None:
    s3.put("some/a", b"another's")
    for call in (objects.open_reader, objects.remove, lambda n: objects.write(n, io.BytesIO())):
        with pytest.raises(ValueError, match="no name"):
            call(name)
    assert s3.keys() == ["some/a"]


def test_checkpoints_keep_their_promises_in_s3(s3: TestBucket) -> None:
    checkpoints = Checkpoints.at(s3.address)
    for name in ("checkpoint-7-a", "checkpoint-7-b", "checkpoint-71-a"):
        checkpoints.write(name, name.encode())
    assert checkpoints.read("checkpoint-7-b") == b"checkpoint-7-b"
    checkpoints.remove(7)
    checkpoints.remove(8)
    assert s3.keys() == ["some/prefix/checkpoint-71-a"]
    with pytest.raises(CheckpointError, match="missing"):
        checkpoints.read("checkpoint-7-a")
    for name in ("../checkpoint-7-a", "a/b", ".x"):
        with pytest.raises(CheckpointError, match="cannot be written"):
            checkpoints.write(name, b"")


def test_a_place_that_can_be_used_is_left_as_it_was(objects: S3Objects, s3: TestBucket) -> None:
    s3.put("some/prefix/a", b"content")
    objects.check()
    assert s3.keys() == ["some/prefix/a"]


def test_a_bucket_that_is_missing(s3: TestBucket) -> None:
    error = fails(S3Objects(S3Address("elsewhere", ("a",))), "no such bucket")
    assert isinstance(error, UsageError)
    assert "s3://elsewhere/a at http://127.0.0.1:" in str(error.where)
    assert "--artifacts s3://BUCKET/PREFIX" in str(error.next_step)


def test_credentials_that_are_missing(s3: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = fails(S3Objects(S3Address.parse(s3.address)), "no credentials")
    assert isinstance(error, UsageError)
    assert "AWS_ACCESS_KEY_ID" in str(error.expected)


def test_a_store_that_does_not_answer(s3: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    started = time.monotonic()
    error = fails(S3Objects(S3Address.parse(s3.address)), "cannot be reached")
    assert error.received == "EndpointConnectionError"
    assert "AWS_ENDPOINT_URL_S3" in str(error.next_step)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "endpoint", ["http://AKID:hunter2@host:9000", "hunter2", "http://host:hunter2/"]
)
def test_settings_that_cannot_be_used(
    s3: TestBucket, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(UsageError, match="settings cannot be used") as caught:
        S3Objects(S3Address.parse(s3.address))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_profile_that_is_missing(s3: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError, match="settings cannot be used") as caught:
        S3Objects(S3Address.parse(s3.address))
    assert caught.value.received == "ProfileNotFound"


def test_boto3_that_is_missing(s3: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        Checkpoints.at(s3.address)
    assert caught.value.next_step == "pip install 'sweep[s3]'"


class Refusing(BaseHTTPRequestHandler):
    """Gives what it got, but answers one method with 403; with `broken`, it gives other bytes."""

    protocol_version = "HTTP/1.1"  # it says "100 Continue"
    refused: str
    broken = False
    contents: dict[str, bytes]

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_refused(self, method: str) -> bool:
        if method != self.refused:
            return False
        self._answer(403, b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>")
        return True

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if not self._is_refused("PUT"):
            self.contents[self.path] = content
            self._answer(200)

    def do_DELETE(self) -> None:
        if not self._is_refused("DELETE"):
            del self.contents[self.path]
            self._answer(204)

    def do_GET(self) -> None:
        if "list-type" in self.path:
            keys = "".join(
                f"<Contents><Key>{path.split('/', 2)[2]}</Key></Contents>"
                for path in self.contents
            )
            if not self._is_refused("LIST"):
                self._answer(200, f"<ListBucketResult>{keys}</ListBucketResult>".encode())
        elif not self._is_refused("GET"):
            self._answer(200, b"other" if self.broken else self.contents[self.path])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def refusing(s3: TestBucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Refusing]]:
    kind = type("Chosen", (Refusing,), {"refused": "", "contents": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield kind
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("method", "verb"),
    [("PUT", "write"), ("GET", "read"), ("LIST", "list"), ("DELETE", "delete")],
)
def test_a_right_that_is_missing(
    refusing: type[Refusing], s3: TestBucket, method: str, verb: str
) -> None:
    S3Objects(S3Address.parse(s3.address)).check()
    refusing.refused = method
    error = fails(
        S3Objects(S3Address.parse(s3.address)), f"does not let these credentials {verb} objects"
    )
    assert isinstance(error, UsageError)
    assert error.received == "AccessDenied (403)"
    assert bool(refusing.contents) is (method == "DELETE")


def test_a_store_that_gives_other_bytes(refusing: type[Refusing], s3: TestBucket) -> None:
    refusing.broken = True
    error = fails(S3Objects(S3Address.parse(s3.address)), "does not show what was written")
    assert error.received == "other content"


def test_a_killed_writer_leaves_a_whole_object_and_nothing_else(
    s3: TestBucket, tmp_path: Path
) -> None:
    checkpoints = Checkpoints.at(s3.address)
    for delay in (0.02, 0.05, 0.11):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, s3.address])
        deadline = time.monotonic() + 60
        while s3.keys() == []:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        content = checkpoints.read("checkpoint-0-a")
        assert len(content) == 8_000_000
        assert len(set(content)) == 1
        assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=s3.name)
        checkpoints.remove(0)
        assert s3.keys() == []
