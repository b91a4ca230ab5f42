"""Workers that Kubernetes and Slurm start: valid manifests, and a script that really runs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from image_files import DOCKER, kubernetes, stages

SRUN = """#!/bin/sh
echo "srun $1" >> calls
shift
exec "$@"
"""
SWEEP = """#!/bin/sh
# A worker that ends when it is told to, after what it has begun.
echo "sweep $* cache=$SWEEP_CACHE_DIR" >> calls
trap 'sleep 1; echo drained >> calls; exit 0' TERM
echo ready >> calls
while :; do sleep 0.05; done
"""


# Kubernetes


@pytest.mark.parametrize("kind", ["ConfigMap", "PersistentVolumeClaim", "Deployment"])
def test_a_manifest_is_valid(kind: str) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(kubernetes()[kind], version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**kubernetes()[kind], "spce": {}}, version, strict=True)


@pytest.fixture
def pod() -> dict[str, Any]:
    return dict(kubernetes()["Deployment"]["spec"]["template"]["spec"])


def test_a_pod_can_do_no_more_than_it_must(pod: dict[str, Any]) -> None:
    user, group = map(int, stages()["gpu"].last("USER").split(":"))
    context = pod["securityContext"]
    assert context["runAsNonRoot"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (
        user,
        group,
        group,
    )
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    for container in pod["initContainers"] + pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"].endswith("sweep:gpu")
        assert container["resources"]["limits"]["memory"]
        assert container["envFrom"] == [{"configMapRef": {"name": "sweep"}}]


def test_a_pod_has_time_to_drain_and_places_to_write_to(pod: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] >= 120
    (worker,) = pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in worker["volumeMounts"]}
    image = stages()["gpu"].environment
    assert mounts[image["SWEEP_ARTIFACTS"]] == "artifacts"
    assert mounts[image["SWEEP_CACHE_DIR"]] == "cache"
    assert "/tmp" in mounts
    assert {*mounts.values()} <= {volume["name"] for volume in pod["volumes"]}
    file = Path(kubernetes()["ConfigMap"]["data"]["SWEEP_STORAGE_PASSWORD_FILE"])
    assert mounts[str(file.parent)] == "secrets"
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    # Its group, fsGroup, may read it.
    assert volume["secret"] == {"secretName": "sweep", "defaultMode": 0o440}
    assert f"--from-file={file.name}=" in (DOCKER / "kubernetes.yaml").read_text()


def test_labels_select_their_own_pods() -> None:
    spec = kubernetes()["Deployment"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_the_ray_job_is_yaml() -> None:
    assert yaml.safe_load((DOCKER / "kuberay.yaml").read_text())["kind"] == "RayJob"


# Slurm


def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), *DOCKER.glob("*.sh")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert {path.name for path in DOCKER.glob("*.sh")} == {"slurm.sh", "postgres-role.sh"}
    assert all(os.access(path, os.X_OK) for path in DOCKER.glob("*.sh"))


def test_the_options_of_the_job() -> None:
    text = (DOCKER / "slurm.sh").read_text()
    head, _, rest = text.partition("set -euo pipefail")
    # Slurm reads no more of them after the first command.
    assert "#SBATCH" not in rest
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", head, re.MULTILINE))
    assert len(options) == head.count("#SBATCH")
    # To the worker and not, by a `B:`, to the script.
    assert re.fullmatch(r"TERM@\d+", options["signal"])
    assert int(options["signal"][5:]) >= 120
    assert "requeue" in options
    assert "%A_%a" in options["output"]


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job's script, with an `srun` and a `sweep` of ours."""
    for name, text in (("srun", SRUN), ("sweep", SWEEP)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SLURM_CPUS_PER_TASK": "8",
        "SWEEP_STORAGE": "postgresql://ann@db.example/sweeps",
        "SWEEP_ARTIFACTS": "/shared/ann/sweep",
        "TMPDIR": "/local",
    }


def test_a_job_that_is_cancelled_drains(job: dict[str, str], tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    with subprocess.Popen(
        [shutil.which("bash") or "bash", DOCKER / "slurm.sh", "--count", "2"],
        env=job,
        cwd=tmp_path,
        start_new_session=True,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not calls.exists() or "ready" not in calls.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            # Slurm signals every process of the job, this script too.
            os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert calls.read_text().splitlines() == [
        "srun --cpus-per-task=8",
        f"sweep worker --idle-exit --count 2 cache=/local/sweep-{user}",
        "ready",
        "drained",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SWEEP_STORAGE": ""}, "SWEEP_STORAGE: name the database"),
        ({"SWEEP_STORAGE": "sqlite:///sweep.db"}, "nodes share a PostgreSQL server, not a file"),
        ({"SWEEP_ARTIFACTS": ""}, "SWEEP_ARTIFACTS: name a directory"),
    ],
)
def test_a_job_that_cannot_work_says_so_at_once(
    job: dict[str, str], tmp_path: Path, change: dict[str, str], words: str
) -> None:
    done = subprocess.run(
        ["bash", DOCKER / "slurm.sh"],
        env=job | change,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "calls").exists()
