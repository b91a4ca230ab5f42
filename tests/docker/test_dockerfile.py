"""The images, without a Docker engine: linted, and compared with what CI does."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from image_files import DOCKER, ROOT, Stage, stages

TARGETS = ("cpu", "gpu")
SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Stage:
    return stages()[request.param]


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", DOCKER / "Dockerfile"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_last_stage_is_the_default() -> None:
    assert [*stages()][-1] == "cpu"
    assert {*TARGETS} < {*stages()}


def test_the_base_has_a_version_without_a_digest(target: Stage) -> None:
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", target.base)
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["python_version"]
    assert target.base.startswith(f"python:{python}-")


def test_nobody_is_root_when_it_runs(target: Stage) -> None:
    user, group = target.last("USER").split(":")
    assert target.instructions[-1][0] == "USER"
    assert f"--uid {user} --gid sweep" in target.last("RUN") + " ".join(target.all("RUN"))
    assert f"groupadd --gid {group} sweep" in " ".join(target.all("RUN"))


def test_words_are_not_left_to_a_shell(target: Stage) -> None:
    assert target.words("ENTRYPOINT") == ["sweep"]
    assert target.words("CMD")[0] == "dashboard"
    assert target.words("HEALTHCHECK") == ["python3", "/usr/local/lib/sweep/healthcheck.py"]
    assert "docker/healthcheck.py /usr/local/lib/sweep/" in target.all("COPY")


def test_no_secret_is_baked_in(target: Stage) -> None:
    assert not target.all("ARG")
    assert not [name for name in target.environment if SECRET.search(name)]


def pip_commands(text: str) -> list[str]:
    return re.findall(r"^(?:RUN )?(?:--mount=\S+ )*(pip install .+)$", text, re.MULTILINE)


def test_what_is_installed_is_installed_as_ci_does(target: Stage) -> None:
    ours = pip_commands("\n".join(f"RUN {text}" for text in target.all("RUN")))
    assert len(ours) == 2
    assert ours == pip_commands((ROOT / ".ci" / "run").read_text())


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_takes_its_own_lock(name: str) -> None:
    (mount,) = re.findall(r"source=(\S+),target=/src/requirements.lock", str(stages()[name]))
    assert mount == f"docker/{name}.lock"


def locked(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version with its marker, and hashes, by package; the latter once for each version."""
    found = {}
    for entry in re.split(r"\n(?=[a-z0-9])", path.read_text()):
        first, *rest = entry.splitlines()
        if match := re.match(r"([a-z0-9.-]+)==(\S+(?: ; [^\\]+)?)", first):
            name, version = match.groups()
            hashes = frozenset(re.findall(r"--hash=(\S+)", "\n".join(rest)))
            assert hashes
            found[f"{name}=={version.split()[0]}"] = (version.strip(), hashes)
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_the_locks_say_what_the_lock_of_ci_says(name: str) -> None:
    whole, ours = locked(ROOT / "requirements.lock"), locked(DOCKER / f"{name}.lock")
    cuda = {package for package in ours if package.startswith("nvidia-")}
    assert bool(cuda) == (name == "gpu")
    assert {package: entry for package, entry in ours.items() if package not in cuda} == {
        package: entry for package, entry in whole.items() if package in ours
    }, "make the locks anew, with the commands in their first lines"


@pytest.mark.parametrize("name", TARGETS)
def test_the_locks_hold_what_the_package_needs(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"--extra (\S+)", (DOCKER / f"{name}.lock").read_text().splitlines()[1])
    assert {"postgresql", "cmaes"} <= {*extras}
    needed = project["dependencies"] + sum(
        (project["optional-dependencies"][extra] for extra in extras), []
    )
    names = {package.partition("==")[0] for package in locked(DOCKER / f"{name}.lock")}
    for requirement in needed:
        match = re.match(r"[a-z0-9-]+", requirement)
        assert match
        assert match.group() in names


def test_the_build_sees_what_it_needs_and_no_more() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    admitted = {rule[1:] for rule in rules if rule.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
        *re.findall(r"docker/\w+\.\w+", (DOCKER / "Dockerfile").read_text()),
    }
    assert admitted == needed
    for path in admitted:
        assert (ROOT / path).exists(), path
