"""The errors of `sweep`.

Every message says what went wrong, where, what was expected, what was received and what to do
next. The tree::

    SweepError                 exit code 1
    ├── UsageError             exit code 2: the user can mend the input
    │   ├── ConfigError        a trial configuration is out of range or inconsistent
    │   └── SpecError          a study file is wrong
    ├── DataError              a data set is missing, damaged, unsafe or of the wrong shape
    ├── StoreError             the database cannot be used
    │   ├── NotFoundError      there is no study or trial of this name or number
    │   └── StudyMismatchError a study exists with another space, direction or data
    ├── ExecutorError          workers cannot be started or kept
    ├── TrialError             one trial failed; the study goes on
    └── CheckpointError        a checkpoint is missing, damaged or another trial's
"""

from typing import ClassVar


class SweepError(Exception):
    """Root of all errors that `sweep` raises on purpose."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        received: str | None = None,
        next_step: str | None = None,
    ) -> None:
        """Keep the parts of the message.

        Args:
            what: One sentence that says what went wrong.
            where: The file, line, key path, table or device concerned.
            expected: What would have been right.
            received: What was found instead.
            next_step: What the user can do about it.
        """
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.received = received
        self.next_step = next_step

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling between processes with every part of the message."""
        return (_rebuild, (type(self), self._parts()))

    def _parts(self) -> dict[str, str | None]:
        return {
            "what": self.what,
            "where": self.where,
            "expected": self.expected,
            "received": self.received,
            "next_step": self.next_step,
        }

    def __str__(self) -> str:
        """The message, one labelled line for each part that is known."""
        labels = (
            ("where", self.where),
            ("expected", self.expected),
            ("received", self.received),
            ("next", self.next_step),
        )
        return "\n".join([self.what, *(f"  {name}: {text}" for name, text in labels if text)])


def _rebuild(kind: type[SweepError], parts: dict[str, str]) -> SweepError:
    return kind(parts.pop("what"), **parts)


class UsageError(SweepError):
    """The command line or a file the user wrote is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A trial configuration has a value that is out of range or inconsistent."""


class SpecError(UsageError):
    """A study file cannot be read as a study."""


class DataError(SweepError):
    """A data set is missing, damaged, unsafe or of the wrong shape."""


class StoreError(SweepError):
    """The database cannot be opened, read or written."""


class NotFoundError(StoreError):
    """There is no study of this name, or no trial of this number in it."""


class StudyMismatchError(StoreError):
    """A study of this name exists with another search space, objective or data set."""


class ExecutorError(SweepError):
    """Workers cannot be started or kept alive."""


class TrialError(SweepError):
    """One trial failed; the study goes on."""


class CheckpointError(SweepError):
    """A trial cannot go on from a checkpoint: it is missing, damaged or another trial's."""
