import json
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
import pytest
import report_studies
from dashboard_client import ask, served
from optuna.storages import BaseStorage
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

from sweep.errors import StoreError, UsageError
from sweep.report import dashboard
from sweep.report.dashboard import Publisher, publish
from sweep.report.web.access import Access
from sweep.report.web.server import make_server, serve
from sweep.store import Store

FIGURES = {"sweep-activation-initializer", "sweep-momentum", "sweep-dropout", "sweep-batch-norm"}


def attributes(store: Store) -> dict[str, Any]:
    study_id = store.optuna_storage.get_study_id_from_name("cifar-deep")
    return store.optuna_storage.get_study_system_attrs(study_id)


def note(store: Store, number: int | None = None) -> str:
    trial_id = None
    if number is not None:
        study_id = store.optuna_storage.get_study_id_from_name("cifar-deep")
        trial_id = store.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, number)
    return get_note_from_system_attrs(attributes(store), trial_id)["body"]


@pytest.fixture
def written(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the study's attributes, in the order of writing."""
    keys: list[str] = []
    original = store.set_study_attributes

    def spy(study: str, attributes: Mapping[str, object]) -> None:
        keys.extend(attributes)
        original(study, attributes)

    monkeypatch.setattr(store, "set_study_attributes", spy)
    return keys


def test_publish_puts_figures_and_notes_on_the_study(store: Store) -> None:
    figures = get_plotly_graph_objects(attributes(store))
    assert set(figures) == FIGURES
    for source in figures.values():
        assert json.loads(source)["layout"]["title"]["text"].startswith("<b>")
    assert "# cifar-deep" in note(store)
    for row in store.trial_rows("cifar-deep"):
        expected = row["error"] or f"stopped: {row['stop_reason']}"
        assert expected in note(store, row["number"])


def test_publishing_again_writes_nothing(store: Store, written: list[str]) -> None:
    publish(store, "cifar-deep")
    assert written == []


def test_one_more_trial_writes_one_more_trial_note(store: Store, written: list[str]) -> None:
    with store.driving("cifar-deep", report_studies.NO_TIME) as run:
        report_studies.run_one(run)
    publish(store, "cifar-deep")
    numbered = {key.split(":")[1] for key in written if key.split(":")[1].isdigit()}
    study_id = store.optuna_storage.get_study_id_from_name("cifar-deep")
    latest = store.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, 40)
    assert numbered == {str(latest)}
    assert set(get_plotly_graph_objects(attributes(store))) == FIGURES


def test_running_trials_get_no_note(store: Store) -> None:
    store.load_study("cifar-deep").ask()
    publish(store, "cifar-deep")
    assert note(store, 40) == ""


@pytest.mark.parametrize("number", [None, 5])
def test_a_note_that_a_person_edited_is_left_alone(store: Store, number: int | None) -> None:
    storage: BaseStorage = store.optuna_storage
    study_id = storage.get_study_id_from_name("cifar-deep")
    trial_id = None
    if number is not None:
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    save_note_with_version(storage, study_id, trial_id, 2, "mine")
    publish(store, "cifar-deep")
    assert note(store, number) == "mine"


@pytest.mark.parametrize(("trials", "objectives"), [(0, 1), (2, 2)])
def test_publish_young_and_multi_objective_studies(
    fresh_store: Store, trials: int, objectives: int
) -> None:
    report_studies.fill(fresh_store, trials, objectives=objectives)
    publish(fresh_store, "cifar-deep")
    assert set(get_plotly_graph_objects(attributes(fresh_store))) == FIGURES


def test_a_note_that_shrinks_leaves_nothing_behind(store: Store) -> None:
    storage = store.optuna_storage
    study_id = storage.get_study_id_from_name("cifar-deep")
    save_note_with_version(storage, study_id, None, 1, "x" * 9000)
    publish(store, "cifar-deep")
    assert "# cifar-deep" in note(store)
    assert "xxx" not in note(store)


def noted(store: Store) -> set[int]:
    return {row["number"] for row in store.trial_rows("cifar-deep") if note(store, row["number"])}


