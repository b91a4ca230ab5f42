"""A file system of its own for tests: small, full when it is filled, read-only when it is told.

It is a real one (tmpfs), mounted in a namespace that any user may make, which the processes that
`command` starts are in, and no others. Needs `unshare` and `nsenter` of util-linux, and a kernel
that lets users have namespaces.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o "size=$1" none "$2" && echo mounted && exec cat'
_IN_DIRECTORY = 'cd "$0" && exec "$@"'


class SmallDisk:
    """The file system, on `path`."""

    def __init__(self, path: Path, kibibytes: int) -> None:
        """Mount it on an empty directory."""
        self.path = path
        self._holder = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", _MOUNT, "sh", f"{kibibytes}k", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            self.close()
            pytest.skip("this machine lets no user mount a file system in a namespace of its own")

    def command(self, *words: str) -> list[str]:
        """What runs a command in the directory."""
        enter = ["nsenter", f"--target={self._holder.pid}", "--user", "--preserve-credentials"]
        return [*enter, "--mount", "--", "sh", "-c", _IN_DIRECTORY, str(self.path), *words]

    def run(self, *words: str) -> bytes:
        """Run a command, which must succeed, and get its output."""
        return subprocess.run(self.command(*words), check=True, stdout=subprocess.PIPE).stdout

    def fill(self) -> None:
        """Leave no block free."""
        script = "dd if=/dev/zero of=ballast bs=4k conv=notrunc oflag=append 2>/dev/null || true"
        self.run("sh", "-c", script)
        assert self.free_kibibytes() == 0

    def free(self) -> None:
        """Give back what `fill` took."""
        self.run("rm", "ballast")

    def free_kibibytes(self) -> int:
        """What is left."""
        return int(self.run("df", "--output=avail", "-k", ".").split()[-1])

    def remount(self, mode: str) -> None:
        """Make it read-only, `ro`, or writable, `rw`."""
        self.run("mount", "-o", f"remount,{mode}", str(self.path))

    def close(self) -> None:
        """End the namespace, and the file system with it."""
        self._holder.kill()
        self._holder.communicate()


@contextmanager
def small_disk(path: Path, kibibytes: int) -> Iterator[SmallDisk]:
    """A small disk, until the block ends."""
    path.mkdir()
    disk = SmallDisk(path, kibibytes)
    try:
        yield disk
    finally:
        disk.close()
