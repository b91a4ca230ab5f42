"""What workers inherit."""

from sweep.executors.inheritance import without_secrets


def test_workers_inherit_no_secrets() -> None:
    kept = {"PATH": "/bin", "SWEEP_CACHE_DIR": "/c", "PGHOST": "h", "MY_SWEEP_STORAGE": "x"}
    secrets = {
        "SWEEP_STORAGE": "postgresql://ann:hunter2@host/db",
        "PGPASSWORD": "hunter2",
        "SWEEP_DASHBOARD_PASSWORD": "hunter2",
        "SWEEP_DASHBOARD_GUEST_PASSWORD": "hunter2",
        "SWEEP_WEBHOOK_SECRET": "hunter2",
        "SWEEP_NOTIFY_WEBHOOK": "https://host/hunter2",
    }
    assert without_secrets(kept | secrets) == kept
