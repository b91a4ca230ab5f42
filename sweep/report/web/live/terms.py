"""What the study file says that the page needs, and how the study stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sweep.budget import Budget, state_of
from sweep.report import links
from sweep.report.text import label, metric
from sweep.report.web.live.picture import ENDED, Curve, Picture
from sweep.spec import parse_study
from sweep.spec.model import StudySpec
from sweep.trial import FIELDS, TrialConfig

MOST_KNOWN_SPECS: Final = 256


@dataclass(frozen=True, slots=True)
class Terms:
    """A study file.

    Attributes:
        spec: What it says.
        budget: Its budget.
    """

    spec: StudySpec
    budget: Budget

    @property
    def most_epochs(self) -> int:
        """Of a trial, as far as trials do not differ in it."""
        fixed = self.spec.fixed.get("epochs", FIELDS["epochs"].default)
        return int(self.spec.budget.epochs or fixed)

    @property
    def searches_epochs(self) -> bool:
        """Whether trials differ in how many epochs they may train."""
        return "epochs" in self.spec.search and self.spec.budget.epochs is None

    @property
    def followed_metric(self) -> str:
        """The metric whose curves are shown: the loss if that is the first objective."""
        return "val_loss" if self.spec.objectives[0].metric == "val_loss" else "val_accuracy"

    def followed(self, curve: Curve) -> list[float | None]:
        """That metric after each epoch."""
        return curve.losses if self.followed_metric == "val_loss" else curve.accuracies

    def brief(self, config: Mapping[str, Any]) -> str:
        """The settings that are searched and have an effect, as text."""
        if not config:
            return ""
        known = TrialConfig(**config)
        return ", ".join(
            f"{name.replace('_', ' ')} {label(getattr(known, name))}"
            for name in FIELDS
            if name in self.spec.search and known.is_active(name)
        )


@lru_cache(maxsize=MOST_KNOWN_SPECS)
def terms_of(spec: str) -> Terms:
    """The terms of a resolved study file."""
    parsed = parse_study(spec)
    return Terms(parsed, Budget.of(parsed))


def about(picture: Picture, terms: Terms, study: str) -> dict[str, Any]:
    """What stays the same."""
    record, budget = picture.news.record, terms.budget
    return {
        "name": study,
        "description": terms.spec.description,
        "objectives": [
            {"name": metric(one["metric"]), "direction": one["direction"]}
            for one in record["objectives"]
        ],
        "curve": metric(terms.followed_metric),
        "data": record["data_name"],
        "is_fallback": record["data_is_fallback"],
        "asked": budget.trials,
        "most_epochs": None if terms.searches_epochs else terms.most_epochs,
        "most_wall_seconds": budget.wall_seconds,
        "most_gpu_hours": budget.gpu_hours,
        "target": budget.target,
        "engine": terms.spec.engine,
        "optuna": links.optuna_study(picture.news.study[0]),
    }


def counts(picture: Picture, terms: Terms, *, is_driven: bool) -> dict[str, Any]:
    """How many trials are where, and the state of the study."""
    outlook, budget = picture.news.outlook, terms.budget
    best = picture.best.value if picture.best else None
    spent = budget.ending(best, outlook)
    is_over = picture.finished >= budget.trials or (spent is not None and not is_driven)
    return {
        "state": state_of(outlook.wanted, is_over=is_over, is_driven=is_driven),
        "wanted": outlook.wanted,
        "is_driven": is_driven,
        "asked": budget.trials,
        "finished": picture.finished,
        "retried": len(picture.retried),
        "trial_epochs": picture.trial_epochs,
        **{outcome: picture.counts[outcome] for outcome in (*ENDED, "running", "waiting")},
        # Those that another trial repeats no longer count.
        "failed": picture.counts["failed"] - len(picture.retried),
    }
