"""The fused engine fulfils the contract, alone in its slot and with room for others."""

from collections.abc import Iterator

import pytest
from engine_contract import EngineContract

from sweep.data import DataRef
from sweep.engines import Engine, make_engine
from sweep.engines.fused.engine import FusedEngine


@pytest.fixture(scope="module")
def on_a_core(small_data: DataRef) -> Engine:
    return make_engine("fused", small_data, "cpu:0")


@pytest.fixture(scope="module")
def of_three_slots(small_data: DataRef) -> Engine:
    return FusedEngine(small_data, "cpu:0", capacity=3)


# Each class has one engine for all of its tests, which keeps what it has compiled.


class TestFusedEngine(EngineContract):
    """As it is made on a core."""

    engine_name = "fused"

    @pytest.fixture
    def engine(self, on_a_core: Engine) -> Iterator[Engine]:
        yield on_a_core
        on_a_core.abandon()

    def test_has_one_slot_on_a_core(self, engine: Engine) -> None:
        assert engine.capacity == 1


class TestFusedEngineOfManySlots(EngineContract):
    """As it is on a GPU, with few slots."""

    engine_name = "fused"

    @pytest.fixture
    def engine(self, of_three_slots: Engine) -> Iterator[Engine]:
        yield of_three_slots
        of_three_slots.abandon()
