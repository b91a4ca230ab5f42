"""Data on its way to another machine arrives whole, once, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.data import DataRef, open_split
from sweep.errors import DataError
from sweep.executors.shipment import Files, Shipment, load, unpack


@pytest.fixture
def shipment(data: DataRef) -> Shipment:
    return Shipment(data, load(data).digest(), parcel="parcel")


@pytest.fixture
def elsewhere(shipment: Shipment, tmp_path: Path) -> Shipment:
    """The same, as seen from a machine that has no such directory."""
    return replace(shipment, data=replace(shipment.data, directory=tmp_path / "not there"))


def carrier(files: Files, calls: list[Any]) -> Callable[[Any], Files]:
    def fetch(parcel: Any) -> Files:
        calls.append(parcel)
        return files

    return fetch


def test_nothing_is_fetched_where_the_data_is(shipment: Shipment, tmp_path: Path) -> None:
    calls: list[Any] = []
    assert unpack(shipment, carrier({}, calls), tmp_path / "cache") == shipment.data
    assert calls == []


def test_it_is_fetched_once_for_a_machine(
    data: DataRef, elsewhere: Shipment, tmp_path: Path
) -> None:
    calls: list[Any] = []
    fetch = carrier(load(data).files(), calls)
    arrived = [unpack(elsewhere, fetch, tmp_path / "cache") for _ in range(3)]
    assert calls == ["parcel"]
    assert len({ref.directory for ref in arrived}) == 1
    assert arrived[0] == replace(data, directory=arrived[0].directory)
    for name in ("train", "validation"):
        sent, here = open_split(data, name), open_split(arrived[0], name)
        np.testing.assert_array_equal(here.images, sent.images)
        np.testing.assert_array_equal(here.labels, sent.labels)


def test_a_test_set_comes_along(data: DataRef, tmp_path: Path) -> None:
    for name in ("images", "labels"):
        array = np.load(data.directory / f"train_{name}.npy")[:20]
        np.save(data.directory / f"test_{name}.npy", array)
    sent = Shipment(replace(data, directory=tmp_path / "not there"), load(data).digest(), None)
    arrived = unpack(sent, carrier(load(data).files(), []), tmp_path / "cache")
    np.testing.assert_array_equal(
        open_split(arrived, "test").images, open_split(data, "test").images
    )


@pytest.mark.parametrize("damage", ["other content", "truncated", "gone"])
def test_another_file_of_the_same_name_is_not_taken_for_it(
    shipment: Shipment, tmp_path: Path, damage: str
) -> None:
    files = {name: np.array(array) for name, array in load(shipment.data).files().items()}
    labels = shipment.data.directory / "train_labels.npy"
    match damage:
        case "other content":
            np.save(labels, files["train_labels.npy"][::-1])
        case "truncated":
            labels.write_bytes(labels.read_bytes()[:50])
        case "gone":
            labels.unlink()
    arrived = unpack(shipment, carrier(files, []), tmp_path / "cache")
    assert arrived.directory != shipment.data.directory
    assert load(arrived).digest() == shipment.digest


def test_damage_on_the_way_is_found(data: DataRef, elsewhere: Shipment, tmp_path: Path) -> None:
    files = {name: np.array(array) for name, array in load(data).files().items()}
    files["train_images.npy"][7, 3, 3, 1] ^= 1
    with pytest.raises(DataError, match="damaged on its way") as caught:
        unpack(elsewhere, carrier(files, []), tmp_path / "cache")
    assert caught.value.expected == elsewhere.digest
    assert not (tmp_path / "cache" / "data").exists()


def test_data_that_cannot_be_read_is_not_sent(data: DataRef) -> None:
    (data.directory / "train_labels.npy").unlink()
    with pytest.raises(DataError) as caught:
        load(data)
    assert caught.value.where == str(data.directory)