def test_of_many_trials_the_best_and_some_others_have_a_note(
    fresh_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MOST_NOTES", 4)
    monkeypatch.setattr(dashboard, "BEST_NOTED", 2)
    report_studies.fill(fresh_store, 30)
    complete = [r for r in fresh_store.trial_rows("cifar-deep") if r["state"] == "COMPLETE"]
    best = {row["number"] for row in sorted(complete, key=lambda row: -row["values"][0])[:2]}
    publish(fresh_store, "cifar-deep")
    assert noted(fresh_store) == {0, 1, 2, 3} | best
    publish(fresh_store, "cifar-deep")
    assert noted(fresh_store) == {0, 1, 2, 3} | best


def test_notes_are_written_at_once_and_read_back_by_optuna(
    fresh_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_studies.fill(fresh_store, 5)

    def one_by_one(*_: object) -> None:
        raise AssertionError("an attribute was written in a transaction of its own")

    monkeypatch.setattr(fresh_store.optuna_storage, "set_study_system_attr", one_by_one)
    publish(fresh_store, "cifar-deep")
    assert noted(fresh_store) == {0, 1, 2, 3, 4}


class Clock:
    """A clock that each look at it moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_study_is_published_when_it_changed_and_not_too_often(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[str] = []
    monkeypatch.setattr(dashboard, "publish", lambda _, study: published.append(study))
    clock = Clock()
    publisher = Publisher(store, clock)
    publisher.refresh()
    assert published == ["cifar-deep"]
    clock.now = 1e6
    publisher.refresh()
    assert published == ["cifar-deep"], "it has not changed"
    with store.driving("cifar-deep", report_studies.NO_TIME) as run:
        report_studies.run_one(run)
    publisher.refresh()
    assert len(published) == 2
    with store.driving("cifar-deep", report_studies.NO_TIME) as run:
        report_studies.run_one(run)
    # It took a second, so the next time is twenty seconds later.
    publisher.refresh()
    assert len(published) == 2
    clock.now += dashboard.SPARING
    publisher.refresh()
    assert len(published) == 3


def test_publish_needs_a_study(fresh_store: Store) -> None:
    with pytest.raises(StoreError, match="no study"):
        publish(fresh_store, "nowhere")


def test_a_broken_database_is_a_store_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise optuna.exceptions.StorageInternalError("database is locked")

    monkeypatch.setattr(store.optuna_storage, "get_study_system_attrs", locked)
    with pytest.raises(StoreError):
        publish(store, "cifar-deep")


def test_a_taken_port_is_explained(store: Store) -> None:
    first = make_server(store, "127.0.0.1", 0, access=Access())
    try:
        with pytest.raises(UsageError, match="cannot listen") as caught:
            make_server(store, "127.0.0.1", first.bind_addr[1], access=Access())
        assert "--port" in str(caught.value)
    finally:
        first.stop()


def test_serve_needs_a_database(tmp_path: Any) -> None:
    with pytest.raises(StoreError):
        serve(f"sqlite:///{tmp_path / 'none.db'}", access=Access(), ready=lambda url: None)


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    with served(store, Access()) as url:
        yield url


def test_the_api_lists_the_study_with_its_metric_name(store: Store, address: str) -> None:
    status, body, _ = ask(address, "/api/studies")
    assert status == 200
    (summary,) = json.loads(body)["study_summaries"]
    assert summary["study_name"] == "cifar-deep"
    status, body, _ = ask(address, f"/api/studies/{summary['study_id']}?after=0")
    detail = json.loads(body)
    assert len(detail["trials"]) == 40
    assert {figure["id"] for figure in detail["plotly_graph_objects"]} == FIGURES
    assert detail["objective_names"] == ["val_accuracy"]


def test_ready_is_told_the_address_and_an_interrupt_ends_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: list[str] = []

    def interrupted(url: str) -> None:
        addresses.append(url)
        raise KeyboardInterrupt

    serve(store.url, port=0, access=Access(), ready=interrupted)
    (url,) = addresses
    assert url.startswith("http://127.0.0.1:")
    assert url.rpartition(":")[2].isdigit()
