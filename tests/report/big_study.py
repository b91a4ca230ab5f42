"""A study of any size, written in bulk: Optuna's rows and ours, as a run leaves them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    distribution_to_json,
)
from optuna.storages._rdb import models
from report_studies import INITIALIZERS, QUALITY, record
from sqlalchemy import Connection, Table, insert

from sweep.store import Store
from sweep.store.schema import epochs as epochs_table
from sweep.store.schema import layers as layers_table
from sweep.store.schema import trials as trials_table
from sweep.trial import TrialConfig

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SPACE: dict[str, Any] = {
    "activation": CategoricalDistribution(tuple(QUALITY)),
    "kernel_initializer": CategoricalDistribution(INITIALIZERS),
    "batch_norm": CategoricalDistribution(("none", "before", "after")),
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "l2": FloatDistribution(1e-6, 1e-2, log=True),
    "width": FloatDistribution(50, 200),
}


def fill(
    store: Store,
    trials: int,
    epochs: int,
    *,
    name: str = "big",
    seed: int = 0,
    first_id: int = 1,
) -> str:
    """Complete trials, every twentieth of them pruned after a fifth of its epochs.

    Of a further study in the same database the ids of trials must begin elsewhere.
    """
    study = store.create_study(record(name), ["maximize"], ["val_accuracy"])
    chance = np.random.default_rng(seed)

    def write(connection: Connection) -> None:
        rows = Rows(study._study_id, trials, epochs, chance, first_id)
        for table, values in rows.tables:
            for begin in range(0, len(values), 20_000):
                connection.execute(insert(table), values[begin : begin + 20_000])

    store._database.write(write)
    return name


class Rows:
    def __init__(
        self,
        study_id: int,
        trials: int,
        epochs: int,
        chance: np.random.Generator,
        first_id: int,
    ) -> None:
        self.first_id = first_id
        self.optuna: dict[str, list[dict[str, Any]]] = {
            "trials": [],
            "trial_params": [],
            "trial_values": [],
            "trial_intermediate_values": [],
        }
        self.trials: list[dict[str, Any]] = []
        self.epochs: list[dict[str, Any]] = []
        self.layers: list[dict[str, Any]] = []
        for number in range(trials):
            pruned = number % 20 == 19
            trained = max(1, epochs // 5) if pruned else epochs
            self._add(study_id, number, trained, epochs, chance)

    @property
    def tables(self) -> list[tuple[Table, list[dict[str, Any]]]]:
        known = models.BaseModel.metadata.tables
        optuna = [(known[name], rows) for name, rows in self.optuna.items()]
        return [
            *optuna,
            (trials_table, self.trials),
            (epochs_table, self.epochs),
            (layers_table, self.layers),
        ]

    def _add(
        self, study_id: int, number: int, epochs: int, most: int, chance: np.random.Generator
    ) -> None:
        pruned = epochs < most
        trial_id = self.first_id + number
        drawn = {
            name: distribution.choices[chance.integers(len(distribution.choices))]
            if isinstance(distribution, CategoricalDistribution)
            else float(np.exp(chance.uniform(np.log(distribution.low), np.log(distribution.high))))
            for name, distribution in SPACE.items()
        }
        final = 0.4 + 0.3 * QUALITY[drawn["activation"]] + chance.normal(0, 0.02)
        final -= 0.03 * abs(np.log10(drawn["learning_rate"]) + 3)
        accuracies = final * (1 - np.exp(-np.arange(1, epochs + 1) / 8)) + chance.normal(
            0, 0.004, epochs
        )
        start = BEGUN + timedelta(seconds=2 * number)
        end = start + timedelta(seconds=2 * epochs)
        self.optuna["trials"].append(
            {
                "trial_id": trial_id,
                "study_id": study_id,
                "number": number,
                "state": "PRUNED" if pruned else "COMPLETE",
                "datetime_start": start.replace(tzinfo=None),
                "datetime_complete": end.replace(tzinfo=None),
            }
        )
        self.optuna["trial_params"] += [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": SPACE[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(SPACE[name]),
            }
            for name, value in drawn.items()
        ]
        finite = {"trial_id": trial_id, "value": float(accuracies[-1]), "value_type": "FINITE"}
        self.optuna["trial_values"].append(finite | {"objective": 0})
        config = TrialConfig(**(drawn | {"width": round(drawn["width"]), "epochs": most}))
        self.trials.append(
            {
                "trial_id": trial_id,
                "study_id": study_id,
                "number": number,
                "config": config.canonical().to_dict(),
                "seed": number,
                "attempt": 1,
                "worker": f"cpu{number % 4}",
                "started_at": start,
                "ended_at": end,
                "engine": "fused",
                "device": f"cpu:{number % 4}",
                "seconds": 2.0 * epochs,
                "epochs": epochs,
                "kept_epoch": epochs,
                "parameters": 500_000,
                "stop_reason": "pruned" if pruned else "completed",
                "inference_seconds": 0.003 + 0.001 * (drawn["batch_norm"] != "none"),
                "zero_weights": 0.0,
            }
        )
        self.layers += [
            {
                "trial_id": trial_id,
                "layer": layer,
                "mean": 0.1,
                "std": 0.9**layer,
                "dead": 0.01 * layer,
                "gradient_norm": 0.8 ** (config.depth - layer),
            }
            for layer in range(1, config.depth + 2)
        ]
        for epoch, accuracy in enumerate(accuracies.tolist(), start=1):
            self.optuna["trial_intermediate_values"].append(
                {
                    "trial_id": trial_id,
                    "step": epoch,
                    "intermediate_value": accuracy,
                    "intermediate_value_type": "FINITE",
                }
            )
            self.epochs.append(
                {
                    "trial_id": trial_id,
                    "epoch": epoch,
                    "loss": 2.4 - 2 * accuracy,
                    "accuracy": accuracy + 0.01,
                    "val_loss": 2.5 - 2 * accuracy,
                    "val_accuracy": accuracy,
                    "learning_rate": 0.001,
                    "seconds": 2.0,
                    "reported_at": start + timedelta(seconds=2 * epoch),
                }
            )
