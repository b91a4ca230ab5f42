"""Simulated studies with planted effects: the truth that intervals must cover.

A trial's value is the sum of what its settings do, of what is peculiar to its configuration, and
of its seed's noise, which is uneven. All studies of a design are drawn at once: arrays are
(study, trial).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.report.frames import StudyFrames
from sweep.trial import FIELDS, TrialConfig

Floats = NDArray[np.float64]
Codes = Mapping[str, NDArray[np.int64]]

ACTIVATIONS = ("relu", "selu", "swish", "tanh")
CHOICES: Mapping[str, tuple[object, ...]] = {
    "activation": ACTIVATIONS,
    "batch_norm": ("none", "before", "after"),
    "optimizer": ("sgd", "adam"),
    "momentum": (0.0, 0.9, 0.99),
}
PLANTED: Mapping[str, tuple[float, ...]] = {
    "activation": (0.0, 0.05, 0.02, -0.03),
    "batch_norm": (0.0, 0.04, 0.01),
    "optimizer": (0.0, 0.02),
    "momentum": (-0.02, 0.03, -0.01),
}
# Some values are chosen far more often than others.
SHARES: Mapping[str, tuple[float, ...]] = {
    "activation": (0.45, 0.3, 0.15, 0.1),
    "batch_norm": (0.5, 0.35, 0.15),
    "optimizer": (0.6, 0.4),
    "momentum": (0.3, 0.3, 0.4),
}
RATES = (-5.0, -1.0)
EPOCHS = 8


@dataclass(frozen=True)
class Draw:
    """Studies of one design.

    Attributes:
        codes: Code of each trial's choice, by setting.
        rate: Decimal logarithm of the learning rate; None if it is fixed.
        value: Objective.
        planted: What the choices of a setting do.
        slope: What the learning rate does, times its distance from 1e-3 squared.
        epochs: Epochs trained; None if nothing was pruned.
        curves: Accuracy (study, trial, epoch), for studies that prune.
        lost: Trials that failed.
    """

    codes: Codes
    rate: Floats | None
    value: Floats
    planted: Mapping[str, tuple[float, ...]]
    slope: float
    epochs: NDArray[np.int64] | None = None
    curves: Floats | None = None
    lost: NDArray[np.bool_] | None = None

    def frames(self) -> Iterator[tuple[StudyFrames, Mapping[str, Floats]]]:
        """Each study as the report sees it, and what its choices and rates truly do."""
        for study in range(len(self.value)):
            yield self._frames(study), self._truth(study)

    def _frames(self, study: int) -> StudyFrames:
        count = self.value.shape[1]
        trials = _template(count)
        for name, code in self.codes.items():
            chosen = np.array(CHOICES[name], dtype=object)[code[study]]
            trials[name] = chosen.astype(float) if name == "momentum" else chosen
        if self.rate is not None:
            trials["learning_rate"] = 10.0 ** self.rate[study]
        trials["value"] = self.value[study]
        epochs = _EMPTY
        if self.epochs is not None and self.curves is not None:
            trained = self.epochs[study]
            trials["trained_epochs"] = trained.astype(float)
            trials["outcome"] = np.where(trained < EPOCHS, "pruned", "complete").astype(object)
            number = np.repeat(np.arange(count), trained)
            epoch = np.concatenate([np.arange(n) for n in trained])
            epochs = pd.DataFrame(
                {
                    "number": number,
                    "epoch": epoch + 1,
                    "val_accuracy": self.curves[study, number, epoch],
                }
            )
        if self.lost is not None:
            lost = self.lost[study]
            trials.loc[lost, ["value", "outcome"]] = [np.nan, "failed"]
        return StudyFrames(
            study="planted",
            data="made",
            is_fallback=False,
            metrics=("val_accuracy",),
            directions=("maximize",),
            trials=trials,
            epochs=epochs,
            layers=_EMPTY,
            workers=_EMPTY,
            runs=_EMPTY,
            spec="",
            fingerprint="made",
        )

    def _truth(self, study: int) -> Mapping[str, Floats]:
        """What each trial's own choice or rate adds to its value, by setting."""
        truth = {n: np.array(self.planted[n])[code[study]] for n, code in self.codes.items()}
        if "momentum" in truth:
            # What SGD does is what it does with the momenta that were tried.
            truth["optimizer"] += truth["momentum"] * (self.codes["optimizer"][study] == 0)
        if self.rate is not None:
            truth["learning_rate"] = self.slope * (self.rate[study] + 3.0) ** 2
        return truth


