"""Which trials are exported, as what, and to where."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from export_study import TWO, add, fill

from sweep.errors import SweepError, UsageError
from sweep.export import export_trials
from sweep.export.export import _path
from sweep.export.files import write_file
from sweep.export.subject import subjects
from sweep.spec.config_file import load_trial_file, parse_trial_file
from sweep.store import Store
from sweep.trial import StopReason


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'sweep.db'}") as opened:
        yield opened


@pytest.fixture
def study(store: Store) -> optuna.Study:
    return fill(store)


def text(store: Store, **options: object) -> str:
    ((_, item),) = export_trials(store, "small", **options)  # type: ignore[arg-type]
    assert isinstance(item, str)
    return item


def test_the_best_trial_is_the_default_and_the_first_of_equals(
    store: Store, study: optuna.Study
) -> None:
    for value in (0.3, 0.4, 0.4):
        add(store, study, [value])
    add(store, study, [0.9], reason=StopReason.DIVERGED)
    add(store, study, None)
    assert [number for number, _ in export_trials(store, "small")] == [1]
    assert [number for number, _ in export_trials(store, "small", top=3)] == [1, 2, 0]


def test_yaml_is_a_config_with_everything_to_repeat_the_trial(
    store: Store, study: optuna.Study
) -> None:
    add(store, study, [0.3], curve=(0.1 + 0.2, float("nan"), 1 / 3))
    yaml = text(store)
    trial = parse_trial_file(yaml)
    assert trial.config.learning_rate == 0.00123
    assert trial.config.dropout_rate == 0.15
    assert (trial.seed, trial.study, trial.trial) == (77, "small", 0)
    assert (trial.data.name, trial.data.train_images) == ("cifar10", 1000)
    assert trial.expected is not None
    assert trial.expected["val_accuracy"] == [0.1 + 0.2, None, 1 / 3]
    assert trial.expected["data_fingerprint"] == "f00d"
    assert trial.expected["config_fingerprint"] == trial.config.fingerprint()
    comments = [line for line in yaml.splitlines() if line.startswith("#")]
    assert comments[:4] == [
        "# Trial 0 of the study small (best by val_accuracy).",
        "# complete: val_accuracy 0.3 at epoch 3 of 3",
        "# Trained on synthetic, the fallback of its study (fingerprint f00d)",
        "# with the engine reference, tensorflow 2.21.0, keras 3.15.1, on cpu:0.",
    ]


@pytest.mark.parametrize(
    ("trained_by", "backend", "expected"),
    [
        ("fused", "tensorflow", ("fused", "tensorflow")),
        ("fused", "jax", ("fused", "jax")),
        # The fused engine may hand a trial on.
        ("reference", "tensorflow", ("reference", "tensorflow")),
    ],
)
def test_a_config_names_the_engine_and_the_backend_that_trained_the_trial(
    store: Store, trained_by: str, backend: str, expected: tuple[str, str]
) -> None:
    study = fill(store, engine="fused", backend=backend)
    add(store, study, [0.3], engine=trained_by)
    yaml = text(store)
    trial = parse_trial_file(yaml)
    assert (trial.engine, trial.backend) == expected
    assert trial.expected is not None
    assert (trial.expected["engine"], trial.expected["backend"]) == expected
    version = {"tensorflow": "2.21.0", "jax": "0.10.2"}[backend]
    assert f"# with the engine {trained_by}, {backend} {version}, keras 3.15.1, on" in yaml


def test_a_trial_that_has_not_ended_has_the_engine_of_its_study(store: Store) -> None:
    add(store, fill(store, engine="fused", backend="jax"), None)
    trial = parse_trial_file(text(store, trial=0))
    assert (trial.engine, trial.backend) == ("fused", "jax")


def test_python_says_why_its_figures_may_be_others(store: Store) -> None:
    study = fill(store, engine="fused", backend="jax")
    add(store, study, [0.3], engine="fused")
    source = text(store, format="python")
    compile(source, "trial.py", "exec")
    said = " ".join(source.split())
    assert "by the fused engine, which rounds otherwise and draws other dropout masks" in said
    assert "`KERAS_BACKEND=jax python FILE`" in said


def test_json_says_the_same_and_is_read_the_same(
    store: Store, study: optuna.Study, tmp_path: Path
) -> None:
    add(store, study, [0.3], rate=1e-5)
    paths = [tmp_path / "trial.json", tmp_path / "trial.yaml"]
    for path, kind in zip(paths, ("json", "yaml"), strict=True):
        assert export_trials(store, "small", format=kind, output=path) == [(0, path)]  # type: ignore[arg-type]
    json.loads(paths[0].read_text(), parse_constant=pytest.fail)
    assert load_trial_file(paths[0]) == load_trial_file(paths[1])


def test_python_names_trial_and_data_in_its_docstring(store: Store, study: optuna.Study) -> None:
    add(store, study, [0.3])
    source = text(store, format="python")
    compile(source, "trial.py", "exec")
    assert "Trial 0 of the study small (best by val_accuracy)." in source
    assert "its figures are not those of the trial" in source.replace("\n", " ")
    assert "SEED = 77" in source
    assert "fused" not in source


def test_a_pruned_or_running_trial_can_be_named(store: Store, study: optuna.Study) -> None:
    add(store, study, [0.0], reason=StopReason.PRUNED)
    add(store, study, None, curve=())
    assert "# pruned\n" in text(store, trial=0)
    running = text(store, trial=1)
    assert "# running\n" in running
    assert parse_trial_file(running).expected is None


@pytest.mark.parametrize("options", [{}, {"top": 2}, {"trial": 9}, {"trial": 1}])
def test_what_cannot_be_exported_is_said(
    store: Store, study: optuna.Study, options: dict[str, int]
) -> None:
    add(store, study, None)
    study.enqueue_trial({"learning_rate": 0.1})
    with pytest.raises(UsageError) as caught:
        export_trials(store, "small", **options)
    assert caught.value.next_step


def test_an_unknown_study_is_named(store: Store) -> None:
    with pytest.raises(UsageError, match="no such study"):
        export_trials(store, "other")


def test_fewer_trials_than_asked_for_are_all_there_are(
    store: Store, study: optuna.Study, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, study, [0.3])
    with caplog.at_level(logging.WARNING, "sweep.export"):
        assert len(export_trials(store, "small", top=5)) == 1
    assert "has only 1" in caplog.text


def test_of_several_objectives_the_front_is_exported(store: Store) -> None:
    study = fill(store, TWO)
    for values in ([0.3, 100.0], [0.4, 300.0], [0.35, 400.0], [0.2, 50.0], [0.3, 100.0]):
        add(store, study, values)
    exported = export_trials(store, "small", top=9)
    assert [number for number, _ in exported] == [1, 0, 4, 3]
    assert "(best by val_accuracy of the 4 on the Pareto front)" in str(exported[0][1])
    assert "val_accuracy 0.4, parameters 300" in str(exported[0][1])


def test_several_go_to_a_directory(store: Store, study: optuna.Study, tmp_path: Path) -> None:
    for value in (0.3, 0.4):
        add(store, study, [value])
    output = tmp_path / "new" / "exports"
    exported = export_trials(store, "small", top=2, format="python", output=output)
    names = ["small-trial-1.py", "small-trial-0.py"]
    assert [path for _, path in exported] == [output / name for name in names]
    assert sorted(path.name for path in output.iterdir()) == sorted(names)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="need a directory"):
        export_trials(store, "small", top=2, output=tmp_path / "file")


def test_nothing_else_is_overwritten_by_accident(
    store: Store, study: optuna.Study, tmp_path: Path
) -> None:
    add(store, study, [0.3])
    path = tmp_path / "best.yaml"
    export_trials(store, "small", output=path)
    export_trials(store, "small", output=path)
    add(store, study, [0.4])
    with pytest.raises(UsageError, match="in the way"):
        export_trials(store, "small", output=path)
    assert load_trial_file(path).trial == 0
    export_trials(store, "small", output=path, force=True)
    assert load_trial_file(path).trial == 1
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".best")] == []


def test_a_place_that_cannot_be_written_is_named(
    store: Store, study: optuna.Study, tmp_path: Path
) -> None:
    add(store, study, [0.3])
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepError, match="cannot be written") as caught:
        export_trials(store, "small", output=tmp_path / "file" / "best.yaml")
    assert str(tmp_path / "file") in str(caught.value)


def test_kept_weights_are_copied(
    store: Store, study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "small" / "trial-0.keras"
    kept.parent.mkdir()
    kept.write_bytes(b"weights")
    add(store, study, [0.3], weights=kept)
    monkeypatch.chdir(tmp_path)
    assert export_trials(store, "small", format="keras") == [(0, Path("small-trial-0.keras"))]
    assert (tmp_path / "small-trial-0.keras").read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["key", "trial-0.keras", "small/trial-1.keras", "small/x.keras"])
def test_only_kept_weights_are_copied_whatever_the_database_says(
    store: Store, study: optuna.Study, tmp_path: Path, name: str
) -> None:
    secret = tmp_path / name
    secret.parent.mkdir(exist_ok=True)
    secret.write_bytes(b"a private key")
    add(store, study, [0.3], weights=secret)
    with pytest.raises(SweepError, match="holds no kept weights"):
        export_trials(store, "small", format="keras", output=tmp_path / "best.keras")
    assert not (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "..", "a\0b", "x" * 300, "ä/ö"])
def test_files_stay_in_their_directory_whatever_the_study_is_called(
    store: Store, study: optuna.Study, tmp_path: Path, name: str
) -> None:
    add(store, study, [0.3])
    subject = subjects(store, "small", trial=None, top=None)[0]
    renamed = replace(subject, record=replace(subject.record, name=name))
    directory = tmp_path / "files"
    path = _path(renamed, "yaml", directory, several=True)
    write_file(path, b"", force=False)
    assert path.resolve().parent == directory


def test_weights_that_were_not_kept_or_are_gone_are_explained(
    store: Store, study: optuna.Study, tmp_path: Path
) -> None:
    add(store, study, [0.3])
    add(store, study, [0.4], weights=tmp_path / "small" / "trial-1.keras")
    for number, message in ((0, "were not kept"), (1, "is not there")):
        with pytest.raises(SweepError, match=message) as caught:
            export_trials(store, "small", trial=number, format="keras")
        assert f"sweep train trial-{number}.yaml" in str(caught.value.next_step)
