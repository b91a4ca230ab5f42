import pytest
from report_studies import failed_row, frames_of, trial_row
from several_studies import spec_of, study

from sweep.report.analysis.studies.comparable import comparability
from sweep.report.analysis.studies.groups import comparable_groups, groups_of_images
from sweep.report.analysis.studies.settings import spec_differences


def differences(*overrides: str) -> dict[str, tuple[str, list[str]]]:
    found = spec_differences([study("a"), study("b", (), *overrides)])
    return {
        what: (kind, said)
        for what, kind, said in zip(found["what"], found["kind"], found["treatments"], strict=True)
    }


def test_names_are_no_difference() -> None:
    assert differences() == {}


def test_a_setting_that_is_fixed_in_one_study_and_searched_in_the_other() -> None:
    found = differences("search.activation=null", "fixed.activation=relu")
    assert found == {
        "activation": ("searched", ["searched: relu, elu, selu, swish", "relu"]),
    }


def test_settings_that_are_fixed_differently() -> None:
    assert differences("budget.epochs=30") == {"epochs": ("fixed", ["12", "30"])}
    # A default is as good as saying it.
    assert differences("fixed.width=100") == {}


def test_other_parts_of_the_study_file() -> None:
    found = differences(
        "sampler.name=tpe",
        "seed=7",
        "rules=[{when: {activation: relu}, then: {optimizer: adam}}]",
    )
    assert found["sampler.name"] == ("study", ["random", "tpe"])
    assert found["seed"] == ("study", ["42", "7"])
    assert found["rules: when activation = relu then optimizer = adam"] == ("study", ["–", "yes"])


def test_conditions_are_a_difference() -> None:
    searched = "search.momentum={choices: [0.5, 0.9], when: {optimizer: sgd}}"
    found = differences(searched)
    assert found["momentum"][1][1] == "searched: 0.5, 0.9, if optimizer = sgd"


ONE = [({}, 0.5)]


@pytest.mark.parametrize(
    ("about", "overrides", "obstacle"),
    [
        ({"metrics": ("val_loss",), "directions": ("minimize",)}, (), "is judged by"),
        ({"fallback": True}, (), "synthetic data (fallback)"),
        ({"fingerprint": "another"}, (), "fingerprints of their data differ"),
        (
            {"fingerprint": "another"},
            ("data.train_images=900", "data.validation.share=0.5"),
            "fingerprints of their data differ",
        ),
    ],
)
def test_values_that_say_nothing_about_each_other(
    about: dict[str, object], overrides: tuple[str, ...], obstacle: str
) -> None:
    one, two = study("a", ONE), study("b", ONE, *overrides, **about)
    assert obstacle in " ".join(comparability(one, two).obstacles)
    assert comparable_groups([one, two, study("c", ONE)]) == [[0, 2], [1]]


def test_accuracies_may_be_compared_whatever_the_objective() -> None:
    other = study("b", ONE, metrics=("val_loss",), directions=("minimize",))
    assert groups_of_images([study("a", ONE), other]) == [[0, 1]]
    assert groups_of_images([study("a", ONE), study("b", ONE, fallback=True)]) == [[0], [1]]


@pytest.mark.parametrize(
    ("overrides", "about", "caution"),
    [
        (("budget.epochs=30",), {}, "Trials of a had up to 12 epochs, those of b up to 30."),
        (("engine=reference",), {}, "b by reference on tensorflow"),
        (("data.train_images=900",), {"fingerprint": "x"}, "on all images of the training split"),
    ],
)
def test_what_is_to_be_borne_in_mind(
    overrides: tuple[str, ...], about: dict[str, object], caution: str
) -> None:
    found = comparability(study("a", ONE), study("b", ONE, *overrides, **about))
    assert found.obstacles == ()
    assert caution in " ".join(found.cautions)


def test_a_study_that_is_not_finished_is_called_so() -> None:
    rows = [trial_row(0), failed_row(1, state="RUNNING"), failed_row(2, state="WAITING")]
    young = frames_of(rows, name="b", spec=spec_of("b"))
    assert "b is not finished: 2 trials to come." in comparability(study("a"), young).cautions


def test_data_that_no_run_has_found_yet_are_no_obstacle() -> None:
    assert comparability(study("a"), study("b", fingerprint="")).obstacles == ()