_EMPTY = pd.DataFrame({"number": [], "epoch": [], "val_accuracy": []})


def _template(count: int) -> pd.DataFrame:
    columns: dict[str, object] = {
        "number": np.arange(count),
        "outcome": np.full(count, "complete", dtype=object),
        "trained_epochs": np.full(count, float(EPOCHS)),
        "seconds_per_epoch": np.full(count, np.nan),
    }
    for name, value in TrialConfig().to_dict().items():
        kind = float if FIELDS[name].type in (int, float) else object
        columns[name] = np.full(count, value, dtype=kind)
    return pd.DataFrame(columns)


class Nature:
    """What makes values: planted effects, peculiarities of configurations, uneven noise."""

    def __init__(
        self,
        chance: np.random.Generator,
        *,
        effects: bool = True,
        peculiar: float = 0.02,
        noise: float = 0.02,
    ) -> None:
        self.chance = chance
        self.planted = {n: v if effects else (0.0,) * len(v) for n, v in PLANTED.items()}
        self.slope = -0.02 if effects else 0.0
        self.peculiar, self.noise = peculiar, noise

    def expected(self, codes: Codes, rate: Floats | None) -> Floats:
        """Mean of all seeds of all configurations that share these settings."""
        active = codes["optimizer"] == 0
        total: Floats = 0.4 + sum(
            np.array(self.planted[name])[code] * (active if name == "momentum" else 1.0)
            for name, code in codes.items()
        )
        return total if rate is None else total + self.slope * (rate + 3.0) ** 2

    def seeds(self, codes: Codes) -> Floats:
        """Noise: three times as much for the rarest activation as for the commonest."""
        deviation = self.noise * (1.0 + codes["activation"] * 2.0 / 3.0)
        return deviation * self.chance.standard_normal(deviation.shape)

    def one(self, shape: tuple[int, ...]) -> Floats:
        """What is peculiar to configurations."""
        return self.peculiar * self.chance.standard_normal(shape)

    def draw(self, codes: Codes, rate: Floats | None, peculiar: Floats) -> Draw:
        value = self.expected(codes, rate) + peculiar + self.seeds(codes)
        return Draw(codes, rate, value, self.planted, self.slope)


def choose(chance: np.random.Generator, shape: tuple[int, ...]) -> dict[str, NDArray[np.int64]]:
    """Choices at random, in uneven shares."""
    return {name: chance.choice(len(p), shape, p=p) for name, p in SHARES.items()}


def random_search(nature: Nature, studies: int, trials: int) -> Draw:
    """Every trial a configuration of its own."""
    shape = (studies, trials)
    rate = nature.chance.uniform(*RATES, shape)
    return nature.draw(choose(nature.chance, shape), rate, nature.one(shape))


