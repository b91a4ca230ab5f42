"""Addresses in S3: what is one, what is none, and what is not repeated."""

from pathlib import PurePosixPath

import pytest

from sweep.errors import UsageError
from sweep.executors.s3_address import S3Address, is_s3


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://my.bucket-1/a/b_c/d=1", "my.bucket-1", "a/b_c/d=1"),
        ("s3://bucket/a/", "bucket", "a"),
        ("s3://bucket/..a/a..", "bucket", "..a/a.."),
    ],
)
def test_addresses(text: str, bucket: str, key: str) -> None:
    address = S3Address.parse(text)
    assert (address.bucket, address.key) == (bucket, key)
    assert str(address) == text.rstrip("/")
    assert S3Address.parse(str(address)) == address
    below = address.under("colours").under("trial-7.keras")
    assert PurePosixPath(below.key) == PurePosixPath(key) / "colours" / "trial-7.keras"
    assert (below.name, below.parent.name, below.parent.parent) == (
        "trial-7.keras",
        "colours",
        address,
    )


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3:///prefix",
        "S3://bucket/a",
        "s3://Bucket",
        "s3://bucket//a",
        "s3://bucket/a//",
        "s3://bucket/../other",
        "s3://bucket/a/./b",
        "s3://bucket/a b",
        "s3://bucket/a%2e%2e",
        "s3://bucket/a\\b",
        "s3://bucket/a\0b",
        "s3://bucket/a\n",
        "s3://bucket/ä",
        "s3://bucket/" + "a" * 701,
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert is_s3(text)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        S3Address.parse(text)
    assert caught.value.received == text
    assert "s3://BUCKET/PREFIX" in str(caught.value.expected)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKID:hunter2@bucket/a",
        "s3://bucket/a?key=hunter2",
        "s3://AKID:hunter2/bucket",
    ],
)
def test_credentials_are_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        S3Address.parse(text)
    assert "hunter2" not in str(caught.value)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/a", "a\0", "ä"])
def test_no_name_leads_out_of_a_prefix(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        S3Address("bucket", ("a",)).under(name)


@pytest.mark.parametrize("path", ["", "/tmp/s3", "s3", "./s3:/bucket", "s3:/bucket"])
def test_paths_are_not_addresses(path: str) -> None:
    assert not is_s3(path)
