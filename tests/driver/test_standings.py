import optuna

from sweep.driver.standings import STOP_REASON, Standings
from sweep.space import SearchSpace
from sweep.spec import parse_study

STUDY = "study: s\ndata: {name: synthetic}\nsearch: {depth: {low: 1, high: 200}}\n"


def test_only_incumbents_are_decoded() -> None:
    space = SearchSpace.from_spec(parse_study(STUDY))
    study = optuna.create_study(direction="maximize")
    for value in (0.3, 0.1, 0.5, 0.2, 0.5):
        trial = study.ask()
        space.suggest(trial)
        trial.set_user_attr(STOP_REASON, "completed")
        study.tell(trial, value)
    decoded = []

    class Counting(SearchSpace):
        def config(self, params):  # type: ignore[no-untyped-def]
            decoded.append(params)
            return super().config(params)

    standings = Standings.of(study.trials, Counting(space.branches), maximize=True)
    assert standings.complete == 5
    assert standings.best is not None
    assert (standings.best.number, standings.best.values) == (2, (0.5,))
    assert decoded == [study.trials[0].params, study.trials[2].params]
