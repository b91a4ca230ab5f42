"""`sweep` with checkpoints and weights in S3: `study` and `sweep` are those of `test_cli_run`."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from s3_server import KEY, SECRET
from test_cli_run import started, study, sweep  # noqa: F401  fixtures

QUICK = ("--workers", "1")


def assert_no_secret(*texts: str) -> None:
    for text in texts:
        assert SECRET not in text
        assert KEY not in text


@pytest.mark.slow
def test_a_run_is_interrupted_resumed_exported_and_deleted(sweep, s3, workdir):  # noqa: F811
    process = started("--artifacts", s3.address)
    root = psutil.Process(process.pid)
    lines = [" ".join(p.cmdline()) for p in [root, *root.children(recursive=True)]]
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    resume = err.splitlines()[-1].strip()
    assert resume.endswith(f"--artifacts {s3.address}")
    goal = json.loads(sweep("status", "--json").out)["trials"]["finished"] + 2
    words = shlex.split(resume.replace("trials=100000", f"trials={goal}"))
    again = sweep(*words[1:], "--json")
    assert again.code == 0, again.err
    winner = json.loads(again.out)["best"]
    assert winner["weights"] == f"{s3.address}/colours/trial-{winner['trial']}.keras"
    exported = sweep("export", "--format", "keras", "-o", "best.keras")
    assert exported.code == 0, exported.err
    assert np.load("best.keras").shape == (3072, 10)
    config = sweep("export", "--format", "yaml")
    assert sorted(s3.files()) == sorted(
        f"trial-{row['trial']}.keras"
        for row in json.loads(sweep("trials", "--json").out)
        if row["weights"]
    )
    assert (workdir / "sweep-artifacts" / "_logs" / "colours").is_dir(), "logs stay here"
    assert [path.name for path in (workdir / "sweep-artifacts").iterdir()] == ["_logs"]
    shown = sweep("show", str(winner["trial"]))
    deleted = sweep("delete", "colours", "--yes")
    assert deleted.code == 0
    assert f"its kept weights stay in {s3.address}/colours" in deleted.err
    assert len(s3.files()) == 3
    assert_no_secret(*lines, out, err, again.out, again.err, config.out, shown.out, deleted.err)
    for path in workdir.rglob("*"):
        if path.is_file():
            assert_no_secret(path.read_bytes().decode(errors="replace"))


def run(sweep, *words):  # noqa: F811
    outcome = sweep("run", "colours.yaml", *QUICK, *words)
    assert outcome.out == ""
    assert_no_secret(outcome.err)
    return outcome


def test_a_bucket_that_is_missing_is_named(sweep, s3):  # noqa: F811
    outcome = run(sweep, "--artifacts", "s3://elsewhere/prefix")
    assert outcome.code == 2
    assert "error: there is no such bucket" in outcome.err
    assert "where: s3://elsewhere/prefix/colours at http://127.0.0.1:" in outcome.err
    assert json.loads(sweep("studies", "--json").out) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"s3://{KEY}:{SECRET}@bucket/prefix", "the address in S3 cannot be read"),
        ("s3://bucket/../prefix", "the address in S3 cannot be read"),
    ],
)
def test_an_address_that_is_none_is_known_before_anything_else(
    sweep,  # noqa: F811
    s3,
    monkeypatch,
    address,
    message,
):
    monkeypatch.setenv("SWEEP_ARTIFACTS", address)
    outcome = run(sweep, "--set", "data.name=nowhere.npz")
    assert outcome.code == 2
    assert f"error: {message}" in outcome.err
    assert not Path("sweep.db").exists()


def test_boto3_that_is_not_installed_is_known_before_anything_else(
    sweep,  # noqa: F811
    s3,
    monkeypatch,
):
    monkeypatch.setitem(sys.modules, "boto3", None)
    outcome = run(sweep, "--artifacts", s3.address, "--set", "data.name=nowhere.npz")
    assert outcome.code == 2
    assert "pip install 'sweep[s3]'" in outcome.err
    assert not Path("sweep.db").exists()
