"""The one definition of what a trial's network is."""

from sweep.network.build import build_network, portable_network

__all__ = ["build_network", "portable_network"]
