"""SQL: Optuna's tables through Optuna's API, ours beside them; the only SQLAlchemy user."""
