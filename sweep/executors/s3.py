"""Files in an S3-compatible store; the one place that loads boto3, which the extra `s3` brings.

Credentials, region and endpoint are boto3's own affair: its environment variables, its files, the
machine's role. None of them passes through `sweep`.
"""

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from optuna.artifacts import Boto3ArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from sweep.errors import SweepError, UsageError
from sweep.executors.s3_address import S3Address

# A worker that waits for S3 does not train, and after five minutes it would pass for hung.
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 30
_ATTEMPTS: Final = 3
_REFUSALS: Final = (401, 403)
_MISSING_BUCKET: Final = "NoSuchBucket"


class S3Objects(Boto3ArtifactStore):
    """The objects under a prefix, by their names. Each is whole or absent at any moment.

    Every object is written by one request: its older content is there until all of the new one
    is, and a writer that is killed leaves no parts behind, which multipart uploads do.
    """

    def __init__(self, address: S3Address) -> None:
        """Make a client; nothing is sent yet.

        Raises:
            UsageError: boto3 is not installed, or its settings cannot be used.
        """
        self._address = address
        super().__init__(address.bucket, _client(address))

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The content of an object, all of it.

        Raises:
            ArtifactNotFound: There is none.
            SweepError: S3 does not give it.
            ValueError: The name would lead out of the prefix.
        """
        with self._explained("read"):
            return io.BytesIO(super().open_reader(self._key(artifact_id)).read())

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an object over the older one of its name.

        Raises:
            SweepError: S3 does not take it.
            ValueError: The name would lead out of the prefix.
        """
        key, content = self._key(artifact_id), content_body.read()
        with self._explained("write"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def remove(self, artifact_id: str) -> None:
        """Remove an object, if there is one.

        Raises:
            SweepError: S3 does not remove it.
            ValueError: The name would lead out of the prefix.
        """
        with self._explained("delete"):
            super().remove(self._key(artifact_id))

    def names(self) -> list[str]:
        """The names of all objects, without what is deeper.

        Raises:
            SweepError: S3 does not list them.
        """
        prefix = f"{self._address.key}/".removeprefix("/")
        pages = self.client.get_paginator("list_objects_v2")
        names = []
        with self._explained("list"):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/"):
                names += [item["Key"].removeprefix(prefix) for item in page.get("Contents", ())]
        return names

    def check(self) -> None:
        """Write, list, read and delete an object.

        Raises:
            UsageError: The bucket or the credentials are missing, or S3 refuses one of these.
            SweepError: S3 cannot be reached, or does not give back what it was given.
        """
        name = f"check-{uuid.uuid4().hex}"
        content = name.encode()
        self.write(name, io.BytesIO(content))
        try:
            try:
                received = self.open_reader(name).read()
            except ArtifactNotFound:
                received = b""
            is_listed = name in self.names()
        finally:
            self.remove(name)
        if received != content or not is_listed:
            raise SweepError(
                "S3 does not show what was written to it",
                where=self._where,
                expected="an object that can be read and listed as soon as it is written",
                received="other content" if is_listed else "a list without it",
            )

    def _key(self, name: str) -> str:
        return self._address.under(name).key

    @property
    def _where(self) -> str:
        return f"{self._address} at {_shown(self.client.meta.endpoint_url)}"

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        """Turn what boto3 raises in the block into errors that say what to do."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise self._refused(verb, error.response) from error
        except BotoCoreError as error:
            raise self._failed(verb, error) from error

    def _refused(self, verb: str, response: dict[str, Any]) -> SweepError:
        """S3 answered, but not with what was asked for."""
        code = str(response.get("Error", {}).get("Code", "no reason"))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == _MISSING_BUCKET:
            return UsageError(
                "there is no such bucket",
                where=self._where,
                received=self.bucket,
                next_step="make it, or name another one with --artifacts s3://BUCKET/PREFIX",
            )
        if status in _REFUSALS:
            return UsageError(
                f"S3 does not let these credentials {verb} objects",
                where=self._where,
                expected="the right to put, get, delete and list objects under this prefix",
                received=f"{code} ({status})",
                next_step="check the credentials that boto3 finds here, and the bucket's policy",
            )
        return SweepError(
            f"S3 does not {verb} objects", where=self._where, received=f"{code} ({status})"
        )

    def _failed(self, verb: str, error: Exception) -> SweepError:
        """No answer came. The error's own words may hold the addresses of endpoint and proxy."""
        from botocore.exceptions import (
            ConnectionError,
            HTTPClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        kind = type(error).__name__
        if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
            return UsageError(
                "there are no credentials for S3",
                where=self._where,
                expected="what boto3 looks for: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
                "profile (AWS_PROFILE) in ~/.aws, or the role of this machine",
                received=kind,
                next_step="set them on every machine that trains",
            )
        if isinstance(error, (ConnectionError, HTTPClientError)):
            return SweepError(
                "S3 cannot be reached",
                where=self._where,
                received=kind,
                next_step="check the network, and AWS_ENDPOINT_URL_S3 if it is no store of Amazon",
            )
        return SweepError(f"boto3 cannot {verb} objects", where=self._where, received=kind)


def _client(address: S3Address) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise UsageError(
            "boto3 is needed for S3, and not installed",
            where=str(address),
            next_step="pip install 'sweep[s3]'",
        ) from error
    limits = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    try:
        # A session of its own: threads must not make clients of the default one.
        client = boto3.session.Session().client("s3", config=limits)
        # Of what is wrong with an address, boto3 sees a part.
        if _shown(client.meta.endpoint_url) and "@" not in client.meta.endpoint_url:
            return client
        received = "a user or a password in the address of the endpoint"
    except (BotoCoreError, ValueError) as error:
        received = type(error).__name__
    # Without the cause: its words may hold the secrets.
    raise UsageError(
        "boto3's settings cannot be used for S3",
        where=str(address),
        expected="AWS_ENDPOINT_URL_S3, if set, as https://HOST:PORT; AWS_PROFILE, if set, as "
        "~/.aws names it",
        received=received,
    )


def _shown(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
