"""Directories and prefixes of buckets: what is a file of a study, and what is left alone."""

from pathlib import Path

import pytest
from s3_server import TestBucket

from sweep.errors import UsageError
from sweep.executors.places import Bucket, Directory, Place, content_of, kept_file, place_of
from sweep.executors.s3_address import S3Address


@pytest.fixture(params=["directory", "S3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "directory":
        return place_of(tmp_path / "made" / "when needed", "colours")
    return place_of(request.getfixturevalue("s3").address, "colours")


def put(place: Place, name: str, content: bytes) -> None:
    if isinstance(place, Bucket):
        place._objects.client.put_object(
            Bucket=place._prefix.bucket, Key=f"{place._prefix.key}/{name}", Body=content
        )
    else:
        Path(place.address, name).write_bytes(content)


def test_files_come_and_go(place: Place) -> None:
    place.check()
    place.check()
    assert place.names() == []
    for name in ("trial-1.keras", "checkpoint-2-a"):
        put(place, name, name.encode())
    assert sorted(place.names()) == ["checkpoint-2-a", "trial-1.keras"]
    file = place.file("trial-1.keras")
    assert str(file) == f"{place.address}/trial-1.keras"
    assert content_of(file) == b"trial-1.keras"
    for _ in range(2):
        place.remove(file)
    assert place.names() == ["checkpoint-2-a"]
    assert content_of(file) is None


def test_a_study_lies_below_the_place_of_all() -> None:
    assert place_of("some/where", "colours").address == str(Path.cwd() / "some/where/colours")


def test_kept_weights_are_known_by_their_names(place: Place) -> None:
    file = place.file("trial-7.keras")
    assert place.kept_weights(str(file), "colours", 7) == file
    assert kept_file(str(file), "colours", 7) == file
    for study, number, address in (
        ("colours", 8, file),
        ("other", 7, file),
        ("colours", 7, place.file("notes.txt")),
        ("colours", 7, f"{place.address}/deeper/trial-7.keras"),
        ("colours", 7, "s3://Not an address/colours/trial-7.keras"),
    ):
        assert place.kept_weights(str(address), study, number) is None
        assert kept_file(str(address), study, number) is None


def test_weights_that_an_earlier_run_kept_elsewhere(s3: TestBucket, tmp_path: Path) -> None:
    in_directory = tmp_path / "elsewhere" / "colours" / "trial-7.keras"
    in_bucket = S3Address.parse("s3://elsewhere/colours/trial-7.keras")
    directory = Directory(tmp_path / "colours")
    bucket = place_of(s3.address, "colours")
    assert directory.kept_weights(str(in_directory), "colours", 7) == in_directory
    assert directory.kept_weights(str(in_bucket), "colours", 7) is None
    for address in (in_directory, in_bucket):
        assert bucket.kept_weights(str(address), "colours", 7) is None
        assert kept_file(str(address), "colours", 7) == address


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written") as caught:
        place_of(tmp_path / "file", "colours").check()
    assert caught.value.where == str(tmp_path / "file" / "colours")
    assert "--artifacts" in str(caught.value.next_step)
