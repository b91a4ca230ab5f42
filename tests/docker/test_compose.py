"""compose.yaml against the Compose Specification, Docker Compose itself, and what we promise."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from image_files import DOCKER, ROOT, SECRETS, composed, kubernetes, stages

from sweep.cli.app import Root

OURS = ("tables", "dashboard", "worker", "worker-gpu")


def test_the_file_is_valid_by_the_specification() -> None:
    schema = json.loads(
        files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
    )
    document = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(document)] == []
    document["services"]["worker"]["cpu"] = "2"
    assert [error.message for error in validator.iter_errors(document)] != []


def test_the_services(services: dict[str, Any]) -> None:
    assert {*services} == {"postgres", *OURS}
    assert {name for name in services if services[name].get("profiles")} == {"worker-gpu"}


@pytest.mark.parametrize("name", ["postgres", *OURS])
def test_a_service_can_do_no_more_than_it_must(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"]
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert re.search(r":(?!latest)\w", service["image"])
    assert service["restart"] == ("no" if name == "tables" else "unless-stopped")
    assert ("cap_add" in service) == (name == "postgres")
    assert service.get("init", False) == (name != "postgres")


def test_only_the_dashboard_is_reached_and_from_this_machine_alone(
    services: dict[str, Any], secrets: Path
) -> None:
    published = {
        name: [(port["host_ip"], port["published"], port["target"]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {"dashboard": [("127.0.0.1", "8080", 8080)]}
    (port,) = composed(secrets, SWEEP_DASHBOARD="10.0.0.5:443")["dashboard"]["ports"]
    assert (port["host_ip"], port["published"]) == ("10.0.0.5", "443")
    networks = {name: [*service["networks"]] for name, service in services.items()}
    assert networks["postgres"] == networks["tables"] == ["database"]
    whole = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert whole["networks"]["database"] == {"internal": True}


def test_they_start_in_order(services: dict[str, Any]) -> None:
    def waits(name: str) -> dict[str, str]:
        needs = services[name]["depends_on"]
        return {other: need["condition"] for other, need in needs.items()}

    assert waits("tables") == {"postgres": "service_healthy"}
    for name in ("dashboard", "worker", "worker-gpu"):
        assert waits(name) == {"tables": "service_completed_successfully"}
    assert services["postgres"]["healthcheck"]["test"][1] == "pg_isready"
    # It inherits the image's health check, which is the dashboard's.
    assert "healthcheck" not in services["dashboard"]
    for name in ("tables", "worker", "worker-gpu"):
        assert services[name]["healthcheck"] == {"disable": True}


def test_passwords_come_from_files(services: dict[str, Any]) -> None:
    for name, service in services.items():
        given = {f"/run/secrets/{secret['source']}" for secret in service["secrets"]}
        variables = service["environment"]
        named = {value for value in variables.values() if str(value).startswith("/run/secrets/")}
        assert named <= given
        for variable, value in variables.items():
            assert variable.endswith("_FILE") or not re.search("PASS|SECRET|TOKEN", variable)
            assert not re.search(r"://[^/]*:[^/]*@", value), variable
        # The database reads that of its role when it makes its files.
        assert given - named == ({"/run/secrets/database"} if name == "postgres" else set())
        assert "hunter2" not in json.dumps(service)


def test_the_readme_makes_every_secret() -> None:
    (names,) = re.findall(r"for name in ([\w ]+); do openssl", (ROOT / "README.md").read_text())
    assert {*names.split()} == {*SECRETS}
    assert {*SECRETS} == {*yaml.safe_load((DOCKER / "compose.yaml").read_text())["secrets"]}
    assert "/docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_what_must_last_is_in_volumes(services: dict[str, Any]) -> None:
    image = stages()["cpu"].environment
    for name in ("worker", "worker-gpu"):
        mounts = {volume["target"]: volume for volume in services[name]["volumes"]}
        assert mounts[image["SWEEP_ARTIFACTS"]]["source"] == "artifacts"
        assert mounts[image["SWEEP_CACHE_DIR"]]["source"] == "cache"
        assert mounts["/images"]["read_only"]
    (data, _) = services["postgres"]["volumes"]
    # Where the images of PostgreSQL 18 and later keep their files.
    assert (data["source"], data["target"]) == ("database", "/var/lib/postgresql")
    assert services["postgres"]["image"].startswith("postgres:18-")


def test_the_workers(secrets: Path) -> None:
    services = composed(
        secrets, SWEEP_WORKERS="3", SWEEP_WORKER_CPUS="1.5", SWEEP_IMAGES="/srv/cifar10"
    )
    assert services["worker"]["deploy"]["replicas"] == 3
    assert services["worker"]["cpus"] == 1.5
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    for name, target in (("worker", "cpu"), ("worker-gpu", "gpu")):
        service = services[name]
        assert (service["build"]["target"], service["image"]) == (target, f"sweep:{target}")
        assert service["stop_grace_period"] == "2m0s"
        assert service["environment"]["SWEEP_DATA_DIR"] == "/images"
        (images,) = [mount for mount in service["volumes"] if mount["target"] == "/images"]
        assert (images["type"], images["source"]) == ("bind", "/srv/cifar10")
    assert composed(secrets)["worker"]["environment"]["SWEEP_DATA_DIR"] == ""


def command_lines() -> list[list[str]]:
    """What every file in `docker/` has sweep do, but for what a user adds."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    pod = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    slurm = (DOCKER / "slurm.sh").read_text()
    (ray,) = re.findall(r"entrypoint: sweep (.+)", (DOCKER / "kuberay.yaml").read_text())
    return [
        stages()["cpu"].words("CMD"),
        *(services[name]["command"] for name in OURS),
        *(container["args"] for container in pod["initContainers"] + pod["containers"]),
        *(line.split() for line in re.findall(r"^srun .* sweep (.+) \"\$@\"$", slurm, re.M)),
        ray.split(),
    ]


def test_every_command_line_is_one_that_sweep_has() -> None:
    root = Root()
    known = root.list_commands(click.Context(root))
    lines = command_lines()
    assert {name for name, *_ in lines} <= set(known)
    for name, *words in (line for line in lines if line[0] in known):
        command = root.get_command(click.Context(root), name)
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        assert command is not None
        command.make_context(name, words)


def test_every_variable_is_one_that_sweep_reads() -> None:
    source = "".join(path.read_text() for path in (ROOT / "sweep").rglob("*.py"))
    read = {*re.findall(r'"(SWEEP_[A-Z_]+)"', source)}
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    given = {
        *(name for service in services.values() for name in service["environment"]),
        *stages()["cpu"].environment,
        *kubernetes()["ConfigMap"]["data"],
        *re.findall(r"export (SWEEP_\w+)", (DOCKER / "slurm.sh").read_text()),
    }
    assert {name for name in given if name.startswith("SWEEP_")} <= read
