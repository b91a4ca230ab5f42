"""Commands about study files, this machine and the dashboard."""

from pathlib import Path

import pytest
from filled_study import SPEC, fill

from sweep.cli import checks
from sweep.cli.checks import Check
from sweep.store import Store


def test_init_writes_a_study_that_checks(cli):
    outcome = cli("init")
    assert outcome.code == 0
    assert outcome.out == "wrote study.yaml\nnext: sweep check study.yaml\n"
    assert cli("check", "study.yaml").code == 0
    assert cli("init", "-").out == Path("study.yaml").read_text()


def test_init_never_replaces_a_file(cli, golden):
    Path("study.yaml").write_text("mine")
    outcome = cli("init")
    golden("error-init", f"exit code {outcome.code}\n{outcome.err}")
    assert Path("study.yaml").read_text() == "mine"
    assert cli("init", "nowhere/study.yaml").code == 2


def test_check_is_golden(cli, golden):
    Path("small.yaml").write_text(SPEC)
    words = ("check", "small.yaml", "--set", "fixed.momentum=0.9", "--set", "fixed.optimizer=sgd")
    outcome = cli(*words)
    assert outcome.code == 0
    golden("check", f"{outcome.out}--- standard error\n{outcome.err}")
    document = cli(*words, "--json")
    assert document.err == ""
    golden("check-json", document.out)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("unknown-key", "budget:", "budgets:"),
        ("unknown-choice", "swish", "swash"),
        ("empty-range", "low: 1.0e-5", "low: 2.0"),
        ("softmax", "swish", "softmax"),
    ],
)
def test_errors_of_study_files_are_golden(cli, golden, name, old, new):
    Path("small.yaml").write_text(SPEC.replace(old, new))
    outcome = cli("check", "small.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    golden(f"error-spec-{name}", outcome.err)


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    """Every slow or varying check replaced."""
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(checks, "check_python", lambda: Check("python", "ok", "3.11"))
    monkeypatch.setattr(checks, "check_packages", lambda: iter([Check("sweep", "ok", "1.0")]))
    monkeypatch.setattr(
        checks,
        "check_samplers",
        lambda: iter([Check("sampler gp", "warn", "torch is not installed", "pip install torch")]),
    )
    monkeypatch.setattr(
        checks, "check_devices", lambda: iter([Check("workers", "ok", "cpu0 on cpu:0")])
    )
    found = [
        Check("tensorflow", "ok", "2.21"),
        Check("jax", "warn", "not installed", "pip install 'sweep[jax]'"),
    ]
    monkeypatch.setattr(checks, "check_backends", lambda: iter(found))


def test_doctor_is_golden(cli, golden, healthy):
    outcome = cli("doctor")
    assert (outcome.code, outcome.err) == (0, "")
    golden("doctor", outcome.out)
    document = cli("doctor", "--json")
    assert document.code == 0
    golden("doctor-json", document.out)


def test_doctor_fails_with_what_is_broken(cli, golden, healthy, monkeypatch):
    broken = Check("tensorflow", "fail", "does not load: Illegal instruction", "install it again")
    monkeypatch.setattr(checks, "check_backends", lambda: iter([broken]))
    Path("sweep.db").write_text("no database at all, and long enough to be looked at" * 100)
    outcome = cli("doctor", "--data-dir", "nowhere")
    assert outcome.code == 1
    golden("doctor-broken", outcome.out)


@pytest.fixture
def probes(monkeypatch):
    """Programs that say that all is well, to be changed by the test."""
    made = {
        name: f'print(\'{{"found": "{name} 1, keras 2", "gpus": 1}}\')'
        for name in ("tensorflow", "jax")
    }
    monkeypatch.setattr(checks, "PROBES", made)
    monkeypatch.setattr("sweep.executors.devices.find_gpus", lambda: ("a",))
    return made


def test_doctor_looks_at_both_backends(probes):
    assert [(check.name, check.state, check.found) for check in checks.check_backends()] == [
        ("tensorflow", "ok", "tensorflow 1, keras 2, one GPU"),
        ("jax", "ok", "jax 1, keras 2, one GPU"),
    ]


def test_doctor_survives_a_backend_that_kills_its_process(probes):
    probes.update(dict.fromkeys(probes, "import os; os.kill(os.getpid(), 4)"))
    tensorflow, jax = checks.check_backends()
    assert (tensorflow.state, jax.state) == ("fail", "warn"), "a sweep can do without JAX"
    assert "SIGILL" in tensorflow.found
    assert jax.next_step == "pip install --force-reinstall jax"


def test_doctor_needs_no_jax(probes, monkeypatch):
    monkeypatch.setattr("sweep.spec.advice.find_spec", lambda name: None)
    _, jax = checks.check_backends()
    assert (jax.state, jax.next_step) == ("warn", "pip install 'sweep[jax]'")


def test_doctor_tells_of_gpus_that_a_backend_does_not_see(probes, monkeypatch):
    monkeypatch.setattr("sweep.executors.devices.find_gpus", lambda: ("a", "b"))
    for check in checks.check_backends():
        assert (check.state, check.found) == (
            "warn",
            f"{check.name} 1, keras 2: sees 1 of 2 GPUs",
        )


@pytest.mark.slow
def test_doctor_loads_both_backends():
    assert [(check.name, check.state) for check in checks.check_backends()] == [
        ("tensorflow", "ok"),
        ("jax", "ok"),
    ]


def test_doctor_finds_the_packages_and_devices():
    assert {check.state for check in checks.check_packages()} == {"ok"}
    assert [check.name for check in checks.check_devices()] == ["processor", "workers"]


def test_dashboard_publishes_serves_and_opens_a_browser(cli, monkeypatch):
    fill("sqlite:///sweep.db")
    served, opened = [], []

    def serve(url, host, port, *, access, certificate, ready):
        served.append((url, host, port, access.is_open, certificate))
        ready("http://127.0.0.1:8099")

    monkeypatch.setattr("sweep.report.web.server.serve", serve)
    monkeypatch.setattr("click.launch", opened.append)
    outcome = cli("dashboard", "--port", "8099")
    assert (outcome.code, outcome.out) == (
        0,
        "dashboard: http://127.0.0.1:8099/dashboard/\nstudies: http://127.0.0.1:8099/sweep/\n",
    )
    assert served == [("sqlite:///sweep.db", "127.0.0.1", 8099, True, None)]
    assert opened == ["http://127.0.0.1:8099/sweep/"]
    with Store.open("sqlite:///sweep.db") as store:
        storage = store.optuna_storage
        attributes = storage.get_study_system_attrs(storage.get_study_id_from_name("small"))
    assert any("sweep-" in key for key in attributes), list(attributes)


def test_dashboard_without_a_browser(cli, monkeypatch):
    fill("sqlite:///sweep.db")
    monkeypatch.setattr(
        "sweep.report.web.server.serve", lambda *_, ready, **__: ready("http://127.0.0.1:1")
    )
    monkeypatch.setattr("click.launch", lambda _: pytest.fail("a browser was opened"))
    assert cli("dashboard", "--no-browser").code == 0


def test_dashboard_on_other_addresses_needs_a_password(cli, golden):
    fill("sqlite:///sweep.db")
    outcome = cli("dashboard", "--host", "0.0.0.0", "--no-browser")
    golden("error-dashboard-host", f"exit code {outcome.code}\n{outcome.err}")


def test_dashboard_says_that_passwords_travel_unencrypted(cli, monkeypatch):
    fill("sqlite:///sweep.db")
    monkeypatch.setattr(
        "sweep.report.web.server.serve", lambda *_, ready, **__: ready("http://127.0.0.1:1")
    )
    words = ("dashboard", "--no-browser", "--host")
    for variable in ("SWEEP_DASHBOARD_PASSWORD", "SWEEP_DASHBOARD_PASSWORD_FILE"):
        Path("password").write_text("a good password")
        for host, warned in (("0.0.0.0", True), ("127.0.0.1", False)):
            value = "password" if variable.endswith("FILE") else "a good password"
            monkeypatch.setenv(variable, value)
            assert ("unencrypted" in cli(*words, host).err) is warned
        monkeypatch.delenv(variable, raising=False)
    assert "unencrypted" not in cli(*words, "0.0.0.0", "--public-read").err


def test_dashboard_takes_a_certificate_with_its_key_only(cli):
    outcome = cli("dashboard", "--certificate", "chain.pem")
    assert outcome.code == 2
    assert "--certificate and --key belong together" in outcome.err
