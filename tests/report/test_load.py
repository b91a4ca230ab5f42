import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sweep
from sweep.errors import StoreError, UsageError
from sweep.store import Store

FILES = ["study", "trials", "epochs", "layers", "workers", "effects", "interactions"]


def test_a_notebook_gets_every_frame(study_database: Path) -> None:
    study = sweep.load("cifar-deep", storage=study_database)
    assert repr(study).startswith("LoadedStudy('cifar-deep', 40 trials, ")
    assert study.study["complete"].tolist() == [(study.trials["state"] == "COMPLETE").sum()]
    assert set(study.epochs["number"]) <= set(study.trials["number"])
    assert set(study.effects["setting"]) >= {"activation", "batch_norm"}
    assert list(study.frames()) == FILES


def test_the_storage_is_a_url_or_the_environments(
    study_database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert len(sweep.load("cifar-deep", f"sqlite:///{study_database}").trials) == 40
    monkeypatch.setenv("SWEEP_STORAGE", str(study_database))
    assert len(sweep.load("cifar-deep").trials) == 40
    monkeypatch.delenv("SWEEP_STORAGE")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="no database yet"):
        sweep.load("cifar-deep")
    assert not list(tmp_path.iterdir())


def test_an_unknown_study_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="no study 'nowhere'"):
        sweep.load("nowhere", store.url)


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, sweep; print({'pandas', 'optuna', 'numpy', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_parquet_files_keep_every_value_and_type(study_database: Path, tmp_path: Path) -> None:
    study = sweep.load("cifar-deep", study_database)
    files = study.export(tmp_path / "frames")
    assert [file.name for file in files] == [f"{name}.parquet" for name in FILES]
    for file, frame in zip(files, study.frames().values(), strict=True):
        read = pd.read_parquet(file)
        missing = read.astype(object).where(read.notna(), None)
        pd.testing.assert_frame_equal(missing, frame.astype(object).where(frame.notna(), None))
        numbers = frame.select_dtypes("number").dtypes
        assert read.dtypes[numbers.index].equals(numbers)


def test_csv_files_hold_the_same_numbers(study_database: Path, tmp_path: Path) -> None:
    study = sweep.load("cifar-deep", study_database)
    study.export(tmp_path, "csv")
    read = pd.read_csv(tmp_path / "epochs.csv", parse_dates=["reported"])
    read["reported"] = read["reported"].astype(study.epochs["reported"].dtype)
    pd.testing.assert_frame_equal(read, study.epochs)
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert trials["value"].equals(study.trials["value"])


def test_files_with_other_content_are_replaced_only_on_demand(
    study_database: Path, tmp_path: Path
) -> None:
    study = sweep.load("cifar-deep", study_database)
    (tmp_path / "trials.csv").write_text("mine")
    with pytest.raises(UsageError, match="in the way"):
        study.export(tmp_path, "csv")
    assert (tmp_path / "trials.csv").read_text() == "mine"
    study.export(tmp_path, "csv", force=True)
    study.export(tmp_path, "csv")
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 41


def test_without_pyarrow_the_message_says_what_helps(
    study_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = sweep.load("cifar-deep", study_database)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as caught:
        study.export(tmp_path)
    assert "sweep[parquet]" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
