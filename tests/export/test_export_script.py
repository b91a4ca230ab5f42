"""The exported Python builds and trains what `sweep` builds and trains."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from generated_scripts import SEED, configs, every_choice, make, mixed_choices, module, script
from hypothesis import HealthCheck, given, settings

from sweep.data import DataRef, open_split, prepare, statistics
from sweep.engines import make_engine
from sweep.engines.pipeline import ImageTensors, training_batches
from sweep.network import build_network
from sweep.spec.model import DataSpec, ValidationSpec
from sweep.trial import FIELDS, StopReason, TrialConfig, TrialTask

STEPS = 6
PIXELS = np.random.default_rng(3).integers(0, 256, (5, 32, 32, 3), np.uint8)
LABELS = np.array([0, 1, 2, 3, 9], np.uint8)


def scaling_statistics(config: TrialConfig) -> tuple[np.ndarray, np.ndarray] | None:
    if config.scaling == "unit":
        return None
    shape = (32, 32, 3) if config.scaling == "feature" else (3,)
    generator = np.random.default_rng(4)
    mean, deviation = generator.uniform(0.2, 0.8, (2, *shape)).astype(np.float32)
    return mean, deviation


def build_both(config: TrialConfig) -> tuple[keras.Model, keras.Model]:
    """The network of `sweep` and that of the script, both compiled."""
    moments = scaling_statistics(config)
    ours = build_network(config, seed=SEED, steps_per_epoch=STEPS, statistics=moments)
    generated = module(script(config))
    theirs = generated.build_model(*(moments or ()))
    generated.compile_model(theirs, STEPS)
    return ours, theirs


def assert_alike(config: TrialConfig) -> None:
    ours, theirs = build_both(config)
    described = [
        [
            (
                type(layer),
                layer.name,
                type(getattr(layer, "kernel_constraint", None)).__name__,
                getattr(layer, "rate", None),
                getattr(layer, "seed", None),
                getattr(layer, "momentum", None),
                getattr(layer, "negative_slope", None),
                getattr(getattr(layer, "kernel_regularizer", None), "get_config", dict)(),
            )
            for layer in model.layers
        ]
        for model in (ours, theirs)
    ]
    assert described[0] == described[1]
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    predictions = ours(PIXELS).numpy()
    np.testing.assert_array_equal(predictions, theirs(PIXELS).numpy())
    assert_same_training(ours, theirs)


def assert_same_training(ours: keras.Model, theirs: keras.Model) -> None:
    """Optimizers, schedules, losses and constraints do the same."""
    one, other = ours.optimizer, theirs.optimizer
    assert type(one) is type(other)
    settings_of = [o.get_config() for o in (one, other)]
    for values in settings_of:
        del values["learning_rate"], values["name"]
    assert settings_of[0] == settings_of[1]
    steps = (0, 1, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS, 4 * STEPS)
    for step in steps:
        for optimizer in (one, other):
            optimizer.iterations.assign(step)
        assert float(one.learning_rate) == float(other.learning_rate)
    probabilities = np.random.default_rng(5).dirichlet(np.ones(10), 5).astype(np.float32)
    losses = [
        float(model.compute_loss(y=LABELS, y_pred=keras.ops.convert_to_tensor(probabilities)))
        for model in (ours, theirs)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6, nan_ok=True)
    for mine, its in zip(ours.trainable_variables, theirs.trainable_variables, strict=True):
        if mine.constraint is not None:
            large = keras.ops.ones(mine.shape) * 7.0
            np.testing.assert_array_equal(mine.constraint(large), its.constraint(large))


@pytest.mark.parametrize("config", mixed_choices(), ids=lambda config: config.fingerprint())
def test_every_choice_gives_the_same_network(config: TrialConfig) -> None:
    assert_alike(config)


def test_mixed_choices_leave_none_out() -> None:
    def seen(configs: Iterable[TrialConfig]) -> set[tuple[str, object]]:
        return {
            (name, value)
            for config in configs
            for name, value in config.to_dict().items()
            if config.is_active(name) and (FIELDS[name].choices or value != FIELDS[name].default)
        }

    assert seen(every_choice()) <= seen(mixed_choices())


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs())
def test_any_config_gives_the_same_network(config: TrialConfig) -> None:
    assert_alike(config)


def test_scripts_are_formatted_and_lint_free(tmp_path: Path) -> None:
    sources = {
        "file": script(make(schedule="one_cycle"), DataSpec(name='odd "\\name.npz')),
        "first": script(
            make(), DataSpec(validation=ValidationSpec(take="first", images=9), train_images=5)
        ),
        **{config.fingerprint(): script(config) for config in every_choice()},
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--select", "E,F,I,B,UP,PT", "--ignore", "B905"]
    for command in ([*ruff, "format", "--diff"], [*ruff, "check", *rules]):
        done = subprocess.run(
            [*command, "--isolated", str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_plain_config_gives_a_plain_script() -> None:
    source = script(make())
    for word in ("Dropout", "BatchNorm", "SHIFT", "Schedule", "statistics", "constraint", "sweep"):
        assert word not in source


SPLITS = [
    DataSpec(),
    DataSpec(train_images=30),
    DataSpec(validation=ValidationSpec(take="first", images=30)),
    DataSpec(validation=ValidationSpec(take="first", share=0.33), train_images=40),
    DataSpec(validation=ValidationSpec(share=0.35), train_images=1000),
]


@pytest.mark.parametrize("spec", SPLITS)
def test_split_statistics_and_classes_are_those_of_the_study(
    spec: DataSpec, npz: Path, tmp_path: Path
) -> None:
    spec = spec.model_copy(update={"name": str(npz)})
    ref = prepare(spec, data_dir=None, cache_dir=tmp_path, progress=lambda text: None)
    for kind in ("feature", "channel"):
        generated = module(script(make(scaling=kind), spec))
        archive, test = generated.load_data(str(npz))
        for name, (images, labels) in {
            **dict(zip(("train", "validation"), generated.split(*archive), strict=True)),
            "test": test,
        }.items():
            split = open_split(ref, name)
            np.testing.assert_array_equal(split.images, images)
            np.testing.assert_array_equal(split.labels, labels)
        ours = statistics(ref, kind)
        theirs = generated.training_statistics(open_split(ref, "train").images)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(
    "config",
    [make(), make(flip=True), make(shift=3), make(flip=True, shift=2), make(batch_size=1000)],
    ids=["plain", "flip", "shift", "both", "one batch"],
)
def test_batches_are_those_of_the_reference_engine(config: TrialConfig, ref: DataRef) -> None:
    train = open_split(ref, "train")
    batches = module(script(config)).TrainingBatches(train.images, train.labels)
    for epoch in (1, 2):
        batches.start_epoch(epoch - 1)
        ours = list(training_batches(ImageTensors.from_split(train), config, SEED, epoch))
        assert len(ours) == len(batches)
        for index, (images, labels) in enumerate(ours):
            np.testing.assert_array_equal(images, batches[index][0])
            np.testing.assert_array_equal(labels, batches[index][1])


FULL = {
    "activation": "relu",
    "kernel_initializer": "he_normal",
    "batch_norm": "before",
    "dropout": "dropout",
    "label_smoothing": 0.1,
    "flip": True,
    "shift": 2,
    "l2": 1e-4,
    "max_norm": 3.0,
    "scaling": "feature",
}


@pytest.mark.slow
# Keras reads a variable's values through NumPy 1's protocol when it saves them.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    "config",
    [
        make(**FULL, optimizer="sgd", momentum=0.9, schedule="one_cycle", learning_rate=0.05),
        make(
            schedule="plateau",
            plateau_patience=1,
            early_stopping="val_loss",
            patience=1,
            learning_rate=0.3,
            epochs=4,
            kernel_initializer="sparse",
        ),
    ],
    ids=["everything", "callbacks"],
)
def test_main_trains_as_the_reference_engine_does(
    config: TrialConfig,
    npz: Path,
    ref: DataRef,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = make_engine("reference", ref, "cpu:0")
    engine.admit(TrialTask(number=1, config=config, seed=SEED))
    expected = []
    while not expected or expected[-1].finished is None:
        expected += engine.run_epoch()
    engine.retire(1, StopReason.COMPLETED, tmp_path / "engine.keras")

    histories = []
    fit = keras.Model.fit

    def spy(*arguments: Any, **options: Any) -> Any:
        histories.append(fit(*arguments, **options, verbose=0))

    monkeypatch.setattr(keras.Model, "fit", spy)
    weights = tmp_path / "script.weights.h5"
    monkeypatch.setattr("sys.argv", ["script", "--data", str(npz), "--weights", str(weights)])
    module(script(config, DataSpec(name=str(npz)))).main()

    (history,) = histories
    for metric in ("loss", "accuracy", "val_loss", "val_accuracy"):
        wanted = [getattr(report, metric) for report in expected]
        assert history.history[metric] == pytest.approx(wanted, rel=1e-5), metric
    assert "test accuracy 0." in capsys.readouterr().out
    kept = keras.models.load_model(tmp_path / "engine.keras", compile=False)
    written = module(script(config, DataSpec(name=str(npz))))
    moments = statistics(ref, "feature") if config.scaling == "feature" else ()
    again = written.build_model(*moments, 10)
    again.load_weights(weights)
    np.testing.assert_allclose(again(PIXELS), kept(PIXELS), rtol=1e-3, atol=1e-5)
