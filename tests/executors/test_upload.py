"""Weights on their way to S3."""

from pathlib import Path

import pytest
from postgres_server import free_port
from s3_server import TestBucket

from sweep.executors.s3_address import S3Address
from sweep.executors.upload import saved_to
from sweep.trial import StopReason, TrialResult


def retire(path: Path | None) -> TrialResult:
    if path is not None:
        path.write_bytes(b"weights")
    return TrialResult(
        number=7,
        reason=StopReason.COMPLETED,
        epochs=3,
        kept_epoch=3,
        parameters=10,
        seconds=1.0,
        engine="softmax",
        device="cpu:0",
        weights=None if path is None else str(path),
        remark="something unusual",
    )


@pytest.fixture
def file(s3: TestBucket) -> S3Address:
    return S3Address.parse(f"{s3.address}/colours/trial-7.keras")


def test_they_get_there_and_leave_nothing_here(
    file: S3Address, s3: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = saved_to(file, retire)
    assert (result.weights, result.remark) == (str(file), "something unusual")
    assert s3.content("some/prefix/colours/trial-7.keras") == b"weights"
    assert list(tmp_path.iterdir()) == []


def test_files_and_trials_without_weights(tmp_path: Path) -> None:
    assert saved_to(None, retire).weights is None
    path = tmp_path / "trial-7.keras"
    assert saved_to(path, retire).weights == str(path)
    assert path.read_bytes() == b"weights"


def test_a_trial_whose_weights_do_not_get_there_is_not_lost(
    file: S3Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    result = saved_to(file, retire)
    assert (result.epochs, result.weights) == (3, None)
    assert result.remark.startswith(
        "something unusual; the weights were not kept: S3 cannot be reached, s3://"
    )