def concentrating(nature: Nature, studies: int, trials: int, startup: int = 15) -> Draw:
    """Like TPE: after some random trials, three in four choices are those of a good trial."""
    chance, shape = nature.chance, (studies, trials)
    codes, rate = choose(chance, shape), chance.uniform(*RATES, shape)
    peculiar, value = nature.one(shape), np.empty(shape)
    rows = np.arange(studies)
    for trial in range(trials):
        if trial >= startup:
            good = max(2, trial // 5)
            best = np.argpartition(-value[:, :trial], good, axis=1)[:, :good]
            for code in codes.values():
                like = best[rows, chance.integers(good, size=studies)]
                follows = chance.random(studies) < 0.75
                code[:, trial] = np.where(follows, code[rows, like], code[:, trial])
            like = best[rows, chance.integers(good, size=studies)]
            near = rate[rows, like] + chance.normal(0.0, 0.3, studies)
            follows = chance.random(studies) < 0.75
            rate[:, trial] = np.where(follows, near.clip(*RATES), rate[:, trial])
        now = {name: code[:, [trial]] for name, code in codes.items()}
        value[:, [trial]] = (
            nature.expected(now, rate[:, [trial]]) + peculiar[:, [trial]] + nature.seeds(now)
        )
    return Draw(codes, rate, value, nature.planted, nature.slope)


def grid(nature: Nature, studies: int, seeds: int) -> Draw:
    """Every combination of three settings, each with several seeds; SGD without momentum."""
    names = ("activation", "batch_norm", "optimizer")
    cells = np.stack(
        [axis.ravel() for axis in np.meshgrid(*(np.arange(len(CHOICES[n])) for n in names))]
    )
    shape = (studies, cells.shape[1], seeds)
    codes = {
        n: np.broadcast_to(c[None, :, None], shape) for n, c in zip(names, cells, strict=True)
    }
    peculiar = np.broadcast_to(nature.one((*shape[:2], 1)), shape)
    flat = {name: code.reshape(studies, -1) for name, code in codes.items()}
    return nature.draw(flat, None, peculiar.reshape(studies, -1))


def repeated(nature: Nature, studies: int, configurations: int) -> Draw:
    """Random configurations, one in three of them with two to six seeds."""
    chance = nature.chance
    seeds = np.where(np.arange(configurations) % 3 == 0, 2 + np.arange(configurations) % 5, 1)
    shape = (studies, configurations)
    codes, rate, peculiar = (
        choose(chance, shape),
        chance.uniform(*RATES, shape),
        nature.one(shape),
    )
    again = {name: np.repeat(code, seeds, axis=1) for name, code in codes.items()}
    return nature.draw(again, np.repeat(rate, seeds, axis=1), np.repeat(peculiar, seeds, axis=1))


def losing(draw: Draw, chance: np.random.Generator, share: float) -> Draw:
    """The same studies, some of whose trials failed whatever their settings."""
    return replace(draw, lost=chance.random(draw.value.shape) < share)


def pruning(draw: Draw, chance: np.random.Generator, startup: int = 5) -> Draw:
    """The same studies, in which a trial below the median of the earlier ones is pruned."""
    steps = 1.0 - np.exp(-np.arange(1, EPOCHS + 1) / 3.0)
    steps /= steps[-1]
    curves = 0.1 + (draw.value[:, :, None] - 0.1) * steps
    noise = chance.normal(0.0, 0.01, curves.shape)
    noise[:, :, -1] = 0.0
    curves = curves + noise
    studies, trials, _ = curves.shape
    trained = np.full((studies, trials), EPOCHS)
    for trial in range(startup, trials):
        going = np.ones(studies, dtype=bool)
        for epoch in (2, 4):
            past = trained[:, :trial] > epoch
            known = np.where(past, curves[:, :trial, epoch - 1], np.nan)
            worse = curves[:, trial, epoch - 1] < np.nanmedian(known, axis=1)
            stopped = going & worse
            trained[stopped, trial] = epoch
            going &= ~worse
    rows, columns = np.indices((studies, trials))
    reached = curves[rows, columns, trained - 1]
    return replace(draw, value=reached, epochs=trained, curves=curves)


DESIGNS: Mapping[str, Callable[[Nature, int], Draw]] = {
    "random search, 100 trials": lambda nature, n: random_search(nature, n, 100),
    "random search, 40 trials": lambda nature, n: random_search(nature, n, 40),
    "like TPE, 120 trials": lambda nature, n: concentrating(nature, n, 120),
    "grid, 24 configurations x 3 seeds": lambda nature, n: grid(nature, n, 3),
    "grid, a tenth failed": lambda nature, n: losing(grid(nature, n, 3), nature.chance, 0.1),
    "random, a third repeated": lambda nature, n: repeated(nature, n, 70),
    # Four in five trials are pruned.
    "random search, median pruner": lambda nature, n: pruning(
        random_search(nature, n, 120), nature.chance
    ),
    "random search, median pruner, 50 trials": lambda nature, n: pruning(
        random_search(nature, n, 50), nature.chance
    ),
}
