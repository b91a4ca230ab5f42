"""The contract of an adapter."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

Tensor = Any
Tree = Any


class Adapter(ABC):
    """The few things a backend does in its own way. A tree is a nested dict or list of arrays."""

    @abstractmethod
    def gradient(self, loss: Callable[[Tree], tuple[Tensor, Tree]], at: Tree) -> tuple[Tree, Tree]:
        """The gradient of a function, inside a program that is being compiled.

        Args:
            loss: Returns a number, and a tree of other results.
            at: Where the gradient is taken.

        Returns:
            The gradient, a tree like `at`, and the other results.
        """

    @abstractmethod
    def pull_back(self, function: Callable[[Tree], Tensor], at: Tree, gradient: Tensor) -> Tree:
        """The gradient of a function's arguments from that of its result, inside a program.

        Args:
            function: Returns one array.
            at: Its arguments, all of which the result depends on.
            gradient: Of the result.

        Returns:
            A tree like `at`.
        """

    @abstractmethod
    def compiled(self, function: Callable[..., Tree]) -> Callable[..., Tree]:
        """The function compiled as a whole; it takes and returns trees of device arrays.

        It is traced again for each new set of shapes.
        """

    @abstractmethod
    def to_device(self, tree: Tree) -> Tree:
        """Copy a tree of numpy arrays to the device."""

    @abstractmethod
    def share(self, array: npt.NDArray[Any]) -> Tensor:
        """Put a large array on the device: without a copy where it can be used as it is."""

    @abstractmethod
    def to_host(self, tree: Tree) -> Tree:
        """A tree of numpy arrays; waits until the device has computed them."""

    @abstractmethod
    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether an error says that the device's memory does not suffice."""

    @abstractmethod
    def memory_bytes(self) -> int | None:
        """Memory of the device that slots may take; None if the device sets no limit."""

    @abstractmethod
    def forget_programs(self) -> bool:
        """Remove the compiled programs kept on disk; whether there was a place for them."""


def remove_files(directory: Path) -> bool:
    """Remove the files of a directory, if it exists; whether it does."""
    if not directory.is_dir():
        return False
    for path in directory.iterdir():
        path.unlink(missing_ok=True)
    return True
