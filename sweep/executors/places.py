"""Where the files of a study are: in a directory, or in an S3-compatible store."""

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath

from sweep.errors import UsageError
from sweep.executors.s3_address import S3Address, is_s3
from sweep.spec.names import is_kept_weights

File = Path | S3Address


class Place(ABC):
    """The files of one study, by their names.

    Attributes:
        address: What names the place on this machine or, if many share it, on every one.
    """

    address: str

    @abstractmethod
    def check(self) -> None:
        """Make sure that files can be written, read and removed.

        Raises:
            UsageError: They cannot, and the user can mend it.
            SweepError: They cannot.
        """

    @abstractmethod
    def file(self, name: str) -> File:
        """What names a file, there or not."""

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all files.

        Raises:
            SweepError: They cannot be listed.
        """

    @abstractmethod
    def kept_weights(self, address: str, study: str, number: int) -> File | None:
        """The file of a trial's weights as the database names it; None if it is not ours."""

    @abstractmethod
    def remove(self, file: File) -> None:
        """Remove a file, if it is there.

        Raises:
            SweepError: It cannot be removed.
        """


class Directory(Place):
    """A directory of this machine, or of a disk that many share."""

    def __init__(self, path: Path) -> None:
        """The directory, there or not."""
        # Whoever reads its name later may do so from another working directory.
        self._path = path.absolute()
        self.address = str(self._path)

    def check(self) -> None:
        """Make it, and write a file; see `Place.check`."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._path):
                pass
        except OSError as error:
            raise UsageError(
                "the directory for weights and logs cannot be written",
                where=self.address,
                received=error.strerror,
                next_step="name another one with --artifacts",
            ) from error

    def file(self, name: str) -> Path:
        """See `Place.file`."""
        return self._path / name

    def names(self) -> list[str]:
        """See `Place.names`."""
        return [path.name for path in self._path.iterdir()]

    def kept_weights(self, address: str, study: str, number: int) -> Path | None:
        """The file, in whatever directory an earlier run kept it; see `Place.kept_weights`."""
        file = kept_file(address, study, number)
        return file.absolute() if isinstance(file, Path) else None

    def remove(self, file: File) -> None:
        """See `Place.remove`."""
        if isinstance(file, Path):
            file.unlink(missing_ok=True)


class Bucket(Place):
    """The objects under a prefix. None outside is ever written or removed."""

    def __init__(self, address: S3Address) -> None:
        """Make a client; nothing is sent yet.

        Raises:
            UsageError: boto3 is not installed, or its settings cannot be used.
        """
        from sweep.executors.s3 import S3Objects

        self._prefix = address
        self._objects = S3Objects(address)
        self.address = str(address)

    def check(self) -> None:
        """Write, list, read and delete an object; see `Place.check`."""
        self._objects.check()

    def file(self, name: str) -> S3Address:
        """See `Place.file`."""
        return self._prefix.under(name)

    def names(self) -> list[str]:
        """See `Place.names`."""
        return self._objects.names()

    def kept_weights(self, address: str, study: str, number: int) -> S3Address | None:
        """The object, if it is under the prefix; see `Place.kept_weights`."""
        file = kept_file(address, study, number)
        if isinstance(file, S3Address) and file.parent == self._prefix:
            return file
        return None

    def remove(self, file: File) -> None:
        """See `Place.remove`."""
        self._objects.remove(file.name)


def place_of(artifacts: str | Path, study: str) -> Place:
    """The place of a study's files.

    Args:
        artifacts: Directory, or `s3://BUCKET/PREFIX`, of all studies.
        study: Name of the study.

    Raises:
        UsageError: The address cannot be read, or S3 cannot be used here.
    """
    if is_s3(str(artifacts)):
        return Bucket(S3Address.parse(str(artifacts)).under(study))
    return Directory(Path(artifacts) / study)


def kept_file(address: str, study: str, number: int) -> File | None:
    """What a database says that a trial's weights are kept in, wherever that is.

    Returns:
        None if it names a file that holds no such weights, as others who write to it can make it.
    """
    if not is_s3(address):
        path = Path(address)
        return path if is_kept_weights(path, study, number) else None
    try:
        found = S3Address.parse(address)
    except UsageError:
        return None
    return found if is_kept_weights(PurePosixPath(found.key), study, number) else None


def content_of(file: File) -> bytes | None:
    """All of a file; None if there is none.

    Raises:
        OSError: The file cannot be read.
        SweepError: S3 does not give it.
    """
    if isinstance(file, Path):
        return file.read_bytes() if file.is_file() else None
    from optuna.artifacts.exceptions import ArtifactNotFound

    from sweep.executors.s3 import S3Objects

    try:
        return S3Objects(file.parent).open_reader(file.name).read()
    except ArtifactNotFound:
        return None
