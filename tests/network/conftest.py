"""Settings of TensorFlow for all tests of the network."""

import pytest

from sweep.engines.device import configure_device


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The settings that trials train with."""
    configure_device("cpu:0")
