"""The command line in this process, and golden files."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweep.cli import main

GOLDEN = Path(__file__).parent / "golden"
REGENERATE = "SWEEP_REGENERATE_GOLDEN"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory, and no settings of this machine."""
    for name in ("SWEEP_STORAGE", "SWEEP_DATA_DIR", "SWEEP_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `sweep` with the words given."""

    def run(*words: str) -> Outcome:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def normalised(text: str, directory: Path) -> str:
    """The text without what differs between machines and days."""
    text = text.replace(str(directory), "<dir>")
    text = text.replace(f'"{socket.gethostname()}"', '"<host>"')
    text = text.replace(f'"pid": {os.getpid()}', '"pid": "<pid>"')
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?", "<time>", text)
    return re.sub(r"sweep \d+\.\d+\.\S+", "sweep <version>", text)


@pytest.fixture
def golden(workdir: Path) -> Callable[[str, str], None]:
    """Compare a text with its golden file, or write the file if asked to."""

    def check(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        text = normalised(text, workdir)
        if os.environ.get(REGENERATE):
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"run pytest with {REGENERATE}=1 to write {file.name}"
        assert text == file.read_text(encoding="utf-8")

    return check
