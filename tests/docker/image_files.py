"""What the files in `docker/` say, read for the tests: stages of the Dockerfile, the services."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SECRETS = ("postgres", "database", "owner", "guest")


@dataclass
class Stage:
    """One image, with what it inherits: instructions in their order, continued lines joined."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [text for word, text in self.instructions if word == keyword]

    def last(self, keyword: str) -> str:
        return self.all(keyword)[-1]

    def words(self, keyword: str) -> list[str]:
        """The last one's words, which must be in exec form."""
        words = json.loads(self.last(keyword).partition("CMD ")[2] or self.last(keyword))
        assert isinstance(words, list)
        return words

    @property
    def environment(self) -> dict[str, str]:
        pairs = (pair for text in self.all("ENV") for pair in shlex.split(text))
        return dict(pair.split("=", 1) for pair in pairs)


def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile by name."""
    lines = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    found: dict[str, Stage] = {}
    stage = Stage("")
    for line in lines:
        keyword, _, text = " ".join(line.split()).partition(" ")
        if keyword == "FROM":
            base, _, name = text.partition(" AS ")
            parent = found.get(base, Stage(base))
            stage = found[name] = Stage(parent.base, list(parent.instructions))
        elif keyword and not keyword.startswith("#"):
            stage.instructions.append((keyword, text))
    return found


def composed(secrets: Path, **variables: str) -> dict[str, Any]:
    """The services of `compose.yaml` as Docker Compose itself understands them."""
    done = subprocess.run(
        [Path(sys.executable).with_name("docker-compose"), "--profile", "*", "--file"]
        + [DOCKER / "compose.yaml", "config", "--format", "json"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "SWEEP_SECRETS": str(secrets), **variables},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout)["services"])


def kubernetes() -> dict[str, Any]:
    """The resources of `kubernetes.yaml` by kind."""
    documents = yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text())
    return {document["kind"]: document for document in documents}
