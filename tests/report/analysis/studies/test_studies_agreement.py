import numpy as np
from several_studies import study

from sweep.report.analysis.studies.agreement import effects_by_study
from sweep.report.frames import StudyFrames

LEVELS = ("relu", "elu", "selu")


def made(name: str, seed: int, effects: tuple[float, float, float], **more: float) -> StudyFrames:
    """Random trials whose value is the effect of their activation, and noise."""
    chance = np.random.default_rng(seed)
    known = dict(zip(LEVELS, effects, strict=True)) | more
    trials = []
    for _ in range(60):
        activation = str(chance.choice(list(known)))
        optimizer = str(chance.choice(["sgd", "adam"]))
        value = 0.3 + known[activation] + 0.05 * (optimizer == "adam")
        config = {"activation": activation, "optimizer": optimizer}
        config |= {"learning_rate": float(10 ** chance.uniform(-4, -2))}
        trials.append((config, value + 0.01 * chance.standard_normal()))
    return study(name, trials)


def test_effects_that_agree_and_effects_that_do_not() -> None:
    table = effects_by_study(made("a", 1, (0.0, 0.0, 0.06)), made("b", 2, (0.0, 0.05, 0.0)))
    verdicts = table.set_index(["setting", "level"])["verdict"]
    assert verdicts["activation", "selu"] == "differs"
    assert verdicts["activation", "elu"] == "differs"
    assert verdicts["optimizer", "sgd"] == "agrees"
    assert set(verdicts["learning_rate"]) == {"unclear"}


def test_an_effect_and_its_difference_are_those_planted() -> None:
    table = effects_by_study(made("a", 1, (0.0, 0.0, 0.06)), made("b", 2, (0.0, 0.0, 0.0)))
    selu = table[table["level"] == "selu"].iloc[0]
    assert selu["first_low"] < 0.06 < selu["first_high"]
    assert selu["other_low"] < 0.0 < selu["other_high"]
    assert selu["low"] < -0.06 < selu["high"]
    assert selu["difference"] == selu["other_effect"] - selu["first_effect"]
    assert selu["sentence"].startswith("activation selu: +")
    assert "in a, " in selu["sentence"]
    assert "that differs by -" in selu["sentence"]


def test_of_two_values_one_is_told_against_the_other() -> None:
    table = effects_by_study(made("a", 1, (0.0,) * 3), made("b", 2, (0.0,) * 3))
    optimizer = table[table["setting"] == "optimizer"]
    assert optimizer[["level", "against"]].to_numpy().tolist() == [["sgd", "adam"]]
    assert optimizer["first_high"].iloc[0] < 0


def test_values_that_one_study_alone_tried_are_left_out() -> None:
    more = made("b", 2, (0.0, 0.0, 0.06), swish=0.2)
    table = effects_by_study(made("a", 1, (0.0, 0.0, 0.06)), more)
    activation = table[table["setting"] == "activation"]
    assert sorted(activation["level"]) == sorted(LEVELS)
    # Against the others that both tried: swish does not pull it down.
    assert activation.set_index("level")["other_effect"]["selu"] > 0.03


def test_without_a_common_setting_there_is_nothing_to_say() -> None:
    assert effects_by_study(study("a"), made("b", 2, (0.0,) * 3)).empty
