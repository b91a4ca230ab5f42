"""A real S3-compatible server for tests: a process of its own, offline, on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

KEY, SECRET = "AKIDHUNTER2", "hunter2-of-s3"
# As `moto_server` does, but on a port that is free whatever else begins at the same time.
_PROGRAM = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class S3Server:
    """A server, and what boto3 has to know of it."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this machine's own settings is left."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True)
class TestBucket:
    """A bucket, seen with a client of the test's own."""

    name: str
    client: Any

    __test__ = False

    @property
    def address(self) -> str:
        return f"s3://{self.name}/some/prefix"

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def files(self, study: str = "colours") -> list[str]:
        """The names of the objects of a study below `address`, which are all there are."""
        prefix = f"some/prefix/{study}/"
        assert all(key.startswith(prefix) for key in self.keys()), self.keys()
        return [key.removeprefix(prefix) for key in self.keys()]

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def put(self, key: str, content: bytes = b"") -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)


@contextmanager
def running_s3(directory: Path) -> Iterator[S3Server]:
    """Start a server, and stop it."""
    log = directory / "s3.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=file
        )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        assert port.isdigit(), log.read_text()
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.communicate()


def make_bucket(server: S3Server, name: str) -> TestBucket:
    """An empty bucket. No client is shared between tests: each would see others' settings."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=name)
    return TestBucket(name, client)
